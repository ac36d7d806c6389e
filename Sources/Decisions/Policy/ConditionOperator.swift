// SPDX-License-Identifier: Apache-2.0

/// How a condition compares.
package enum Comparison: String, Sendable, CaseIterable {
    case stringEquals = "StringEquals"
    case stringNotEquals = "StringNotEquals"
    case stringEqualsIgnoreCase = "StringEqualsIgnoreCase"
    case stringNotEqualsIgnoreCase = "StringNotEqualsIgnoreCase"
    case stringLike = "StringLike"
    case stringNotLike = "StringNotLike"
    case arnEquals = "ArnEquals"
    case arnNotEquals = "ArnNotEquals"
    case arnLike = "ArnLike"
    case arnNotLike = "ArnNotLike"
    case numericEquals = "NumericEquals"
    case numericNotEquals = "NumericNotEquals"
    case numericLessThan = "NumericLessThan"
    case numericLessThanEquals = "NumericLessThanEquals"
    case numericGreaterThan = "NumericGreaterThan"
    case numericGreaterThanEquals = "NumericGreaterThanEquals"
    case dateEquals = "DateEquals"
    case dateNotEquals = "DateNotEquals"
    case dateLessThan = "DateLessThan"
    case dateLessThanEquals = "DateLessThanEquals"
    case dateGreaterThan = "DateGreaterThan"
    case dateGreaterThanEquals = "DateGreaterThanEquals"
    case bool = "Bool"
    case ipAddress = "IpAddress"
    case notIPAddress = "NotIpAddress"
    case null = "Null"

    /// Whether it is so where the values are *not* as the policy says: of several none may be, and an absent one is not.
    package var isNegated: Bool {
        switch self {
        case .stringNotEquals, .stringNotEqualsIgnoreCase, .stringNotLike, .arnNotEquals, .arnNotLike,
            .numericNotEquals, .dateNotEquals, .notIPAddress:
            true
        default: false
        }
    }

    enum Kind: Equatable {
        case text, arn, number, date, bool, address, null
    }

    var kind: Kind {
        switch self {
        case .stringEquals, .stringNotEquals, .stringEqualsIgnoreCase, .stringNotEqualsIgnoreCase, .stringLike,
            .stringNotLike:
            .text
        case .arnEquals, .arnNotEquals, .arnLike, .arnNotLike: .arn
        case .numericEquals, .numericNotEquals, .numericLessThan, .numericLessThanEquals, .numericGreaterThan,
            .numericGreaterThanEquals:
            .number
        case .dateEquals, .dateNotEquals, .dateLessThan, .dateLessThanEquals, .dateGreaterThan,
            .dateGreaterThanEquals:
            .date
        case .bool: .bool
        case .ipAddress, .notIPAddress: .address
        case .null: .null
        }
    }

    /// Whether two values that can be ordered stand as the comparison asks; of a negated one whether they are equal.
    func holds<Value: Comparable>(_ value: Value, _ given: Value) -> Bool {
        switch self {
        case .numericLessThan, .dateLessThan: value < given
        case .numericLessThanEquals, .dateLessThanEquals: value <= given
        case .numericGreaterThan, .dateGreaterThan: value > given
        case .numericGreaterThanEquals, .dateGreaterThanEquals: value >= given
        default: value == given
        }
    }
}

/// A condition's operator: a comparison, and what it means of values that are absent or several.
struct ConditionOperator: Sendable, Hashable {
    enum Quantifier: String, Sendable {
        /// At least one of the request's values fits; none does where the key is absent.
        case any = "ForAnyValue"
        /// Each of the request's values fits, also where there is none.
        case all = "ForAllValues"
    }

    let comparison: Comparison
    let quantifier: Quantifier?
    /// Where the key is absent the condition holds.
    let ifExists: Bool

    var name: String {
        (quantifier.map { "\($0.rawValue):" } ?? "") + comparison.rawValue + (ifExists ? "IfExists" : "")
    }

    struct Flaw: Error, Equatable {
        let message: String
        let mend: String
    }

    init(_ name: String) throws(Flaw) {
        var rest = Substring(name)
        if let colon = rest.firstIndex(of: ":") {
            guard let quantifier = Quantifier(rawValue: String(rest[..<colon])) else {
                throw Flaw(
                    message: "is no operator", mend: "before a colon only ForAnyValue and ForAllValues can stand")
            }
            self.quantifier = quantifier
            rest = rest[rest.index(after: colon)...]
        } else {
            quantifier = nil
        }
        ifExists = rest.hasSuffix("IfExists")
        if ifExists { rest = rest.dropLast("IfExists".count) }
        guard let comparison = Comparison(rawValue: String(rest)) else {
            let names = Comparison.allCases.map(\.rawValue)
            throw Flaw(
                message: "is no operator",
                mend: NearestWord.find(String(rest), among: names).map { "did you mean \($0)?" }
                    ?? "there are: \(names.joined(separator: ", "))")
        }
        self.comparison = comparison
        guard !ifExists || comparison != .null else {
            throw Flaw(message: "is no operator", mend: "Null asks for absence itself; leave IfExists out")
        }
        guard !ifExists || quantifier == nil else {
            throw Flaw(
                message: "has two words on absent values",
                mend: "leave IfExists out: ForAllValues holds where the key is absent, ForAnyValue does not")
        }
        guard quantifier == nil || comparison != .null else {
            throw Flaw(message: "is no operator", mend: "Null asks for the key, not for its values; write Null alone")
        }
    }
}

/// The word that was probably meant.
enum NearestWord {
    /// - Returns: the one of `words` that differs in at most a third of its characters, upper and lower case being the
    ///   same; `nil` for none, and for a word that is too long to be meant.
    static func find(_ word: String, among words: [String]) -> String? {
        let given = Array(word.lowercased().utf8)
        guard (1...64).contains(given.count) else { return nil }
        var best: (word: String, distance: Int)?
        for candidate in words {
            let distance = distance(given, Array(candidate.lowercased().utf8))
            if distance <= candidate.utf8.count / 3, best.map({ distance < $0.distance }) ?? true {
                best = (candidate, distance)
            }
        }
        return best?.word
    }

    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var row = Array(0...right.count)
        for (index, byte) in left.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for column in right.indices {
                let change = diagonal + (byte == right[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(change, row[column] + 1, diagonal + 1)
            }
        }
        return row[right.count]
    }
}
