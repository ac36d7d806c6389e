// SPDX-License-Identifier: Apache-2.0
import CPKCS11
import LaneProtocol
import SecureMemory
import StatusVocabulary

/// A template for a search or a new object: attribute types with their values. Values are overwritten at the end.
struct AttributeTemplate {
    private let values = SecretBytes(capacity: 256)
    private var fields: [(type: UInt, offset: Int, length: Int)] = []

    mutating func set(_ type: UInt, _ value: UInt) {
        withUnsafeBytes(of: value) { append(type, $0) }
    }

    mutating func set(_ type: UInt, _ value: Bool) {
        withUnsafeBytes(of: UInt8(value ? 1 : 0)) { append(type, $0) }
    }

    mutating func set(_ type: UInt, _ value: [UInt8]) {
        value.withUnsafeBytes { append(type, $0) }
    }

    mutating func set(_ type: UInt, _ value: SecretBytes) {
        value.withUnsafeBytes { append(type, $0) }
    }

    /// What a key may do: CKA_ENCRYPT … CKA_UNWRAP, each said outright, since defaults differ between vendors.
    mutating func set(_ usage: KeyUsage) {
        for (type, bit) in KeyUsage.attributes { set(type, usage.contains(bit)) }
    }

    mutating func remove(_ types: [UInt]) {
        fields.removeAll { types.contains($0.type) }
    }

    private mutating func append(_ type: UInt, _ bytes: UnsafeRawBufferPointer) {
        // A CK_ULONG is read through a pointer to unsigned long, so each value begins at a multiple of 8.
        while values.count % 8 != 0 { values.append(0) }
        fields.append((type, values.count, bytes.count))
        values.append(copying: bytes)
    }

    /// Lends the attributes for the length of `body`.
    func withAttributes(_ body: (UnsafeMutablePointer<CK_ATTRIBUTE>?, UInt) -> UInt) -> UInt {
        values.withUnsafeBytes { bytes in
            var attributes = fields.map { field in
                CK_ATTRIBUTE(
                    type: field.type,
                    pValue: bytes.baseAddress.map { UnsafeMutableRawPointer(mutating: $0 + field.offset) },
                    ulValueLen: UInt(field.length))
            }
            return attributes.withUnsafeMutableBufferPointer { body($0.baseAddress, UInt($0.count)) }
        }
    }
}

extension KeyUsage {
    /// Attribute types with the usage each of them stands for.
    static let attributes: [(UInt, KeyUsage)] = [
        (UInt(CKA_ENCRYPT), .encrypt), (UInt(CKA_DECRYPT), .decrypt), (UInt(CKA_SIGN), .sign),
        (UInt(CKA_VERIFY), .verify), (UInt(CKA_WRAP), .wrap), (UInt(CKA_UNWRAP), .unwrap),
    ]
}
