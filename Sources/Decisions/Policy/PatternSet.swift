// SPDX-License-Identifier: Apache-2.0

/// Alternatives of which one must fit. Those without wildcards are found by bisection, however many there are.
struct PatternSet: Sendable, Hashable {
    /// Sorted, each once.
    private let literals: [[UInt8]]
    private let patterns: [TextPattern]
    /// All of them, in the order of the policy.
    let all: [TextPattern]

    init(_ all: [TextPattern]) {
        self.all = all
        patterns = all.filter { !$0.isLiteral }
        literals = Set(all.filter(\.isLiteral).map(\.literalPrefix)).sorted { $0.lexicographicallyPrecedes($1) }
    }

    func matches(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        if !literals.isEmpty, hasLiteral(text) { return true }
        for pattern in patterns where pattern.matches(text) { return true }
        return false
    }

    private func hasLiteral(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        var (low, high) = (0, literals.count)
        while low < high {
            let middle = (low + high) / 2
            switch Self.order(literals[middle], text) {
            case 0: return true
            case ..<0: low = middle + 1
            default: high = middle
            }
        }
        return false
    }

    /// Below 0 where `left` comes first.
    private static func order(_ left: [UInt8], _ right: UnsafeBufferPointer<UInt8>) -> Int {
        let common = min(left.count, right.count)
        for index in 0..<common where left[index] != right[index] { return Int(left[index]) - Int(right[index]) }
        return left.count - right.count
    }
}

/// A pattern of ARNs: each of the six parts between colons is a pattern of its own, so that a `*` does not reach over a
/// colon, but in the last.
struct ARNPattern: Sendable, Hashable {
    static let parts = 6

    /// The whole, for what every ARN that fits begins and ends with.
    let whole: TextPattern
    private let patterns: [TextPattern]

    enum Flaw: Error, Equatable {
        case notSixParts
        case pattern(TextPattern.Flaw)
    }

    init(_ text: String) throws(Flaw) {
        // `${…}` cannot hold a colon that is meant, so that it can be divided first.
        let texts = text.split(separator: ":", maxSplits: Self.parts - 1, omittingEmptySubsequences: false)
        do throws(TextPattern.Flaw) {
            whole = try TextPattern(text)
            var patterns: [TextPattern] = []
            for part in texts { patterns.append(try TextPattern(String(part))) }
            self.patterns = patterns
        } catch {
            throw .pattern(error)
        }
        guard patterns.count == Self.parts else { throw .notSixParts }
    }

    /// The account that each ARN that fits is of, where there is one.
    var account: String? {
        let account = patterns[4]
        return account.isLiteral && account.text.utf8.count == 12 ? account.text : nil
    }

    var service: TextPattern { patterns[2] }
    var resource: TextPattern { patterns[5] }

    func matches(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        var start = 0
        for (index, pattern) in patterns.enumerated() {
            let isLast = index == Self.parts - 1
            let rest = UnsafeBufferPointer(rebasing: text[start...])
            guard let end = isLast ? rest.count : rest.firstIndex(of: UInt8(ascii: ":")) else { return false }
            guard pattern.matches(UnsafeBufferPointer(rebasing: rest[..<end])) else { return false }
            start += end + (isLast ? 0 : 1)
        }
        return true
    }
}

/// Parts of ARNs.
enum ARN {
    /// The account of an ARN, the fifth part; `nil` where the text is no ARN or names none.
    static func account(_ text: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8>? {
        guard text.starts(with: [0x61, 0x72, 0x6E, 0x3A]) else { return nil }
        var start = 0
        for _ in 0..<4 {
            guard let colon = text[start...].firstIndex(of: UInt8(ascii: ":")) else { return nil }
            start = colon + 1
        }
        guard let end = text[start...].firstIndex(of: UInt8(ascii: ":")), end > start else { return nil }
        return UnsafeBufferPointer(rebasing: text[start..<end])
    }

    static func account(_ text: String) -> String? {
        text.withBytes { account($0).map { String(decoding: $0, as: UTF8.self) } }
    }
}
