// SPDX-License-Identifier: Apache-2.0
import Testing

/// Each check is seen to fail where a decision is broken on purpose.
@Suite("Checks of whole nodes find broken decisions")
struct MutantTests {
    /// A decision that is broken, the check that must find it, and the trouble that it takes.
    struct Case: Sendable, CustomTestStringConvertible {
        var broken: Mutant.Break
        var check: Check
        var faults: [Fault] = []
        var isSharing = false
        var isBlocking = false
        var testDescription: String { "\(broken)" }
    }

    private static func trouble(_ kind: FaultKind, _ target: Int, from: UInt64 = 15) -> Fault {
        Fault(kind: kind, target: target, from: from * Plan.second, until: (from + 15) * Plan.second)
    }

    /// A node that others cannot be asked about at first, and whose HSMs hold another key.
    private static let contest = [
        trouble(.foreignNode, 2, from: 0), Fault(kind: .nodeCutOff, target: 2, from: 0, until: 14 * Plan.second),
    ]

    static let cases = [
        Case(broken: .wordIsAlwaysInvalid, check: .truth, faults: contest),
        Case(broken: .wordIsNeverInvalid, check: .forgery),
        Case(broken: .answersAreMixed, check: .plaintext),
        Case(broken: .canariesAreIgnored, check: .oneKey, faults: contest),
        Case(broken: .blocksAreIgnored, check: .block, isBlocking: true),
        Case(
            broken: .unknownIsAbsent, check: .absence, faults: [trouble(.keysAway, 0), trouble(.keysAway, 1)],
            isSharing: true),
        Case(broken: .nobodyIsAsked, check: .service, faults: [trouble(.tokenGone, 0), trouble(.tokenGone, 1)]),
        Case(broken: .fullDisksAreNotRead, check: .service, faults: [trouble(.storeFull, 0)]),
        Case(broken: .nothingIsStarted, check: .recovery, faults: (0..<3).map { trouble(.workersKilled, $0) }),
        Case(broken: .listsStayUnknown, check: .recovery, faults: [trouble(.storeLost, 0)]),
    ]

    @Test("a broken decision is found, and none where it is whole", arguments: cases)
    func isFound(_ one: Case) throws {
        var plan = Plan.plain(1, sharing: one.isSharing, faults: one.faults)
        plan.blockAt = one.isBlocking ? 20 * Plan.second : nil
        let whole = try simulate(plan).findings
        #expect(whole.isEmpty, "\(whole)")
        let broken = try simulate(plan, one.broken).findings
        #expect(broken.contains { $0.hasPrefix(one.check.rawValue) }, "\(broken)")
    }
}
