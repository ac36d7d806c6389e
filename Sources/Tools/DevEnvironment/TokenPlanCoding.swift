// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PrivateFiles
import SecureMemory
import StatusVocabulary

// The bytes: "CVTP", a version byte, then label, SO PIN, user PIN, the number of keys (2 bytes), and for each key label,
// id, usage (1 byte), value. Every text and value has its length before it (2 bytes); integers are big-endian. Nothing
// follows. Not JSON, because PINs and key values must not pass through a `String`.

private let magic: [UInt8] = [0x43, 0x56, 0x54, 0x50]
private let version: UInt8 = 1

extension TokenPlan {
    /// Largest encoding that is written or read, bytes. Less than the smallest buffer of a Linux pipe, so that the
    /// whole plan can be put into a pipe before its reader starts.
    package static let largestEncoding = 4_000

    /// - Throws: `DevError` when the plan is larger than `largestEncoding`.
    package func encoded() throws -> SecretBytes {
        let bytes = SecretBytes(capacity: 1_024)
        bytes.append(contentsOf: magic)
        bytes.append(version)
        try Self.append(label, to: bytes)
        try Self.append(soPIN, to: bytes)
        try Self.append(userPIN, to: bytes)
        try Self.append(length: keys.count, to: bytes)
        for key in keys {
            try Self.append(key.label, to: bytes)
            try Self.append(SecretBytes(key.id), to: bytes)
            bytes.append(key.usage.rawValue)
            try Self.append(key.value, to: bytes)
        }
        guard bytes.count <= Self.largestEncoding else {
            throw DevError("The plan of token \(label) is larger than \(Self.largestEncoding) bytes: too many keys.")
        }
        return bytes
    }

    /// Reads a plan to the end of the descriptor.
    /// - Throws: `DevError` when there is none, or one of another version.
    package static func read(fromDescriptor descriptor: Int32) throws -> TokenPlan {
        let bytes = try PrivateFiles.readAll(descriptor, limit: largestEncoding, named: "the token plan")
        guard let plan = TokenPlan(decoding: bytes) else {
            throw DevError("Standard input holds no token plan of this version.")
        }
        return plan
    }

    /// `nil` for anything that `encoded()` would not write.
    package init?(decoding bytes: SecretBytes) {
        guard bytes.count <= Self.largestEncoding else { return nil }
        let plan = bytes.withUnsafeBytes { raw -> TokenPlan? in
            var reader = PlanReader(bytes: raw)
            guard let head = reader.take(magic.count), head.elementsEqual(magic), reader.byte() == version,
                let label = reader.text(), let soPIN = reader.secret(), let userPIN = reader.secret(),
                let count = reader.length()
            else { return nil }
            var keys: [PlannedKey] = []
            for _ in 0..<count {
                guard let label = reader.text(), let id = reader.field(), let usage = reader.byte(),
                    let value = reader.secret(), value.count == 32
                else { return nil }
                keys.append(
                    PlannedKey(label: label, id: Array(id), value: value, usage: KeyUsage(rawValue: usage)))
            }
            guard reader.isAtEnd, !label.isEmpty, label.utf8.count <= 32 else { return nil }
            return TokenPlan(label: label, soPIN: soPIN, userPIN: userPIN, keys: keys)
        }
        guard let plan else { return nil }
        self = plan
    }

    private static func append(_ text: String, to bytes: SecretBytes) throws {
        try append(SecretBytes(Array(text.utf8)), to: bytes)
    }

    private static func append(_ field: SecretBytes, to bytes: SecretBytes) throws {
        try append(length: field.count, to: bytes)
        field.withUnsafeBytes { bytes.append(copying: $0) }
    }

    private static func append(length: Int, to bytes: SecretBytes) throws {
        guard let length = UInt16(exactly: length) else { throw DevError("A field of a token plan is too long.") }
        bytes.append(UInt8(length >> 8))
        bytes.append(UInt8(length & 0xFF))
    }
}

private struct PlanReader {
    let bytes: UnsafeRawBufferPointer
    var position = 0

    var isAtEnd: Bool { position == bytes.count }

    mutating func take(_ count: Int) -> UnsafeRawBufferPointer? {
        guard count <= bytes.count - position else { return nil }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
    }

    mutating func byte() -> UInt8? { take(1)?.first }

    mutating func length() -> Int? { take(2).map { Int($0[0]) << 8 | Int($0[1]) } }

    mutating func field() -> UnsafeRawBufferPointer? { length().flatMap { take($0) } }

    mutating func secret() -> SecretBytes? { field().map { SecretBytes(copying: $0) } }

    mutating func text() -> String? { field().flatMap { String(validating: $0, as: UTF8.self) } }
}
