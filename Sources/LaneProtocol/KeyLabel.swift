// SPDX-License-Identifier: Apache-2.0

/// The label of a key (CKA_LABEL), compared byte by byte.
///
/// Swift compares Strings by canonical equivalence: U+212A (Kelvin sign) equals "K", and a composed "é" equals a
/// decomposed one. On a token these are different labels of different keys, and PKCS#11 compares attributes as bytes
/// (PKCS#11 2.40, section 5.7, C_FindObjectsInit). A label that is no UTF-8 cannot be configured, and is no `KeyLabel`.
package struct KeyLabel: Sendable, Hashable, Comparable {
    package let text: String

    package init(_ text: String) { self.text = text }

    package var isEmpty: Bool { text.utf8.isEmpty }

    package static func == (left: KeyLabel, right: KeyLabel) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

    package static func < (left: KeyLabel, right: KeyLabel) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}

extension KeyLabel: ExpressibleByStringInterpolation {
    package init(stringLiteral text: String) { self.init(text) }
}

extension KeyLabel: CustomStringConvertible {
    package var description: String { text }
}
