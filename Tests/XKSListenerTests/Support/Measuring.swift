// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

final class Counter: Sendable {
    private let count = Atomic<Int>(0)

    var value: Int { count.load(ordering: .sequentiallyConsistent) }

    func increment() { count.wrappingAdd(1, ordering: .sequentiallyConsistent) }
}

/// Resident memory of this process (proc(5), `statm`, second field, in pages).
func residentBytes() throws -> Int {
    let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
    return (Int(text.split(separator: " ")[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
}
