// SPDX-License-Identifier: Apache-2.0

/// A pattern for external key ids: `*` stands for any number of characters, `?` for exactly one.
///
/// Matching reads each character of the name once, whatever the pattern. It follows all ways through the pattern at
/// the same time, one bit for each: bit *i* is set when the text so far can end at the pattern's *i*-th token. A
/// pattern has at most 128 characters, so the bits fit into one machine number and nothing ever goes back.
package struct Glob: Sendable, Equatable {
    package let pattern: String
    /// For each ASCII code the tokens that accept it.
    private let accepting: [UInt128]
    /// Tokens followed by a star: they stay reached on any character.
    private let loops: UInt128
    private let startsWithStar: Bool
    /// The last token; nil for a pattern of stars alone.
    private let last: UInt128?

    /// - Throws: ``AccessControlError`` for an empty or overlong pattern, or a character no external key id has.
    package init(_ pattern: String) throws(AccessControlError) {
        guard ExternalKeyID.lengths.contains(pattern.utf8.count) else {
            throw .patternLength(pattern: pattern, length: pattern.utf8.count)
        }
        if let character = ExternalKeyID.firstIllegalCharacter(in: pattern, besides: { $0 == "*" || $0 == "?" }) {
            throw .illegalPatternCharacter(pattern: pattern, character: character)
        }
        var accepting = [UInt128](repeating: 0, count: 128)
        var loops: UInt128 = 0
        var startsWithStar = false
        var last: UInt128?
        for byte in pattern.utf8 {
            if byte == 0x2A {
                if let last { loops |= last } else { startsWithStar = true }
                continue
            }
            let token = last.map { $0 << 1 } ?? 1
            if byte == 0x3F {
                for code in accepting.indices { accepting[code] |= token }
            } else {
                accepting[Int(byte & 0x7F)] |= token
            }
            last = token
        }
        self.pattern = pattern
        self.accepting = accepting
        self.loops = loops
        self.startsWithStar = startsWithStar
        self.last = last
    }

    /// Whether all of `name` fits the pattern. A name that is no external key id fits none.
    package func matches(_ name: String) -> Bool {
        guard ExternalKeyID.isValid(name) else { return false }
        guard let last else { return true }
        var reached: UInt128 = 0
        var atStart: UInt128 = 1
        for byte in name.utf8 {
            let advanced = (reached << 1 | atStart) & accepting[Int(byte & 0x7F)]
            reached = advanced | (reached & loops)
            if !startsWithStar { atStart = 0 }
        }
        return reached & last != 0
    }
}
