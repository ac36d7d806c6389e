// SPDX-License-Identifier: Apache-2.0

/// A pattern of text: `*` stands for any number of characters, `?` for exactly one (a Unicode scalar), all else for
/// itself, byte for byte.
///
/// A match takes time linear in the text: what stands before the first `*` and after the last is compared where it must
/// stand; what stands between two of them is looked for once, from left to right, and the first place is always good
/// enough. There is nothing to go back to.
struct TextPattern: Sendable, Hashable {
    /// A byte, or `anyCharacter`.
    private typealias Token = UInt16
    private static let anyCharacter: Token = 0x100

    /// What stands between two `*`.
    private struct Part: Sendable, Hashable {
        var tokens: [Token]
        /// For each token how much of the part has been matched when the next one differs (Knuth, Morris and Pratt).
        var fallback: [UInt16]
    }

    /// As it stands in the policy.
    let text: String
    private let head: [Token]
    /// `nil` where there is no `*`: then `head` is everything.
    private let tail: [Token]?
    private let middle: [Part]

    /// Why a text cannot be a pattern.
    enum Flaw: Error, Equatable {
        /// `${…}` but for `${*}`, `${?}` and `${$}`.
        case variable(String)
        case crowdedStars
    }

    /// - Parameter hasWildcards: false where `*` and `?` stand for themselves.
    init(_ text: String, hasWildcards: Bool = true) throws(Flaw) {
        self.text = text
        var parts: [[Token]] = [[]]
        let bytes = Array(text.utf8)
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: "$"), index + 1 < bytes.count, bytes[index + 1] == UInt8(ascii: "{") {
                guard index + 3 < bytes.count, bytes[index + 3] == UInt8(ascii: "}"),
                    [UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "$")].contains(bytes[index + 2])
                else { throw .variable(Self.variable(bytes[index...])) }
                parts[parts.count - 1].append(Token(bytes[index + 2]))
                index += 4
                continue
            }
            switch byte {
            case UInt8(ascii: "*") where hasWildcards: parts.append([])
            case UInt8(ascii: "?") where hasWildcards: parts[parts.count - 1].append(Self.anyCharacter)
            default: parts[parts.count - 1].append(Token(byte))
            }
            index += 1
        }
        head = parts[0]
        tail = parts.count > 1 ? parts[parts.count - 1] : nil
        let between = parts.count > 2 ? Array(parts[1..<(parts.count - 1)]).filter { !$0.isEmpty } : []
        for part in between where part.contains(Self.anyCharacter) {
            guard part.count <= PolicyLimits.charactersBetweenStars else { throw .crowdedStars }
        }
        middle = between.map(Self.part)
    }

    private static func variable(_ bytes: ArraySlice<UInt8>) -> String {
        let end = bytes.firstIndex(of: UInt8(ascii: "}")) ?? bytes.index(before: bytes.endIndex)
        return String(decoding: bytes[...end], as: UTF8.self)
    }

    private static func part(_ tokens: [Token]) -> Part {
        guard !tokens.contains(anyCharacter) else { return Part(tokens: tokens, fallback: []) }
        var fallback = [UInt16](repeating: 0, count: tokens.count)
        var length = 0
        for index in tokens.indices.dropFirst() {
            while length > 0, tokens[index] != tokens[length] { length = Int(fallback[length - 1]) }
            if tokens[index] == tokens[length] { length += 1 }
            fallback[index] = UInt16(truncatingIfNeeded: length)
        }
        return Part(tokens: tokens, fallback: fallback)
    }

    /// Whether it stands for one text only.
    var isLiteral: Bool { tail == nil && !head.contains(Self.anyCharacter) }

    /// Whether it stands for every text.
    var isAnything: Bool { head.isEmpty && tail?.isEmpty == true && middle.isEmpty }

    /// What every text that fits begins with; all of it where the pattern is literal.
    var literalPrefix: [UInt8] { Self.bytes(head.prefix { $0 != Self.anyCharacter }) }

    /// What stands in every text that fits, in one piece each; empty where there is no such thing.
    var literalPieces: [[UInt8]] {
        ([head] + middle.map(\.tokens) + [tail ?? []]).flatMap { tokens in
            tokens.split(separator: Self.anyCharacter).map(Self.bytes)
        }
    }

    private static func bytes(_ tokens: some Sequence<Token>) -> [UInt8] {
        tokens.map { UInt8(truncatingIfNeeded: $0) }
    }

    func matches(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let start = Self.end(of: head, at: 0, in: text) else { return false }
        guard let tail else { return start == text.count }
        guard let end = Self.start(of: tail, before: text.count, in: text), end >= start else { return false }
        var position = start
        for part in middle {
            guard let next = Self.find(part, from: position, to: end, in: text) else { return false }
            position = next
        }
        return true
    }

    /// Where the tokens end if they stand at `start`.
    private static func end(of tokens: [Token], at start: Int, in text: UnsafeBufferPointer<UInt8>) -> Int? {
        var position = start
        for token in tokens {
            guard position < text.count else { return nil }
            if token == anyCharacter {
                position += 1
                while position < text.count, isContinuation(text[position]) { position += 1 }
            } else {
                guard Token(text[position]) == token else { return nil }
                position += 1
            }
        }
        return position
    }

    /// Where the tokens begin if they end at `end`.
    private static func start(of tokens: [Token], before end: Int, in text: UnsafeBufferPointer<UInt8>) -> Int? {
        var position = end
        for token in tokens.reversed() {
            guard position > 0 else { return nil }
            position -= 1
            if token == anyCharacter {
                while position > 0, isContinuation(text[position]) { position -= 1 }
            } else {
                guard Token(text[position]) == token else { return nil }
            }
        }
        return position
    }

    /// Where the first place of a part ends that lies in a range.
    private static func find(
        _ part: Part, from start: Int, to end: Int, in text: UnsafeBufferPointer<UInt8>
    ) -> Int? {
        let text = UnsafeBufferPointer(rebasing: text[..<end])
        guard !part.fallback.isEmpty else {
            for position in start..<max(start, end) where !isContinuation(text[position]) {
                if let found = Self.end(of: part.tokens, at: position, in: text) { return found }
            }
            return nil
        }
        var length = 0
        for position in start..<max(start, end) {
            let byte = Token(text[position])
            while length > 0, part.tokens[length] != byte { length = Int(part.fallback[length - 1]) }
            if part.tokens[length] == byte { length += 1 }
            if length == part.tokens.count { return position + 1 }
        }
        return nil
    }

    private static func isContinuation(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }
}

extension TextPattern {
    /// For what is not on a request's way.
    func matches(_ text: String) -> Bool { text.withBytes(matches) }
}

extension String {
    /// Lends its UTF-8.
    func withBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        if let result = utf8.withContiguousStorageIfAvailable(body) { return result }
        return Array(utf8).withUnsafeBufferPointer(body)
    }
}
