// SPDX-License-Identifier: Apache-2.0

/// Reads the keys of one table, checks types and ranges, and reports everything that is wrong; a key that is missing or
/// wrong reads as `nil` or its default, so that reading goes on to the next problem.
struct TableReader {
    let path: String
    let problems: ProblemCollector
    private let values: [String: TOMLNode]

    /// Reports the keys of the table that are not among `keys`.
    init(_ values: [String: TOMLNode], path: String, keys: [ConfigurationKey], problems: ProblemCollector) {
        self.values = values
        self.path = path
        self.problems = problems
        let known = keys.map(\.name)
        for key in values.keys.sorted() where !known.contains(key) {
            let nearest = NearestName.find(key, among: known)
            // The value is not shown: nobody knows what an unknown key holds.
            problems.add(
                self.path(of: Shown.key(key)), "is not a known key",
                fix: nearest.map { "did you mean `\($0)`?" } ?? "known here: " + known.joined(separator: ", "))
        }
    }

    func path(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    func has(_ key: ConfigurationKey) -> Bool { values[key.name] != nil }

    func node(_ key: ConfigurationKey) -> TOMLNode? { values[key.name] }

    /// Reports a problem with `key`, showing the value that stands in the file.
    func report(_ key: ConfigurationKey, _ message: String, fix: String) {
        problems.add(path(of: key.name), value: values[key.name].flatMap(Shown.value), message, fix: fix)
    }

    func reportMissing(_ key: ConfigurationKey, fix: String) {
        problems.add(path(of: key.name), "is missing", fix: fix)
    }

    // MARK: - Values

    func text(_ key: ConfigurationKey) -> String? {
        switch values[key.name] {
        case nil: return nil
        case .string(let text): return text
        case let other?:
            report(key, "must be a string, and is \(other.kind)", fix: "write \(key.name) = \"…\"")
            return nil
        }
    }

    func requiredText(_ key: ConfigurationKey, example: String) -> String? {
        guard has(key) else {
            reportMissing(key, fix: "write \(key.name) = \(Shown.quoted(example))")
            return nil
        }
        return text(key)
    }

    /// A text that `accepts`; otherwise reports `message`.
    func text(
        _ key: ConfigurationKey, required example: String?, _ message: String, fix: String, isShown: Bool = true,
        accepts: (String) -> Bool
    ) -> String? {
        guard let text = example.map({ requiredText(key, example: $0) }) ?? self.text(key) else { return nil }
        guard accepts(text) else {
            if isShown { report(key, message, fix: fix) } else { problems.add(path(of: key.name), message, fix: fix) }
            return nil
        }
        return text
    }

    func boolean(_ key: ConfigurationKey, standard: Bool) -> Bool {
        switch values[key.name] {
        case nil: return standard
        case .boolean(let value): return value
        case let other?:
            report(key, "must be true or false, and is \(other.kind)", fix: "write it without quotes")
            return standard
        }
    }

    func integer(_ key: IntegerKey) -> Int {
        integer(key.key, range: key.range) ?? key.standard
    }

    func integer(_ key: ConfigurationKey, range: ClosedRange<Int>) -> Int? {
        switch values[key.name] {
        case nil: return nil
        case .integer(let value) where range.contains(value): return value
        case .integer:
            report(
                key, "must be between \(range.lowerBound) and \(range.upperBound)",
                fix: "choose a number in that range")
            return nil
        case let other?:
            report(key, "must be an integer, and is \(other.kind)", fix: "write a whole number without quotes")
            return nil
        }
    }

    func duration(_ key: DurationKey) -> Duration {
        let lowest = SettingDuration.text(key.range.lowerBound)
        let highest = SettingDuration.text(key.range.upperBound)
        switch values[key.key.name] {
        case nil: break
        case .string(let text):
            if let duration = SettingDuration.parse(text) {
                if key.range.contains(duration) { return duration }
                report(key.key, "must be between \(lowest) and \(highest)", fix: "choose a duration in that range")
            } else {
                report(
                    key.key, "is not a duration",
                    fix: "write a whole number and a unit (ms, s, m, h), for example \"\(key.key.standardText)\"")
            }
        case .integer(let number):
            report(key.key, "has no unit", fix: "write \"\(number)ms\" or \"\(number)s\"")
        case let other?:
            report(
                key.key, "must be a duration in quotes, and is \(other.kind)",
                fix: "write for example \"\(key.key.standardText)\"")
        }
        return key.standard
    }

    func address(_ key: ConfigurationKey, standard: ListenAddress) -> ListenAddress {
        guard let text = text(key) else { return standard }
        if let address = ListenAddress(text) { return address }
        report(
            key, "is not an address and a port from 0 to 65535",
            fix: "write for example \"\(standard)\" or \"[::1]:\(standard.port)\"")
        return standard
    }

    /// The elements of a list of strings, with their paths.
    func texts(_ key: ConfigurationKey) -> [(text: String, path: String)]? {
        guard let elements = list(key) else { return nil }
        return elements.compactMap { element in
            if case .string(let text) = element.node { return (text, element.path) }
            problems.add(
                element.path, value: Shown.value(element.node), "must be a string, and is \(element.node.kind)",
                fix: "write it in quotes")
            return nil
        }
    }

    /// The elements of a list, with their paths.
    func list(_ key: ConfigurationKey) -> [(node: TOMLNode, path: String)]? {
        switch values[key.name] {
        case nil: return nil
        case .list(let elements):
            return elements.enumerated().map { ($0.element, "\(path(of: key.name))[\($0.offset)]") }
        case let other?:
            report(key, "must be a list, and is \(other.kind)", fix: "write \(key.name) = [ … ]")
            return nil
        }
    }

    /// A reader for the table under `key`; `nil` when there is none.
    func table(_ key: ConfigurationKey, keys: [ConfigurationKey]) -> TableReader? {
        switch values[key.name] {
        case nil: return nil
        case .table(let values):
            return TableReader(values, path: path(of: key.name), keys: keys, problems: problems)
        case let other?:
            report(key, "must be a table, and is \(other.kind)", fix: "write \(key.name) = { … }")
            return nil
        }
    }

    /// Readers for the tables of a list (`[[…]]`).
    func tables(_ key: ConfigurationKey, keys: [ConfigurationKey]) -> [TableReader] {
        (list(key) ?? []).compactMap { element in
            if case .table(let values) = element.node {
                return TableReader(values, path: element.path, keys: keys, problems: problems)
            }
            problems.add(element.path, "must be a table, and is \(element.node.kind)", fix: "write { … }")
            return nil
        }
    }
}

extension ConfigurationKey {
    /// The default without the quotes that the reference shows.
    fileprivate var standardText: String { standard.filter { $0 != "\"" } }
}

/// How keys and values of the file appear in a message: quoted, without control characters, not endlessly long.
package enum Shown {
    /// `nil` for what has values of its own, which could be secrets.
    package static func value(_ node: TOMLNode) -> String? {
        switch node {
        case .string(let text): quoted(text)
        case .integer(let number): "\(number)"
        case .boolean(let value): "\(value)"
        case .other, .list, .table: nil
        }
    }

    package static func quoted(_ text: String) -> String {
        "\"" + escaped(text, limit: 80) + "\""
    }

    package static func key(_ key: String) -> String {
        let isBare = key.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F
                || $0 == 0x2D
        }
        return isBare && !key.isEmpty ? key : quoted(key)
    }

    private static func escaped(_ text: String, limit: Int) -> String {
        var result = ""
        for scalar in text.unicodeScalars.prefix(limit) {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            default:
                let isPrintable = scalar.value >= 0x20 && !(0x7F...0x9F).contains(scalar.value)
                result += isPrintable ? String(scalar) : "\\u{" + String(scalar.value, radix: 16) + "}"
            }
        }
        return text.unicodeScalars.count > limit ? result + "…" : result
    }
}
