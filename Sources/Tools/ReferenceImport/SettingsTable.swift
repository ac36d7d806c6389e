// SPDX-License-Identifier: Apache-2.0
import NodeConfig

/// A table of the reference proxy's settings. Reports what has the wrong type or is missing, and goes on.
struct SettingsTable {
    let path: String
    private let values: [String: TOMLNode]
    private let problems: ProblemCollector

    init(_ values: [String: TOMLNode], path: String, problems: ProblemCollector) {
        self.values = values
        self.path = path
        self.problems = problems
    }

    func path(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    func has(_ key: String) -> Bool { values[key] != nil }

    /// As it stands in the file, for messages; not for secrets.
    func shown(_ key: String) -> String? { values[key].flatMap(Shown.value) }

    /// Names of keys that are not among these, sorted.
    func others(than known: [String]) -> [String] { values.keys.filter { !known.contains($0) }.sorted() }

    /// - Parameter isSecret: its value is not shown.
    func report(_ key: String, _ message: String, fix: String, isSecret: Bool = false) {
        problems.add(path(of: key), value: isSecret ? nil : shown(key), message, fix: fix)
    }

    func text(_ key: String) -> String? {
        guard let value = values[key] else { return nil }
        if case .string(let text) = value { return text }
        // Not even its value: it may be a PIN without quotes.
        report(key, "must be a string, and is \(value.kind)", fix: "write it in quotes", isSecret: true)
        return nil
    }

    /// `nil`, and reported, where there is none.
    func requiredText(_ key: String) -> String? {
        guard has(key) else {
            problems.add(path(of: key), "is missing", fix: Self.mend)
            return nil
        }
        return text(key)
    }

    func boolean(_ key: String) -> Bool? {
        guard let value = values[key] else { return nil }
        if case .boolean(let isSet) = value { return isSet }
        report(key, "must be true or false, and is \(value.kind)", fix: "write it without quotes")
        return nil
    }

    func integer(_ key: String, _ range: ClosedRange<Int>) -> Int? {
        guard let value = values[key] else { return nil }
        guard case .integer(let number) = value else {
            report(key, "must be an integer, and is \(value.kind)", fix: "write a whole number without quotes")
            return nil
        }
        guard range.contains(number) else {
            report(key, "must be between \(range.lowerBound) and \(range.upperBound)", fix: "correct it")
            return nil
        }
        return number
    }

    /// The strings of a list, with their paths.
    func texts(_ key: String) -> [(text: String, path: String)]? {
        guard let elements = list(key) else { return nil }
        return elements.enumerated().compactMap { position, element in
            let path = "\(self.path(of: key))[\(position)]"
            if case .string(let text) = element { return (text, path) }
            problems.add(path, "must be a string, and is \(element.kind)", fix: "write it in quotes")
            return nil
        }
    }

    private func list(_ key: String) -> [TOMLNode]? {
        guard let value = values[key] else { return nil }
        if case .list(let elements) = value { return elements }
        report(key, "must be a list, and is \(value.kind)", fix: "write \(key) = [ … ]")
        return nil
    }

    /// The table under `key`; an empty one, and reported, where it must be there and is not.
    func table(_ key: String, isRequired: Bool = false) -> SettingsTable? {
        guard let value = values[key] else {
            guard isRequired else { return nil }
            problems.add(path(of: key), "is missing", fix: Self.mend)
            return nil
        }
        if case .table(let values) = value {
            return SettingsTable(values, path: path(of: key), problems: problems)
        }
        report(key, "must be a table, and is \(value.kind)", fix: "write [\(path(of: key))]")
        return nil
    }

    /// The tables of a list (`[[…]]`).
    func tables(_ key: String) -> [SettingsTable] {
        (list(key) ?? []).enumerated().compactMap { position, element in
            let path = "\(self.path(of: key))[\(position)]"
            if case .table(let values) = element {
                return SettingsTable(values, path: path, problems: problems)
            }
            problems.add(path, "must be a table, and is \(element.kind)", fix: "write [[\(key)]]")
            return nil
        }
    }

    /// Of a file without it the reference proxy does not start.
    private static let mend = "give the settings.toml that the reference proxy runs with"
}
