// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import Testing

@Suite struct BlockDisplayTests {
    private typealias Node = BlockProgress.Node

    private func display(durable: Bool = true) -> BlockDisplay {
        BlockDisplay(BlockReceipt(message: "done", order: 1, durable: durable), on: Page(columns: 100))
    }

    private func progress(_ nodes: [Node], isFinished: Bool = false) -> BlockProgress {
        BlockProgress(nodes: nodes, isFinished: isFinished)
    }

    @Test func eachNodeIsShownOnceAsItConfirms() {
        var display = display()
        let here = Node(node: "fra-1", state: .confirmed, afterMilliseconds: 2)
        let waiting = Node(node: "iad-10", state: .waiting)
        let late = Node(node: "iad-10", state: .confirmed, afterMilliseconds: 1250)
        #expect(display.lines(progress([here, waiting])) == ["  fra-1       2 ms  confirmed"])
        #expect(display.lines(progress([here, waiting])).isEmpty)
        #expect(!display.isFinished && display.outcome == .unconfirmed(["iad-10"]))
        #expect(display.lines(progress([here, late], isFinished: true)) == ["  iad-10   1250 ms  confirmed"])
        #expect(display.isFinished && display.outcome == .everywhere)
        #expect(display.lastLines() == ["All 2 nodes have it on disk."])
    }

