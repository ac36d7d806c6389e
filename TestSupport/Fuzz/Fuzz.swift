// SPDX-License-Identifier: Apache-2.0
import FuzzTargets
import Glibc

// libFuzzer has `main`, and calls this with one input after another. Which parser they are for is said by the environment.

private let target: FuzzTarget = {
    let name = getenv("CLAVIGER_FUZZ_TARGET").map { String(cString: $0) } ?? ""
    guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
        print("CLAVIGER_FUZZ_TARGET must be one of \(FuzzTarget.all.map(\.name).joined(separator: " "))")
        exit(2)
    }
    return target
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func takeOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    if let complaint = target.take(UnsafeRawBufferPointer(start: data, count: size)) {
        print("finding: \(complaint)")
        // abort(3) writes out nothing that is still in a buffer.
        fflush(nil)
        // What libFuzzer takes for a crash, and whose input it keeps.
        abort()
    }
    return 0
}
