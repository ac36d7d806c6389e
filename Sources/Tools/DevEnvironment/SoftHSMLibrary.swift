// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Where SoftHSM's PKCS#11 library lies.
package enum SoftHSMLibrary {
    /// The paths of Debian and Ubuntu (any architecture), Fedora, and a build from source.
    package static let usualPaths = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
    ]

    /// The first that can be read.
    /// - Throws: `DevError` that says how to install it.
    package static func find(in paths: [String] = usualPaths) throws -> String {
        if let found = paths.first(where: { access($0, R_OK) == 0 }) { return found }
        throw DevError(
            "SoftHSM's PKCS#11 library is in none of its usual places (\(paths.joined(separator: ", "))). "
                + "Install it: apt-get install softhsm2")
    }
}
