// SPDX-License-Identifier: Apache-2.0

/// The sum of one 128-bit number for each entry of a block list: the same in whatever order they were added, and kept
/// up without going through the list.
///
/// It finds out whether two lists differ. It is no defence against somebody who makes lists that seem equal: peers are
/// known by their certificates, and exchange whole lists.
struct DigestSum: Sendable, Equatable {
    private var sum: UInt128 = 0

    mutating func add(_ form: [UInt8]) { sum &+= Self.number(form) }
    mutating func remove(_ form: [UInt8]) { sum &-= Self.number(form) }

    /// An unknown list differs from a known one with the same entries: the one who lacks something must ask.
    func hex(isKnown: Bool) -> String {
        let value = isKnown ? sum : sum &+ Self.number([])
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 32 - digits.utf8.count) + digits
    }

    /// FNV-1a with 128 bits (Fowler, Noll, Vo; offset basis and prime of draft-eastlake-fnv), then two rounds that
    /// carry every bit into every other: sums of plain FNV values of similar texts are similar.
    private static func number(_ form: [UInt8]) -> UInt128 {
        var value: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d
        let prime: UInt128 = 0x0000_0000_0100_0000_0000_0000_0000_013b
        for byte in form { value = (value ^ UInt128(byte)) &* prime }
        for _ in 0..<2 {
            value ^= value >> 65
            value = value &* 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835
        }
        return value ^ (value >> 61)
    }
}

extension Block {
    /// All fields, each with its length before it: equal bytes exactly when every byte of every field is equal.
    var canonicalForm: [UInt8] {
        var form: [UInt8] = [0x42]
        for field in [id, target.kind, target.value, reason, madeBy] { form.append(field: field) }
        form.append(number: madeAt)
        form.append(expiresAt == nil ? 0 : 1)
        form.append(number: expiresAt ?? 0)
        return form
    }
}

extension BlockLift {
    /// As ``Block/canonicalForm``, and never equal to one.
    var canonicalForm: [UInt8] {
        var form: [UInt8] = [0x4C]
        for field in [id, liftedBy] { form.append(field: field) }
        form.append(number: liftedAt)
        return form
    }
}

extension [UInt8] {
    fileprivate mutating func append(field: String) {
        append(number: Int64(field.utf8.count))
        append(contentsOf: field.utf8)
    }

    fileprivate mutating func append(number: Int64) {
        for shift in stride(from: 56, through: 0, by: -8) { append(UInt8(truncatingIfNeeded: number >> shift)) }
    }
}
