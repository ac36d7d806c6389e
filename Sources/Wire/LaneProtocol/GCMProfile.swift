// SPDX-License-Identifier: Apache-2.0

/// How a token wants to be asked for AES-GCM. Vendors differ, and PKCS#11 does not say which way is theirs.
package struct GCMProfile: Sendable, Hashable {
    /// Who makes the initialisation vector of an encryption.
    package enum IVSource: UInt8, Sendable, CaseIterable {
        /// The caller; Claviger draws it from the HSM's generator. SoftHSM, Luna outside FIPS mode.
        case caller = 1
        /// The HSM, into the caller's zeroed buffer of 12 bytes. CloudHSM, nShield, ProtectServer.
        case buffer = 2
        /// The HSM, which appends 16 bytes to ciphertext and tag. Luna in FIPS mode.
        case appended = 3
    }

    /// Which parameter structure the token takes.
    package enum Layout: UInt8, Sendable, CaseIterable {
        /// CK_GCM_PARAMS of the official 2.40 header, with ulIvBits: 48 bytes.
        case withIVBits = 1
        /// CK_GCM_PARAMS of the 2.40 errata text, without ulIvBits: 40 bytes.
        case withoutIVBits = 2
        /// CK_GCM_MESSAGE_PARAMS and the message functions of PKCS#11 3.0, section 5.9.
        case message = 3
    }

    package var ivSource: IVSource
    package var layout: Layout

    package init(ivSource: IVSource, layout: Layout) {
        self.ivSource = ivSource
        self.layout = layout
    }

    /// Length of the IV that an encryption yields, bytes.
    package var ivLength: Int { ivSource == .appended ? 16 : 12 }

    /// Longest IV that any profile yields, bytes.
    package static let longestIV = 16

    /// The names by which the configuration chooses a profile instead of having it found out.
    package static let names: [(name: String, profile: GCMProfile)] = [
        ("caller", GCMProfile(ivSource: .caller, layout: .withIVBits)),
        ("caller-40", GCMProfile(ivSource: .caller, layout: .withoutIVBits)),
        ("buffer", GCMProfile(ivSource: .buffer, layout: .withIVBits)),
        ("buffer-40", GCMProfile(ivSource: .buffer, layout: .withoutIVBits)),
        ("appended", GCMProfile(ivSource: .appended, layout: .withIVBits)),
        ("appended-40", GCMProfile(ivSource: .appended, layout: .withoutIVBits)),
        ("message", GCMProfile(ivSource: .caller, layout: .message)),
        ("softhsm", GCMProfile(ivSource: .caller, layout: .withIVBits)),
        ("luna", GCMProfile(ivSource: .caller, layout: .withoutIVBits)),
        ("luna-fips", GCMProfile(ivSource: .appended, layout: .withoutIVBits)),
        ("nshield", GCMProfile(ivSource: .buffer, layout: .withIVBits)),
        ("cloudhsm", GCMProfile(ivSource: .buffer, layout: .withIVBits)),
        ("protectserver", GCMProfile(ivSource: .buffer, layout: .withIVBits)),
        ("nss", GCMProfile(ivSource: .caller, layout: .withoutIVBits)),
    ]

    /// For logs and status.
    package var words: String {
        let maker =
            switch ivSource {
            case .caller: "IV by the caller"
            case .buffer: "IV by the HSM, into the buffer"
            case .appended: "IV by the HSM, behind the tag"
            }
        return switch layout {
        case .withIVBits: maker + ", parameters of 48 bytes"
        case .withoutIVBits: maker + ", parameters of 40 bytes"
        case .message: maker + ", message functions of PKCS#11 3.0"
        }
    }

    /// The profile of that name; `nil` when there is none.
    package init?(named name: String) {
        guard let match = Self.names.first(where: { $0.name == name }) else { return nil }
        self = match.profile
    }
}

/// What a worker has found out about its token.
package struct TokenCapabilities: Sendable, Equatable {
    package var profile: GCMProfile
    /// The CK_RV that a wrong tag got; 0 when that could not be tried.
    package var wrongTagCode: UInt64
    /// False when the library refuses several threads: it then has one lane.
    package var allowsThreads: Bool

    package init(profile: GCMProfile, wrongTagCode: UInt64 = 0, allowsThreads: Bool = true) {
        self.profile = profile
        self.wrongTagCode = wrongTagCode
        self.allowsThreads = allowsThreads
    }
}

/// A block of random bytes that an HSM has encrypted once under a key. An HSM that opens it holds the same key.
package struct SealedCanary: Sendable, Hashable {
    /// Additional data of every canary, so that it can never pass for a customer's ciphertext.
    package static let additionalData = "claviger canary 1"
    /// Length of the block, bytes.
    package static let blockLength = 32
    /// Length of the block's ciphertext and its tag, bytes.
    package static let sealedLength = 48

    package var initializationVector: [UInt8]
    /// Ciphertext ‖ tag.
    package var ciphertext: [UInt8]

    package init(initializationVector: [UInt8], ciphertext: [UInt8]) {
        self.initializationVector = initializationVector
        self.ciphertext = ciphertext
    }
}

/// Why a canary was neither made nor opened.
package enum CanaryRefusal: UInt8, Sendable, CaseIterable {
    /// The HSM works, and says that ciphertext and key do not belong together: it holds another key.
    case wrongKey = 1
    /// The token has no key of that number any more.
    case keyGone = 2
    /// The call failed; nothing is known about the key.
    case failed = 3
    /// The code says, or may mean, that ciphertext and key do not belong together, and the token makes no known answer
    /// that would show whether it works.
    case unclear = 4
}
