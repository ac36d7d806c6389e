// SPDX-License-Identifier: Apache-2.0
import XKSProtocol

/// The form of the names by which KMS asks for keys: 1 to 128 of `A-Z a-z 0-9 - . _` (XKS 1.0.3, URI path).
package enum ExternalKeyID {
    package static let lengths = 1...XKSPath.longestExternalKeyID

    /// Whether `id` may name a key towards KMS.
    package static func isValid(_ id: String) -> Bool {
        XKSPath.isValidExternalKeyID(id)
    }

    package static func isCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
        default: false
        }
    }

    /// The first character of `text` that no external key id may hold and that `isAllowed` does not let pass.
    static func firstIllegalCharacter(in text: String, besides isAllowed: (Character) -> Bool = { _ in false })
        -> Character?
    {
        text.first { character in
            if isAllowed(character) { return false }
            guard let byte = character.asciiValue, character.utf8.count == 1 else { return true }
            return !isCharacter(byte)
        }
    }
}
