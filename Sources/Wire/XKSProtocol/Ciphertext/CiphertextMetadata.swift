// SPDX-License-Identifier: Apache-2.0

/// The form in which additional authenticated data reach the HSM; the raw value is the word in the configuration.
package enum AADForm: String, Sendable, CaseIterable {
    /// The specification's (XKS 1.0.3, "Encrypt", `ciphertextMetadata`).
    case specification = "spec"
    /// That of the AWS reference proxy: a digest stands in place of the data.
    case digest = "digest"
}

/// Who made a ciphertext, and how: read from its `ciphertextMetadata`.
///
/// What Claviger makes begins with a mark of three bytes and a format version. The metadata are authenticated together
/// with the data, so a mark that was forged, cut or altered does not open. `docs/reference/ciphertext.md` has the
/// format.
package enum CiphertextMetadata: Sendable, Equatable {
    /// Made by Claviger, in a format that this version knows: 1, whose metadata are mark and version, and no more.
    case claviger(version: UInt8)
    /// Bears Claviger's mark, with a format version that this one does not know.
    case clavigerUnknown(version: UInt8)
    /// Made by another proxy, or before there was a mark.
    case foreign([UInt8])
    /// There are none: made by another proxy.
    case absent

    /// What every ciphertext of Claviger begins its metadata with: `CLV`.
    package static let mark: [UInt8] = [0x43, 0x4c, 0x56]
    /// The format of new ciphertext.
    package static let currentVersion: UInt8 = 1
    /// The metadata of new ciphertext.
    package static let current: [UInt8] = mark + [currentVersion]

    /// Reads the field of a Decrypt request.
    package init(_ bytes: [UInt8]?) {
        guard let bytes else {
            self = .absent
            return
        }
        guard bytes.count > Self.mark.count, bytes.starts(with: Self.mark) else {
            self = .foreign(bytes)
            return
        }
        let version = bytes[Self.mark.count]
        switch version {
        case 1: self = bytes.count == Self.current.count ? .claviger(version: 1) : .foreign(bytes)
        default: self = .clavigerUnknown(version: version)
        }
    }

    /// The format that only another node may read: one that the cluster has made ciphertext in, and that this version
    /// does not know. `nil` where this node decides.
    /// - Parameter activated: The highest format that the cluster has activated; 1 at least.
    package func formatOfOthers(activated: UInt8) -> UInt8? {
        guard case .clavigerUnknown(let version) = self, version > 0, version <= activated else { return nil }
        return version
    }

    /// The form in which the additional authenticated data of such a ciphertext went to the HSM.
    /// - Parameters:
    ///   - foreign: The form for ciphertext without Claviger's mark: a setting of the key store.
    ///   - activated: The highest format that the cluster has activated; 1 at least.
    /// - Throws: for an unknown format. One that the cluster has activated is `internalFailure`: the ciphertext is good,
    ///   and a node of a later version opens it. Beyond it no ciphertext was made, so the field was altered:
    ///   `invalidCiphertext`.
    package func form(foreign: AADForm, activated: UInt8) throws(XKSError) -> AADForm {
        switch self {
        case .claviger: return .specification
        case .foreign, .absent: return foreign
        case .clavigerUnknown(let version):
            if formatOfOthers(activated: activated) != nil {
                throw XKSError(
                    .internalFailure,
                    """
                    the ciphertext is of format \(version), which nodes of a later version of Claviger make and open; \
                    this node knows format \(Self.currentVersion) only
                    """)
            }
            throw XKSError(
                .invalidCiphertext,
                """
                ciphertextMetadata names format \(version) of Claviger, and formats up to \(max(activated, 1)) are in \
                use: it was altered
                """)
        }
    }
}