    @Test func eachNodeTellsWhatTheBlockHitsThere() {
        var display = display()
        let nodes = [
            Node(node: "a", state: .confirmed, hits: .init(keyStores: 1, keys: 1)),
            Node(node: "b", state: .effective, hits: .init(keyStores: 2, keys: 30)),
            Node(node: "c", state: .confirmed, hits: .init(keyStores: 0, keys: 0)),
            Node(node: "d", state: .confirmed, detail: "it ends it by its own clock"),
        ]
        #expect(
            display.lines(progress(nodes)) == [
                "  a            confirmed, hits 1 key of 1 key store",
                "  b            done there, not on its disk yet, hits 30 keys of 2 key stores",
                "  c            confirmed, hits NOTHING there",
                "  d            confirmed: it ends it by its own clock",
            ])
        #expect(!display.lastLines().joined(separator: " ").contains("NOTHING ON ANY NODE"))
    }

    @Test func aBlockThatHitsNothingAnywhereIsToldAtTheEnd() {
        var display = display()
        let nodes = ["a", "b"].map { Node(node: $0, state: .confirmed, hits: .init(keyStores: 0, keys: 0)) }
        _ = display.lines(progress(nodes, isFinished: true))
        let last = display.lastLines().joined(separator: " ")
        #expect(last.contains("All 2 nodes have it on disk. IT HITS NOTHING ON ANY NODE"))
        #expect(display.outcome == .everywhere, "it is carried out: the key may come")
    }

    @Test func whoDoesNotEnforceAnOrderIsNamedBeforeItIsGiven() {
        #expect(BlockDisplay.warning(BlockOutlook(unable: [], coarser: nil), on: Page(columns: 100)).isEmpty)
        let outlook = BlockOutlook(
            unable: [.init(node: "b", version: "0.1\u{1B}"), .init(node: "c", version: "0.1")],
            coarser: "claviger block --key k without --expires")
        let text = BlockDisplay.warning(outlook, on: Page(columns: 100)).joined(separator: " ")
        #expect(text.contains("b (0.1\\u{1b}), c (0.1)") && text.contains("--key k without --expires"))
        let many = BlockOutlook(
            unable: (0..<500).map { .init(node: "n\($0)", version: "0.1") }, coarser: nil)
        #expect(BlockDisplay.warning(many, on: Page(columns: 100)).joined().utf8.count < 1_000)
    }

    @Test func thoseThatCannotBeReachedAreNamedAtTheEnd() {
        var display = display()
        let here = Node(node: "fra-1", state: .confirmed, afterMilliseconds: 2)
        let gone = Node(node: "iad-1", state: .unreachable, detail: "connection\nrefused")
        let full = Node(node: "iad-2", state: .unwritten, afterMilliseconds: 31, detail: "the disk is full")
        #expect(
            display.lines(progress([here, gone, full])) == [
                "  fra-1      2 ms  confirmed", "  iad-2     31 ms  holds it, and could not write it: the disk is full",
            ])
        #expect(
            display.lines(progress([here, gone, full], isFinished: true))
                == ["  iad-1            cannot be reached: connection\\u{a}refused"])
        #expect(display.outcome == .unconfirmed(["iad-1", "iad-2"]))
        let last = display.lastLines().first
        #expect(last?.hasPrefix("1 of 3 nodes have it on disk. NOT CONFIRMED: iad-1, iad-2. A node that") == true)
    }

    @Test func whenTheTimeIsOverTheRestIsNamed() {
        var display = display()
        let nodes = [Node(node: "a", state: .confirmed), Node(node: "b", state: .waiting)]
        #expect(display.lines(progress(nodes)) == ["  a            confirmed"])
        let last = display.lastLines()
        #expect(last.first == "  b            has not answered yet")
        #expect(last.dropFirst().first?.hasPrefix("1 of 2 nodes have it on disk. NOT CONFIRMED: b.") == true)
        #expect(display.outcome == .unconfirmed(["b"]))
    }

    @Test func aNodeThatComesBackIsShownAgain() {
        var display = display()
        let gone = [Node(node: "a", state: .confirmed), Node(node: "b", state: .unwritten)]
        #expect(display.lines(progress(gone)).count == 2)
        let back = [Node(node: "a", state: .confirmed), Node(node: "b", state: .confirmed)]
        #expect(display.lines(progress(back, isFinished: true)) == ["  b            confirmed"])
        #expect(display.outcome == .everywhere)
    }

    @Test func aNodeAlone() {
        var display = display()
        _ = display.lines(progress([Node(node: "a", state: .confirmed, afterMilliseconds: -1)], isFinished: true))
        #expect(display.lastLines() == ["The only node has it on disk."] && display.outcome == .everywhere)
    }

    @Test func whatIsNotOnThisDiskIsNotDone() {
        var display = display(durable: false)
        _ = display.lines(
            progress([Node(node: "a", state: .unwritten), Node(node: "b", state: .confirmed)], isFinished: true))
        #expect(display.outcome == .notDurable)
        #expect(display.lastLines().first?.hasPrefix("This node could not write it") == true)
    }

    @Test func withoutAnyProgressNothingIsPromised() {
        var display = display()
        #expect(display.outcome == .unconfirmed([]) && !display.isFinished)
        #expect(display.lastLines() == ["It is done here; whether other nodes have it is not known."])
    }

    @Test func aSlowDiskIsToldOfAndConfirmedLater() {
        // Before, nothing was said until the disk had it: 30 s of silence, then "it is not known".
        var display = display(durable: false)
        let nodes = [
            Node(node: "a", state: .effective, afterMilliseconds: 0),
            Node(node: "b", state: .effective, afterMilliseconds: 40),
        ]
        #expect(
            display.lines(progress(nodes)) == [
                "  a      0 ms  done there, not on its disk yet", "  b     40 ms  done there, not on its disk yet",
            ])
        #expect(display.outcome == .notDurable)
        var late = display
        #expect(late.lastLines().first?.hasPrefix("It is done here, and NOT ON THIS NODE'S DISK YET") == true)
        let written = nodes.map { Node(node: $0.node, state: .confirmed, afterMilliseconds: 3_000) }
        #expect(display.lines(progress(written, isFinished: true)).count == 2)
        #expect(display.outcome == .everywhere && display.lastLines() == ["All 2 nodes have it on disk."])
    }

    @Test func whoDoesNotGoByItIsNotConfirmed() {
        var display = display()
        let nodes = [Node(node: "a", state: .confirmed), Node(node: "b", state: .ineffective, detail: "it has ended")]
        #expect(
            display.lines(progress(nodes)).last == "  b            has it, and does NOT go by it: it has ended")
        #expect(display.outcome == .unconfirmed(["b"]))
    }

    @Test func thousandsOfNodesDoNotDrownWhatMatters() {
        // Without the bound 570 kB, in 4,097 lines.
        var display = display()
        let nodes =
            [Node(node: "here", state: .confirmed)]
            + (0..<4_096).map { Node(node: "n\($0)", state: .unreachable, detail: String(repeating: "x", count: 99)) }
        let lines = display.lines(progress(nodes, isFinished: true)) + display.lastLines()
        #expect(lines.map(\.utf8.count).reduce(0, +) < 10_000)
        #expect(lines.contains { $0.contains("and 4057 more lines") })
        #expect(lines.last { $0.contains("NOT CONFIRMED") } != nil)
    }

    @Test func linesAreBounded() {
        var display = display()
        let nodes = (0..<5).map { number in
            Node(
                node: String(repeating: "n", count: 63) + "\(number)", state: .unreachable, afterMilliseconds: .max,
                detail: String(repeating: "why ", count: 80))
        }
        let lines = display.lines(progress(nodes, isFinished: true)) + display.lastLines()
        for line in lines { #expect(line.count <= 100, "\(line)") }
        // They differ at their ends, and would not if these were cut off.
        #expect(Set(lines.filter { $0.hasPrefix("  nnn") && $0.contains(" ms") }.map { $0.prefix(27) }).count == 5)
    }
}
