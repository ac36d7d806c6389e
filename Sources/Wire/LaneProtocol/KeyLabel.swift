// SPDX-License-Identifier: Apache-2.0

/// The label of a key (CKA_LABEL), compared byte by byte.
///
/// Swift compares Strings by canonical equivalence: U+212A (Kelvin sign) equals "K", and a composed "é" equals a
/// decomposed one. On a token these are different labels of different keys, and PKCS#11 compares attributes as bytes
/// (PKCS#11 2.40, section 5.7, C_FindObjectsInit). A label that is no UTF-8 cannot be configured, and is no `KeyLabel`.
package struct KeyLabel: Sendable, Hashable, Comparable {
    package let text: String
    /// Hashed once: each request asks several tables for the same label.
    private let digest: Int

    package init(_ text: String) {
        self.text = text
        var hasher = Hasher()
        var bytes = text
        bytes.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        digest = hasher.finalize()
    }

    package var isEmpty: Bool { text.utf8.isEmpty }

    package static func == (left: KeyLabel, right: KeyLabel) -> Bool {
        guard left.digest == right.digest, left.text.utf8.count == right.text.utf8.count else { return false }
        return left.text.utf8.withContiguousStorageIfAvailable { left in
            right.text.utf8.withContiguousStorageIfAvailable { areEqual(.init(left), .init($0)) }
        }.flatMap { $0 } ?? left.text.utf8.elementsEqual(right.text.utf8)
    }

    /// For bytes of one length. Eight at a time: views and buffers of the standard library are compared one by one.
    private static func areEqual(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
        var offset = 0
        while offset + 8 <= left.count {
            let word = left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            guard word == right.loadUnaligned(fromByteOffset: offset, as: UInt64.self) else { return false }
            offset += 8
        }
        while offset < left.count {
            guard left[offset] == right[offset] else { return false }
            offset += 1
        }
        return true
    }

    package static func < (left: KeyLabel, right: KeyLabel) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(digest) }
}

extension KeyLabel: ExpressibleByStringInterpolation {
    package init(stringLiteral text: String) { self.init(text) }
}

extension KeyLabel: CustomStringConvertible {
    package var description: String { text }
}
