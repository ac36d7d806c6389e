// SPDX-License-Identifier: Apache-2.0

/// Looks for options that are given more than once: an order of which only the last part is carried out is worse than
/// none.
enum RepeatedOptions {
    /// Those that take several values.
    private static let repeatable: Set<String> = ["--host", "--heads", "--heads-from", "--audit", "--env"]
    /// Those that ask for words only.
    private static let harmless: Set<String> = ["--help", "--version"]
    /// Short names of long ones.
    private static let long = ["-c": "--config", "-h": "--help"]

    /// The first option that is repeated and takes one value, as it was given; `nil` when there is none.
    ///
    /// A value is never taken for an option: the argument parser takes none that begins with two hyphens, but for
    /// `--option=--value`.
    static func first(in arguments: [String]) -> String? {
        var seen: Set<String> = []
        for argument in arguments {
            if argument == "--" { return nil }
            let given = argument.prefix { $0 != "=" }
            guard let name = long[String(given)] ?? (given.hasPrefix("--") ? String(given) : nil) else { continue }
            guard !repeatable.contains(name), !harmless.contains(name) else { continue }
            guard seen.insert(name).inserted else { return name }
        }
        return nil
    }
}
