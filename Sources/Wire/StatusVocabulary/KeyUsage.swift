// SPDX-License-Identifier: Apache-2.0

/// What a key may do, as its attributes say (CKA_ENCRYPT … CKA_UNWRAP). The bits are those between node and worker.
package struct KeyUsage: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let encrypt = KeyUsage(rawValue: 1)
    package static let decrypt = KeyUsage(rawValue: 2)
    package static let sign = KeyUsage(rawValue: 4)
    package static let verify = KeyUsage(rawValue: 8)
    package static let wrap = KeyUsage(rawValue: 16)
    package static let unwrap = KeyUsage(rawValue: 32)

    /// The usage in words, for people and the store. In capitals they are those of GetKeyMetadata (XKS 1.0.3).
    package var words: [String] {
        let known: [(KeyUsage, String)] = [
            (.encrypt, "encrypt"), (.decrypt, "decrypt"), (.sign, "sign"), (.verify, "verify"), (.wrap, "wrap"),
            (.unwrap, "unwrap"),
        ]
        return known.filter { contains($0.0) }.map(\.1)
    }
}
