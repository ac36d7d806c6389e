// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import Testing

@Suite struct ClusterTableTests {
    private func text(
        on page: Page = Page(columns: 100), _ change: (inout ClusterHealth) -> Void = { _ in }
    ) -> String {
        var health = Example.cluster
        change(&health)
        return ClusterTable.text(health, nowUnixSeconds: Example.now, on: page)
    }

    @Test func aClusterWithOneOfEverything() {
        #expect(
            text() == """
                cluster: DEGRADED, as fra-1 sees it: 3 of 4 nodes live

                node   site        state    since  RTT ms  version    HSMs  in flight  differs in
                fra-1  fra         alive      3 d       -  0.1.0       2/2          0  -
                fra-2  fra         alive      3 d     0.4  0.1.0       0/2         17  conf,can,blk
                fra-3  fra         ending     3 d     0.7  0.2.0       0/0          0  -
                iad-1  iad         dead      34 s       -  0.1.0       0/1          0  -

                HSMs that are not active, or drained
                  fra-2: luna-b: active, drained
                  fra-2: luna-a (serial 12345, Luna 7): unavailable

                what is wrong, the gravest first
                  - node iad-1 (site iad) is dead, for 34 s
                  - hsm luna-a (serial 12345) is unavailable on fra-2
                  note: 2 blocks are in force

                keys that a node offers and cannot serve
                  fra-2: orders, payments

                2 blocks are in force
                  --key payments
                      stolen laptop, ticket 4711
                      since 2025-11-24T01:00:00Z, by anna@fra-1, until it is lifted; id 0123456789ab
                  --principal arn:aws:iam::111122223333:role/*
                      drill
                      since 2025-11-24T01:59:00Z, by ben@iad-1, ends in 2 h; id fedcba987654
                """)
    }

    @Test func theFirstEndOfACertificateIsTold() {
        func told(_ ends: [Int64?]) -> String? {
            let text = text { health in
                for (index, end) in ends.enumerated() { health.nodes[index].certificateEnd = end }
            }
            return text.split(separator: "\n").first { $0.hasPrefix("certificates: ") }.map(String.init)
        }
        let day: Int64 = 86_400
        #expect(told([]) == nil)
        let first = "certificates: the first of all, of node"
        #expect(told([Example.now + 90 * day, Example.now + 33 * day + 5]) == "\(first) fra-2, ends in 33 days")
        #expect(told([Example.now + day]) == "\(first) fra-1, ends in 1 day")
        #expect(told([Example.now - 1]) == "\(first) fra-1, has ended")
        // The last node is dead, and what a node says is bounded before.
        #expect(told([nil, nil, nil, Example.now]) == nil)
        #expect(told([.min]) == "\(first) fra-1, has ended")
    }

    @Test func aNodeAloneWithNothingWrong() {
        let text = text { health in
            health.verdict = .active
            health.isClustered = false
            health.nodes = [Example.node("fra-1") { $0.version = "" }]
            health.reasons = []
            health.notes = []
            health.blocks.blocks = []
        }
        #expect(
            text == """
                cluster: ACTIVE, fra-1 stands alone, without [cluster]

                node   site        state    since  RTT ms  version    HSMs  in flight  differs in
                fra-1  fra         alive      3 d       -  -           0/0          0  -
                """)
    }

    @Test func ofManyNodesThoseWithTroubleComeFirst() {
        let text = text { health in
            health.nodes = (1...100).map { number in
                Example.node("node-\(number)") { $0.liveness = number == 77 ? .dead : .alive }
            }
        }
        let lines = text.split(separator: "\n").map(String.init)
        #expect(lines.prefix(4).map { String($0.prefix(8)) } == ["cluster:", "node    ", "node-1  ", "node-77 "])
        #expect(lines.contains("… and 40 more: --json shows all"))
        #expect(lines.contains { $0.hasPrefix("node-59 ") } && !lines.contains { $0.hasPrefix("node-60 ") })
    }

    @Test func noLineIsWiderThanATerminalAndNoTextMovesTheCursor() {
        let long = String(repeating: "abcdefgh-", count: 40)
        let wide = String(repeating: "鍵", count: 85)
        let evil = "\u{1B}[2J\r\nok\u{202E}\u{7}\u{9B}\u{2028}é"
        for odd in [long, wide, evil, wide + " " + long] {
            let text = text { health in
                health.node = odd
                health.reasons = [odd]
                health.notes = [odd]
                health.blocks = BlockListing(
                    blocks: [
                        BlockView(
                            id: odd, target: odd, reason: odd, madeAtUnixSeconds: .min, expiresAtUnixSeconds: .max,
                            madeBy: odd)
                    ], unknown: odd)
                for index in health.nodes.indices {
                    health.nodes[index].name = odd
                    health.nodes[index].site = odd
                    health.nodes[index].version = odd
                    health.nodes[index].drift = [odd, odd]
                    health.nodes[index].inFlight = .max
                    health.nodes[index].roundTripMicroseconds = .max
                    health.nodes[index].sinceUnixSeconds = .min
                    health.nodes[index].unservedKeys = Array(repeating: odd, count: 32)
                    health.nodes[index].hsms = (0..<64).map { _ in
                        Example.member(odd, serial: odd, model: odd, .unavailable, drained: true)
                    }
                }
            }
            for line in text.split(separator: "\n") {
                let columns = line.unicodeScalars.reduce(0) { $0 + ($1 == "鍵" ? 2 : 1) }
                #expect(columns <= 100, "\(line)")
            }
            let scalars = text.unicodeScalars.filter { scalar in
                scalar != "\n" && (scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || scalar == "\u{202E}")
            }
            #expect(scalars.isEmpty)
        }
    }
}

@Suite struct BlockTableTests {
    @Test func noBlockIsSaid() {
        let none = BlockListing(blocks: [], unknown: nil)
        #expect(BlockTable.text(none, nowUnixSeconds: Example.now, on: Page(columns: 100)) == "no block is in force")
    }

    @Test func aLostListIsSaidFirst() {
        var lost = Example.blocks
        lost.unknown = "the file was corrupt"
        lost.blocks.removeLast()
        #expect(
            BlockTable.text(lost, nowUnixSeconds: Example.now, on: Page(columns: 100)) == """
                EVERY REQUEST IS REFUSED by this node: it does not know what is blocked (the file was corrupt).
                  Peers that know the list tell it within seconds; where no node has one, and there are no other
                  blocks than `claviger blocks` shows: `claviger cluster bootstrap`, or without a cluster `claviger
                  unblock --confirm-unknown`
                1 block is in force
                  --key payments
                      stolen laptop, ticket 4711
                      since 2025-11-24T01:00:00Z, by anna@fra-1, until it is lifted; id 0123456789ab
                """)
    }
}

@Suite struct CommandDurationTests {
    @Test(
        arguments: [
            ("500ms", 500), ("5s", 5000), ("30m", 1_800_000), ("2h", 7_200_000), ("3d", 259_200_000), ("0s", 0),
            ("007s", 7000), ("36525d", 3_155_760_000_000),
        ] as [(String, Int64)])
    func durationsAreRead(text: String, milliseconds: Int64) {
        #expect(CommandDuration.milliseconds(text) == milliseconds)
    }

    @Test(arguments: [
        "", "5", "s", "5 s", "-5s", "+5s", "5S", "5w", "1.5h", "5s ", " 5s", "٥s", "99999999999999s", "36526d",
        "9999999999999d", "5mss",
    ])
    func whatIsNoDurationIsNone(text: String) {
        #expect(CommandDuration.milliseconds(text) == nil)
    }
}
