// SPDX-License-Identifier: Apache-2.0

// Condition: operators, the keys of each, and the values of each key.

extension PolicyReader {
    func conditions(_ node: JSONNode) -> [Condition] {
        guard case .object(let operators) = node.value else {
            report(node.offset, "Condition", "is \(node.kind)", mend: "write { \"StringEquals\": { KEY: VALUE } }")
            return []
        }
        var conditions: [Condition] = []
        for member in operators {
            let test: ConditionOperator
            do throws(ConditionOperator.Flaw) {
                test = try ConditionOperator(member.name)
            } catch {
                report(member.offset, "Condition", value: Shown.quoted(member.name), error.message, mend: error.mend)
                continue
            }
            let place = "Condition.\(member.name)"
            guard case .object(let keys) = member.node.value else {
                report(member.node.offset, place, "is \(member.node.kind)", mend: "write { KEY: VALUE }")
                continue
            }
            if keys.isEmpty {
                report(member.node.offset, place, "names no key", mend: "add one, or remove the operator")
            }
            conditions += keys.compactMap { condition(test, $0, place) }
        }
        return conditions
    }

    private func condition(_ test: ConditionOperator, _ member: JSONNode.Member, _ place: String) -> Condition? {
        let key: ConditionKey
        do throws(ConditionKey.Flaw) {
            key = try ConditionKey(member.name)
        } catch {
            report(member.offset, place, value: Shown.quoted(member.name), "is no key of a condition", mend: error.mend)
            return nil
        }
        if let mend = Self.misfit(test.comparison, key) {
            report(
                member.offset, place, value: Shown.quoted(member.name), "has no value that \(test.name) compares",
                mend: mend)
            return nil
        }
        let place = "\(place).\(key.name)"
        let values = texts(member.node, place, takesOthers: true)
        return Condition(
            key: key, test: test, operands: operands(test.comparison, values, place), values: values.map(\.text))
    }

    /// What to write where an operator and a key do not go together.
    private static func misfit(_ comparison: Comparison, _ key: ConditionKey) -> String? {
        switch (key, comparison.kind) {
        case (_, .null): nil
        case (.clientAddress, .address), (.currentTime, .date): nil
        case (.clientAddress, _): "use IpAddress or NotIpAddress"
        case (.currentTime, _): "use DateLessThan, DateGreaterThan and their like"
        case (_, .address): "use xks:ClientAddress: no other key has an address"
        default: nil
        }
    }

    private func operands(
        _ comparison: Comparison, _ values: [(text: String, offset: Int)], _ place: String
    ) -> Condition.Operands {
        switch comparison.kind {
        case .text: return textOperands(comparison, values, place)
        case .arn: return .arns(values.compactMap { arn($0.text, $0.offset, place) })
        case .number:
            return .numbers(read(values, place, "is no number", "write decimal digits", Condition.number))
        case .date:
            return .moments(
                read(
                    values, place, "is no moment", "write 2026-01-31T08:00:00Z, or seconds since 1970",
                    PolicyMoment.seconds))
        case .bool:
            return .bools(Set(read(values, place, "is neither true nor false", "write true or false", Condition.bool)))
        case .address: return .addresses(values.compactMap { range($0.text, $0.offset, place) })
        case .null:
            return .absence(
                Set(
                    read(
                        values, place, "is neither true nor false",
                        "write true for a key that must be absent, false for one that must not", Condition.bool)))
        }
    }

    private func textOperands(
        _ comparison: Comparison, _ values: [(text: String, offset: Int)], _ place: String
    ) -> Condition.Operands {
        let hasWildcards = comparison == .stringLike || comparison == .stringNotLike
        let ignoresCase = comparison == .stringEqualsIgnoreCase || comparison == .stringNotEqualsIgnoreCase
        let patterns = values.compactMap { text, offset in
            let text = ignoresCase ? String(decoding: Condition.folded(text), as: UTF8.self) : text
            return pattern(text, offset, place, hasWildcards: hasWildcards)
        }
        return ignoresCase ? .foldedTexts(PatternSet(patterns)) : .texts(PatternSet(patterns))
    }

    private func read<Value>(
        _ values: [(text: String, offset: Int)], _ place: String, _ message: String, _ mend: String,
        _ parse: (String) -> Value?
    ) -> [Value] {
        values.compactMap { text, offset in
            let value = parse(text)
            if value == nil { report(offset, place, value: Shown.quoted(text), message, mend: mend) }
            return value
        }
    }

    private func arn(_ text: String, _ offset: Int, _ place: String) -> ARNPattern? {
        do throws(ARNPattern.Flaw) {
            return try ARNPattern(text)
        } catch {
            switch error {
            case .pattern(let flaw): report(flaw, offset, place, text)
            case .notSixParts:
                report(
                    offset, place, value: Shown.quoted(text), "has not the six parts of an ARN",
                    mend:
                        "write arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE, each part with wildcards if need be, or "
                        + "use StringLike")
            }
            return nil
        }
    }

    private func range(_ text: String, _ offset: Int, _ place: String) -> AddressRange? {
        do throws(AddressRange.Flaw) {
            return try AddressRange(text)
        } catch {
            switch error {
            case .form:
                report(
                    offset, place, value: Shown.quoted(text), "is no range of addresses",
                    mend: "write 192.0.2.0/24, 2001:db8::/32, or one address")
            case .bitsBeyondLength:
                report(
                    offset, place, value: Shown.quoted(text), "has bits set beyond its length",
                    mend: "clear them, or write the address without a length")
            }
            return nil
        }
    }
}
