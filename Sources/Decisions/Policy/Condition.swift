// SPDX-License-Identifier: Apache-2.0

/// One key of one operator in a statement's Condition, ready to be asked.
struct Condition: Sendable {
    /// What the values of a request are compared with; one alternative is enough.
    enum Operands: Sendable {
        /// Case counts.
        case texts(PatternSet)
        /// In lower case (ASCII).
        case foldedTexts(PatternSet)
        case arns([ARNPattern])
        case numbers([Double])
        case moments([Int64])
        case bools(Set<Bool>)
        case addresses([AddressRange])
        /// Whether the key must be absent.
        case absence(Set<Bool>)
    }

    let key: ConditionKey
    let test: ConditionOperator
    let operands: Operands
    /// As they stand in the policy, for explanations.
    let values: [String]

    /// Whether the request is as the condition asks.
    func holds(_ request: PolicyRequest) -> Bool {
        switch key {
        case .clientAddress:
            let address = ClientAddress(request.clientAddress)
            return result(address == nil ? nil : fits(address))
        case .currentTime: return result(fits(request.time))
        case .other(let name):
            let values = request.values(ofOther: name)
            return values.count < 2 ? result(values.first.map(fits)) : result(ofSeveral: values.map(fits))
        default: return result(request.text(key).map(fits))
        }
    }

    /// - Parameter fits: whether the request's one value fits; `nil` where the key is absent.
    private func result(_ fits: Bool?) -> Bool {
        if case .absence(let wanted) = operands { return wanted.contains(fits == nil) }
        guard let fits else {
            return switch test.quantifier {
            case .any: false
            case .all: true
            case nil: test.ifExists || test.comparison.isNegated
            }
        }
        return fits != test.comparison.isNegated
    }

    private func result(ofSeveral fits: [Bool]) -> Bool {
        let isNegated = test.comparison.isNegated
        return switch (operands, test.quantifier) {
        case (.absence(let wanted), _): wanted.contains(false)
        case (_, .any): fits.contains { $0 != isNegated }
        case (_, .all): fits.allSatisfy { $0 != isNegated }
        case (_, nil): fits.contains(true) != isNegated
        }
    }

    // MARK: One value

    private func fits(_ text: String) -> Bool {
        switch operands {
        case .texts(let patterns): text.withBytes(patterns.matches)
        case .foldedTexts(let patterns): Self.folded(text).withUnsafeBufferPointer(patterns.matches)
        case .arns(let patterns):
            text.withBytes { bytes in
                for pattern in patterns where pattern.matches(bytes) { return true }
                return false
            }
        case .numbers(let given):
            Self.number(text).map { value in given.contains { test.comparison.holds(value, $0) } } ?? false
        case .moments: PolicyMoment.seconds(text).map(fits) ?? false
        case .bools(let given): Self.bool(text).map(given.contains) ?? false
        case .addresses: ClientAddress(text).map { fits($0) } ?? false
        case .absence: true
        }
    }

    private func fits(_ moment: Int64) -> Bool {
        switch operands {
        case .moments(let given): given.contains { test.comparison.holds(moment, $0) }
        case .absence: true
        default: false
        }
    }

    private func fits(_ address: ClientAddress?) -> Bool {
        switch operands {
        case .addresses(let ranges):
            if let address { ranges.contains { $0.contains(address) } } else { false }
        case .absence: true
        default: false
        }
    }

    /// A decimal number, finite; `nil` for anything else that `Double` takes.
    static func number(_ text: String) -> Double? {
        let isPlain = text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || [0x2B, 0x2D, 0x2E, 0x45, 0x65].contains(byte)
        }
        guard isPlain, let number = Double(text), number.isFinite else { return nil }
        return number
    }

    static func bool(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true": true
        case "false": false
        default: nil
        }
    }

    /// ASCII letters in lower case; all else as it is.
    static func folded(_ text: String) -> [UInt8] {
        text.utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
    }
}
