// SPDX-License-Identifier: Apache-2.0

/// How often each trouble met each check, over many runs.
struct FaultTable: Sendable {
    private var counts: [Check: [FaultKind: Int]] = [:]
    private var quiet: [Check: Int] = [:]
    private(set) var runs = 0

    mutating func add(_ checks: Checks) {
        runs += 1
        for (check, kinds) in checks.counts { counts[check, default: [:]].merge(kinds, uniquingKeysWith: +) }
        quiet.merge(checks.quietCounts, uniquingKeysWith: +)
    }

    mutating func add(_ other: FaultTable) {
        runs += other.runs
        for (check, kinds) in other.counts { counts[check, default: [:]].merge(kinds, uniquingKeysWith: +) }
        quiet.merge(other.quiet, uniquingKeysWith: +)
    }

    /// Cells that nothing has come to.
    var empty: [(Check, FaultKind)] {
        Check.allCases.flatMap { check in
            FaultKind.allCases.filter { counts[check]?[$0] == nil }.map { (check, $0) }
        }
    }

    var text: String {
        let head = Self.cell("") + Check.allCases.map { Self.cell($0.rawValue) }.joined()
        let rows = FaultKind.allCases.map { kind in
            Self.cell(kind.rawValue) + Check.allCases.map { Self.cell("\(counts[$0]?[kind] ?? 0)") }.joined()
        }
        let last = Self.cell("none") + Check.allCases.map { Self.cell("\(quiet[$0] ?? 0)") }.joined()
        return (["\(runs) runs; how often each trouble met each check:", head] + rows + [last]).joined(separator: "\n")
    }

    private static func cell(_ text: String) -> String {
        String(repeating: " ", count: max(14 - text.count, 1)) + text
    }
}
