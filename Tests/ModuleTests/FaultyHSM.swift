// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import HSMWorker
import PKCS11

/// A SoftHSM behind the fault-injecting library, which stands beside the test binary. For exit tests: environment and
/// library hold for the whole process.
struct FaultyHSM {
    let hsm: SoftHSM
    private let control: URL

    /// The library, as the package manager builds it.
    static var library: String {
        let binary = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(filePath: binary).deletingLastPathComponent().appending(path: "libFaultyPKCS11.so").path
    }

    init(keys: [NewKey] = [], faults: String = "") throws {
        hsm = try SoftHSM(keys: keys)
        control = hsm.directory.appending(path: "faults")
        setenv("FAULTY_PKCS11_MODULE", SoftHSM.library, 1)
        setenv("FAULTY_PKCS11_CONTROL", control.path, 1)
        setenv("FAULTY_PKCS11_INTERVAL", "0", 1)
        try set(faults)
        // The wrapping library must be the one that initialises: it does not notice what was done behind its back.
        try hsm.module.finalize()
    }

    /// These faults, and no others, hold from the next call on.
    func set(_ faults: String) throws {
        try Data("[*]\n\(faults)\n".utf8).write(to: control, options: .atomic)
    }
}
