// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import Testing

@Suite struct CommandRightTests {
    /// A node is process 100, started by 50; its worker is 200.
    private static let parents: [Int32: Int32] = [
        50: 1, 100: 50, 200: 100, 300: 200, 301: 300, 400: 50, 500: 1, 600: 0, 700: 701, 701: 700, 800: 800, 900: 999,
    ]

    private func descent(_ process: Int32) -> CommandRight.Descent {
        CommandRight.descent(of: process, from: 100) { Self.parents[$0] ?? -1 }
    }

    @Test func whoDescendsFromTheNodeIsFoundHoweverFar() {
        for process: Int32 in [200, 300, 301] { #expect(descent(process) == .descendant) }
        // Its parent, its parent's other child, init's child, one that came from another name space, and the node itself.
        for process: Int32 in [50, 400, 500, 600, 100] { #expect(descent(process) == .other) }
    }

    @Test func whatCannotBeToldIsNotTakenForWell() {
        // It has ended; its parent has; it is nobody in this name space; lines without an end.
        for process: Int32 in [1_000, 900, 0, -1, 700, 800] { #expect(descent(process) == .unknown) }
    }

    @Test func anOrphanIsTheNodesWhereTheNodeIsTheFirstProcess() {
        let parents: [Int32: Int32] = [1: 0, 7: 1, 8: 7, 20: 0]
        #expect(CommandRight.descent(of: 8, from: 1) { parents[$0] ?? -1 } == .descendant)
        #expect(CommandRight.descent(of: 20, from: 1) { parents[$0] ?? -1 } == .other)
    }

    @Test func onlyDescendantsAndHiddenProcessesOfTheNodesOwnUserAreHeldBack() {
        func right(_ user: UInt32, _ descent: CommandRight.Descent) -> CommandRight {
            .of(user: user, own: 998, descent: descent)
        }
        for user: UInt32 in [0, 998, 1_000, 65_534] {
            #expect(right(user, .other) == .all)
            guard case .blockOnly = right(user, .descendant) else {
                Issue.record("a descendant of user \(user) may do everything")
                return
            }
        }
        #expect(right(0, .unknown) == .all && right(1_000, .unknown) == .all)
        guard case .blockOnly(let reason) = right(998, .unknown) else {
            Issue.record("a hidden process of the node's user may do everything")
            return
        }
        #expect(reason.contains("as root"))
    }
}
