// SPDX-License-Identifier: Apache-2.0

/// What one key of the configuration means. The reader takes ranges and defaults from here, and the reference
/// (`docs/reference/configuration.md`) is made of it, so that program and document cannot differ.
package struct ConfigurationKey: Sendable {
    package var name: String
    /// The type in words, with the range where there is one.
    package var type: String
    /// The default as it would stand in the file, `required`, or what its absence means.
    package var standard: String
    package var meaning: String
    /// What a larger (or another) value costs; empty where there is nothing to say.
    package var cost: String

    package init(_ name: String, _ type: String, standard: String, _ meaning: String, cost: String = "") {
        self.name = name
        self.type = type
        self.standard = standard
        self.meaning = meaning
        self.cost = cost
    }
}

/// A key with a whole number.
struct IntegerKey: Sendable {
    let key: ConfigurationKey
    let range: ClosedRange<Int>
    let standard: Int

    init(
        _ name: String, _ range: ClosedRange<Int>, standard: Int, unit: String = "", _ meaning: String, cost: String
    ) {
        self.range = range
        self.standard = standard
        let words = unit.isEmpty ? "integer" : "integer, \(unit)"
        key = ConfigurationKey(
            name, "\(words), \(range.lowerBound) to \(range.upperBound)", standard: "\(standard)", meaning, cost: cost)
    }
}

/// A key with a duration such as `"200ms"` or `"5s"`.
struct DurationKey: Sendable {
    let key: ConfigurationKey
    let range: ClosedRange<Duration>
    let standard: Duration

    /// - Parameter standardText: in place of `standard`, where the default depends on something.
    init(
        _ name: String, _ range: ClosedRange<Duration>, standard: Duration, standardText: String? = nil,
        _ meaning: String, cost: String
    ) {
        self.range = range
        self.standard = standard
        let lowest = SettingDuration.text(range.lowerBound)
        let highest = SettingDuration.text(range.upperBound)
        key = ConfigurationKey(
            name, "duration, `\"\(lowest)\"` to `\"\(highest)\"`",
            standard: standardText ?? "\"\(SettingDuration.text(standard))\"", meaning, cost: cost)
    }
}

/// One table of the configuration, as the reference shows it.
package struct ConfigurationTable: Sendable {
    /// As it stands in the file: `[xks]`, `[[hsm]]`, `xks.tcp_keepalive`.
    package var title: String
    package var introduction: String
    package var keys: [ConfigurationKey]

    /// The title without brackets: what stands before a key's name in messages.
    package var path: String { title.filter { $0 != "[" && $0 != "]" } }
}
