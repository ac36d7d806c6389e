// SPDX-License-Identifier: Apache-2.0
import Chance

/// A set of keys' labels, too many to be named one by one: a Bloom filter (Bloom: "Space/Time Trade-offs in Hash Coding
/// with Allowable Errors", CACM 1970) with double hashing (Kirsch and Mitzenmacher: "Less Hashing, Same Performance",
/// 2006). It holds every label that was put in, and with few labels hardly any other: up to 800 labels one in ten
/// thousand, with 5,000 one in five. So whoever reads it takes a hit for "probably".
package struct LabelFilter: Sendable, Hashable {
    /// Longest filter, bytes.
    package static let mostBytes = 2_048
    private static let bitsPerLabel = 20
    private static let mostHashes = 10

    private var bits: [UInt8]
    /// How many bits stand for a label.
    private var hashes: Int

    /// - Parameter labels: the labels' bytes; an empty list makes a filter that holds nothing.
    package init(_ labels: some Collection<[UInt8]>) {
        let wanted = labels.count.multipliedReportingOverflow(by: Self.bitsPerLabel)
        let bytes = wanted.overflow ? Self.mostBytes : min((wanted.partialValue + 7) / 8, Self.mostBytes)
        bits = Array(repeating: 0, count: max(bytes, 8))
        // As many as let the fewest others pass: ln 2 · bits for each label.
        let share = bits.count * 8 / max(labels.count, 1)
        hashes = min(max(share * 7 / 10, 1), Self.mostHashes)
        for label in labels {
            for bit in positions(of: label) { bits[bit / 8] |= 1 << (bit % 8) }
        }
    }

    /// Whether the label is probably among those that were put in; `false` is certain.
    package func mayHold(_ label: some Sequence<UInt8>) -> Bool {
        positions(of: label).allSatisfy { bits[$0 / 8] & (1 << ($0 % 8)) != 0 }
    }

    private func positions(of label: some Sequence<UInt8>) -> [Int] {
        // FNV-1a, 64 bits; then two independent halves by SplitMix64's finalizer.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in label { hash = (hash ^ UInt64(byte)) &* 0x0100_0000_01B3 }
        var mixer = RandomChoice(seed: hash)
        let (first, second) = (mixer.next(), mixer.next() | 1)
        return (0..<UInt64(hashes)).map { Int((first &+ $0 &* second) % UInt64(bits.count * 8)) }
    }
}

extension LabelFilter: Codable {
    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 2), (9...Self.mostBytes + 1).contains(digits.count / 2) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "A filter of \(digits.count) digits."))
        }
        let bytes: [UInt8] = try stride(from: 0, to: digits.count, by: 2).map { position in
            guard let high = Self.value(of: digits[position]), let low = Self.value(of: digits[position + 1]) else {
                throw DecodingError.dataCorrupted(
                    .init(codingPath: decoder.codingPath, debugDescription: "A filter that is not hexadecimal."))
            }
            return high << 4 | low
        }
        hashes = min(max(Int(bytes[0]), 1), Self.mostHashes)
        bits = Array(bytes.dropFirst())
    }

    package func encode(to encoder: any Encoder) throws {
        let digits = Array("0123456789abcdef".utf8)
        let text = ([UInt8(clamping: hashes)] + bits).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        var container = encoder.singleValueContainer()
        try container.encode(String(decoding: text, as: UTF8.self))
    }

    private static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x61...0x66: digit - 0x57
        default: nil
        }
    }

    /// Digits of its form in a message.
    var weight: Int { bits.count * 2 }
}
