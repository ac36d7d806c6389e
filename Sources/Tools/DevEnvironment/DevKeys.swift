// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PrivateFiles
import SecureMemory
import StatusVocabulary

/// The AES-256 keys that every token of a development node holds.
///
/// Their values are random, made once, and kept in a file beside the tokens: an HSM that is added later must hold the
/// same keys, and a SoftHSM token does not give them out. Real HSMs get theirs by cloning or a key ceremony; no file
/// with key values exists there.
package struct DevKeys: Sendable {
    /// What each key may do. The names are the defaults of AWS's public test client for XKS proxies, which tries a key
    /// of every kind.
    package static let usages: [(label: String, usage: KeyUsage)] = [
        ("foo", [.encrypt, .decrypt]),
        ("bar", [.encrypt, .decrypt]),
        ("encrypt_only_key", .encrypt),
        ("decrypt_only_key", .decrypt),
        ("impotent_key", [.sign, .verify]),
    ]

    package static var labels: [String] { usages.map(\.label) }

    package let keys: [PlannedKey]

    private static let heading = """
        # Key values of a Claviger development node: label, then the AES-256 value in hexadecimal.
        # For development only. Whoever reads this file can open everything these keys have closed.

        """

    /// The key values; new ones only while no token exists that could hold others under the same names.
    static func ensure(in state: DevState) throws -> DevKeys {
        if let keys = try load(from: state) { return keys }
        let directories = [state.directory] + DevState.nodes.map(state.directory(ofNode:))
        let existing = directories.flatMap { DevHSM.all(DevHSM.numbers.upperBound, in: $0) }.filter(\.isComplete)
        guard existing.isEmpty else {
            throw DevError(
                "\(state.keysFile) is missing, so no HSM can be added with the keys that "
                    + "\(existing.map(\.directory).joined(separator: ", ")) hold. Start without more HSMs, or remove "
                    + "\(state.directory) to begin anew with other keys.")
        }
        return try make(in: state)
    }

    /// Reads the key file.
    /// - Returns: `nil` when there is none.
    /// - Throws: `DevError` when it cannot be read, or lacks a key.
    package static func load(from state: DevState) throws -> DevKeys? {
        guard let content = try PrivateFiles.read(state.keysFile) else { return nil }
        let values = content.withUnsafeBytes(parse)
        let keys = usages.compactMap { label, usage in
            values?[label].map { PlannedKey(label: label, id: Array(label.utf8), value: $0, usage: usage) }
        }
        guard keys.count == usages.count else {
            throw DevError(
                "\(state.keysFile) is damaged: it must hold a line for each of \(labels.joined(separator: ", ")). "
                    + "Bring it back from a copy, or remove the state directory to begin anew with other keys.")
        }
        return DevKeys(keys: keys)
    }

    /// Makes new values and writes the key file, before any token holds one of them.
    package static func make(in state: DevState) throws -> DevKeys {
        var generator = SystemRandomNumberGenerator()
        let keys = usages.map { label, usage in
            let value = SecretBytes(capacity: 32)
            for _ in 0..<32 { value.append(UInt8.random(in: .min ... .max, using: &generator)) }
            return PlannedKey(label: label, id: Array(label.utf8), value: value, usage: usage)
        }
        let content = SecretBytes(capacity: 1_024)
        content.append(contentsOf: heading.utf8)
        for key in keys {
            content.append(contentsOf: "\(key.label) ".utf8)
            key.value.withUnsafeBytes { bytes in
                for byte in bytes {
                    content.append(hexadecimal(byte >> 4))
                    content.append(hexadecimal(byte & 15))
                }
            }
            content.append(UInt8(ascii: "\n"))
        }
        try PrivateFiles.write(content, to: state.keysFile)
        return DevKeys(keys: keys)
    }

    /// `nil` when a line is neither a comment nor a label with 64 hexadecimal digits.
    private static func parse(_ content: UnsafeRawBufferPointer) -> [String: SecretBytes]? {
        var values: [String: SecretBytes] = [:]
        for line in content.split(separator: UInt8(ascii: "\n")) where line.first != UInt8(ascii: "#") {
            let fields = line.split(separator: UInt8(ascii: " "))
            guard fields.count == 2, let label = String(validating: fields[0], as: UTF8.self),
                let value = value(ofHexadecimal: fields[1])
            else { return nil }
            values[label] = value
        }
        return values
    }

    private static func value(ofHexadecimal digits: Slice<UnsafeRawBufferPointer>) -> SecretBytes? {
        guard digits.count == 64 else { return nil }
        let value = SecretBytes(capacity: 32)
        var upper: UInt8?
        for digit in digits {
            guard let nibble = nibble(ofHexadecimal: digit) else { return nil }
            if let first = upper {
                value.append(first << 4 | nibble)
                upper = nil
            } else {
                upper = nibble
            }
        }
        return value
    }

    private static func nibble(ofHexadecimal digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }

    private static func hexadecimal(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + (nibble - 10)
    }
}
