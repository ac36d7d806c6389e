// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import Conditions
import Foundation
import StatusVocabulary
import Testing

@Suite struct StatusTableTests {
    private func text(
        on page: Page = Page(columns: 100), _ change: (inout AdminStatus) -> Void = { _ in }
    ) -> String {
        var status = Example.status
        change(&status)
        return StatusTable.text(status, nowUnixSeconds: Example.now, on: page)
    }

    @Test func aNodeWithOneOfEverything() {
        #expect(
            text() == """
                node fra-1, version 0.1.0: DEGRADED

                what is wrong, the gravest first
                  - 1 key is refused on node fra-1, because HSMs hold different keys under one label: `claviger
                    status` names them, `claviger key trust` decides [key-disputed]
                  - the store of node fra-1 cannot be written: the disk is full [store-failing]

                 #  HSM        tier  state                 since  p50 ms  p99 ms  open  busy  overdue
                 1  nshield-a     0  active                  3 d     1.2     9.8    16     3        0
                 2  nshield-b     0  unavailable            12 s       -       -     0     0        0
                      C_Login: CKR_PIN_INCORRECT. It is not tried again, so that the token does not lock: correct
                        the PIN, then restart the node
                 3  luna          1  degraded, drained     116 m    99.9    1250     8     8        2

                last changes
                  2025-11-24T01:59:48Z nshield-b: starting -> unavailable: C_Login: CKR_PIN_INCORRECT
                  2025-11-20T14:40:00Z nshield-a: probing -> active

                key              1   2   3
                payments         .   A   D
                orders           P   .   P
                encrypt_only     U   -   -
                P proven  . not yet proven  D different key  A absent  U unprovable  - not to serve it
                disputed, refused everywhere: payments: nshield-a and luna hold different keys
                """)
    }

    @Test func aNodeThatHasEnded() {
        let text = text { status in
            status.running = false
            status.asOfUnixSeconds = Example.now - 3600
            status.status.store = .ok
            status.status.conditions = []
            status.status.hsms = [Example.hsm("a", .active, since: Example.now, tier: nil)]
            status.status.keys = []
            status.transitions = []
        }
        #expect(
            text == """
                node is not running; as of 2025-11-24T01:00:00Z
                node fra-1, version 0.1.0

                 #  HSM  tier  state                 since  p50 ms  p99 ms  open  busy  overdue
                 1  a       -  active                  0 s       -       -     0     0        0
                """)
    }

    @Test func aCompartmentIsShownWhereItIsNotWhole() {
        let text = text { status in
            var hsms = [Compartment.Mode.standard, .strict, .off].map { mode in
                var hsm = Example.hsm(mode.rawValue, .active, since: Example.now, tier: 0)
                hsm.compartment = Compartment(mode: mode)
                return hsm
            }
            hsms[1].compartment?.missing = ["sandbox_read: /x (No such file or directory)"]
            status.status.hsms = hsms
            status.status.keys = []
        }
        let lines = text.split(separator: "\n").filter { $0.contains("its library") }
        #expect(lines.count == 2)
        #expect(lines.first?.contains("not confined as asked for: sandbox_read: /x") == true)
        #expect(lines.last?.contains("can reach all that this node can") == true)
    }

    @Test func whatHSMsDoAndCouldDo() {
        let text = text { status in
            status.status.hsms[0].learned = .init(callMicroseconds: 1_260, usefulCalls: 16, callsPerSecond: 12_400)
            status.status.hsms[0].work = .init(callsPerSecond: 312, thrownAway: 4, longestWaitMicroseconds: nil)
            status.status.hsms[2].work = .init(callsPerSecond: 0, thrownAway: 0, longestWaitMicroseconds: 48_210)
        }
        #expect(
            text.contains(
                """

                 #  HSM        calls/s  can do/s  at a time  longest wait ms  thrown away
                 1  nshield-a      312     12400         16                -            4
                 3  luna             0         -          -             48.2            0

                last changes
                """))
    }

    @Test func whoIsConnectedAndWhoWasTurnedAway() {
        let text = text { status in
            status.status.limits = LimitsStatus(
                maxUnauthenticatedBytes: 64 << 20,
                listeners: [
                    .init(
                        listener: "xks", connections: 310, maxConnections: 1_024, silent: 7, unauthenticated: 10,
                        authenticated: 300, unauthenticatedBytes: 655_360, maxUnauthenticatedBytes: 32 << 20,
                        evicted: 188_000, refused: 3),
                    .init(
                        listener: "control", connections: 1, maxConnections: 64, silent: 0, unauthenticated: 1,
                        authenticated: 0, unauthenticatedBytes: 65_536, maxUnauthenticatedBytes: 4 << 20, evicted: 0,
                        refused: 0),
                ])
            status.status.refusals = (0..<11).map { number in
                RefusalStatus(
                    listener: "xks", kind: "plain-http", address: "192.0.2.\(number)", count: number + 1,
                    first: Example.now - 7_200, last: Example.now - Int64(number), detail: number == 0 ? "GET /" : nil,
                    cause: "The client speaks HTTP without TLS: use https in the endpoint.")
            }
        }
        #expect(
            text.contains(
                """

                listener  connections  at most  authenticated  silent  closed for room  turned away
                xks               310     1024            300       7           188000            3
                control             1       64              0       0                0            0

                last changes
                """))
        #expect(
            text.contains(
                """

                turned away since the start
                  xks, 192.0.2.0: plain-http, once, last 0 s ago (GET /): The client speaks HTTP without TLS: use
                      https in the endpoint.
                  xks, 192.0.2.1: plain-http, 2 times, last 1 s ago: The client speaks HTTP without TLS: use https
                      in the endpoint.
                """))
        #expect(text.hasSuffix("\n  and 1 more: `claviger status --json`"))
        #expect(!text.contains("192.0.2.10:"))
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 100 })
    }

    @Test func whatQuotasRefusedIsShown() throws {
        let bank = QuotaStatus(
            keyStore: "/bank", nodes: 3, refusedByStore: 12, refusedByPrincipal: 4, principals: 7, principalsRefused: 1,
            shared: 0)
        let calm = QuotaStatus(
            keyStore: "/calm", nodes: 3, refusedByStore: 0, refusedByPrincipal: 0, principals: 7, principalsRefused: 0,
            shared: 0)
        let shown = text { $0.status.quotas = [bank, calm] }
        let words = shown.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(
            words.contains(
                "requests over a quota /bank: 12 over requests_per_second, 4 over principal_requests_per_second; in the "
                    + "last minute of 1 principal"), "\(shown)")
        #expect(!words.contains("/calm"))
        #expect(!text { $0.status.quotas = [calm] }.contains("quota"))
        var status = Example.status
        status.status.quotas = [bank]
        let read = try JSONDecoder().decode(AdminStatus.self, from: try JSONEncoder().encode(status))
        #expect(read.status.quotas == [bank])
        let none = try JSONEncoder().encode(Example.status)
        #expect(!String(decoding: none, as: UTF8.self).contains("quotas"))
    }

    @Test func whatTheLogCouldNotSayIsSaid() {
        let heading = text { status in
            status.status.log = LogStatus(
                level: "debug", dropped: ["refused": 12, "orders": 0, "ordinary": 3], withheld: 41, waitingBytes: 0)
        }.prefix { $0 != "#" }
        #expect(
            heading.contains(
                """
                log: lines dropped, because their reader did not keep up: 3 ordinary, 12 refused
                log: 41 refused requests of unknown clients have no line of their own: too many came
                log: level debug

                """))
        let quiet = text { $0.status.log = LogStatus(level: "info", dropped: [:], withheld: 0, waitingBytes: 9) }
        #expect(!quiet.contains("log:"))
    }

    @Test func aNodeThatEndsSaysSo() {
        #expect(
            text { $0.status.draining = true }
                .hasPrefix("node fra-1, version 0.1.0: DEGRADED, ending: it takes no new requests\n"))
    }

    @Test func whatTheClusterMeansForTheNodeIsSaid() {
        let text = text { status in
            status.status.hsms = [Example.hsm("a", .unavailable, since: Example.now, tier: 0)]
            status.status.canForward = true
            status.status.blocksUnknown = "the file was corrupt"
            status.status.disagreements = ["payments: fra-1 and iad-1 hold different keys"]
            status.status = status.status.judged()
        }
        #expect(
            text.hasPrefix(
                """
                node fra-1, version 0.1.0: UNAVAILABLE

                what is wrong, the gravest first
                  - node fra-1 refuses every request: it does not know what is blocked (the file was corrupt). Peers
                    that know the list tell it within seconds; where no node has one, and there are no other blocks
                    than `claviger blocks` shows: `claviger cluster bootstrap`, or without a cluster `claviger
                    unblock --confirm-unknown` [blocks-unknown]
                  - no HSM of node fra-1 can serve; it passes requests on to others [no-hsm-serves]
                  - 1 key is refused on node fra-1, because HSMs hold different keys under one label: `claviger
                    status` names them, `claviger key trust` decides [key-disputed]
                  - node fra-1 and others hold different keys under 1 label: `claviger status` names the keys and
                    the nodes [key-contested]
                    payments: fra-1 and iad-1 hold different keys
                  - the store of node fra-1 cannot be written: the disk is full [store-failing]

                """))
    }

    @Test(
        arguments: [
            (-5, "0 s"), (0, "0 s"), (119, "119 s"), (120, "2 m"), (7199, "119 m"), (7200, "2 h"), (172_799, "47 h"),
            (172_800, "2 d"), (86_400 * 5000, "999 d"), (.max, "999 d"),
        ] as [(Int64, String)])
    func agesFitTheirColumn(seconds: Int64, age: String) {
        let line = StatusTable.text(
            AdminStatus(
                status: NodeStatus(
                    node: "n", version: "", draining: false,
                    hsms: [Example.hsm("a", .active, since: 0, tier: 0)]), transitions: [], asOfUnixSeconds: 0),
            nowUnixSeconds: seconds, on: Page(columns: 100)
        ).split(separator: "\n").last
        #expect(line?.contains(" \(age)       -       -") == true, "\(line ?? "")")
    }

    @Test(
        arguments: [
            (0, "0.0"), (49, "0.0"), (50, "0.1"), (1949, "1.9"), (1950, "2.0"), (99_949, "99.9"), (99_950, "100"),
            (100_499, "100"), (100_500, "101"), (999_999_000, "999999"), (.max, "999999"),
        ] as [(UInt64, String)])
    func latenciesFitTheirColumn(microseconds: UInt64, shown: String) {
        let latency = HSMStatus.Latency(p50: microseconds, p95: 0, p99: 0)
        let text = text { $0.status.hsms = [Example.hsm("a", .active, since: Example.now, tier: 0, latency: latency)] }
        let cell = String(repeating: " ", count: 8 - shown.count) + shown
        #expect(text.contains("    0 s\(cell)     0.0     0     0        0"), "\(text)")
    }

    /// Names, labels and reasons as long and as odd as they can be.
    @Test func noLineIsWiderThanATerminal() {
        let long = String(repeating: "abcdefgh-", count: 40)
        let wide = String(repeating: "鍵", count: 85)
        let text = text { status in
            status.status.node = String(long.prefix(64))
            status.status.store = .failing(reason: long + " " + wide)
            status.status.hsms = (0..<64).map { number in
                Example.hsm(
                    String(long.prefix(60)) + "\(number)", .unavailable, since: 0, open: 1024, inUse: 1024,
                    overdue: 1024, tier: 9, drained: true, latency: .init(p50: .max, p95: .max, p99: .max),
                    reason: number == 0 ? long : wide + " " + long)
            }
            status.status.keys = (0..<3).map { number in
                KeyStatus(
                    label: number == 0 ? wide : long, canaryBy: nil, disputed: wide + long,
                    cells: Dictionary(uniqueKeysWithValues: status.status.hsms.map { ($0.name, .proven) }))
            }
            status.transitions = [
                HSMTransition(atUnixSeconds: .max, hsm: wide, from: .unavailable, to: .unavailable, reason: long),
                HSMTransition(atUnixSeconds: .min, hsm: long, from: .active, to: .degraded),
            ]
        }
        for line in text.split(separator: "\n") {
            let columns = line.unicodeScalars.reduce(0) { $0 + ($1 == "鍵" ? 2 : 1) }
            #expect(columns <= 100, "\(line)")
        }
        #expect(text.contains("  9999-12-31T23:59:59Z 鍵鍵") && text.contains("  1970-01-01T00:00:00Z abcdefgh-"))
    }

    @Test func whatTokensSayCannotMoveTheCursor() {
        let evil = "\u{1B}[2J\r\nok\u{202E}\u{7}\u{9B}\u{2028}é"
        let text = text { status in
            status.status.node = evil
            status.status.version = evil
            status.status.store = .failing(reason: evil)
            status.status.hsms = [Example.hsm(evil, .degraded, since: 0, tier: 0, reason: evil)]
            status.status.keys = [KeyStatus(label: evil, canaryBy: evil, disputed: evil, cells: [evil: .proven])]
            status.transitions = [
                HSMTransition(atUnixSeconds: 0, hsm: evil, from: .active, to: .degraded, reason: evil)
            ]
        }
        let odd = text.unicodeScalars.filter { scalar in
            scalar != "\n" && (scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || scalar.value > 0x2000)
        }
        #expect(Set(odd).isSubset(of: ["…"]), "\(odd)")
        #expect(text.contains("\\u{1b}[2J\\u{d}\\u{a}ok\\u{202e}\\u{7}\\u{9b}\\u{2028}é"))
    }

    @Test func ofManyKeysThoseWithTroubleComeFirst() {
        let text = text { status in
            status.status.keys = (1...100).map { number in
                KeyStatus(
                    label: "key-\(number)", canaryBy: "luna", cells: ["luna": number == 77 ? .different : .proven])
            }
        }
        let lines = text.split(separator: "\n").map(String.init)
        let head = lines.firstIndex(of: "key        1   2   3")
        #expect(head.map { lines[$0 + 1] } == "key-77     -   -   D")
        #expect(head.map { lines[$0 + 2] } == "key-1      -   -   P")
        #expect(lines.contains("… and 60 more: --json shows all"))
        #expect(lines.contains { $0.hasPrefix("key-39 ") } && !lines.contains { $0.hasPrefix("key-40 ") })
    }

    @Test func manyHSMsStandInSeveralTables() {
        let text = text { status in
            status.status.hsms = (1...20).map { Example.hsm("h\($0)", .active, since: Example.now, tier: 0) }
            status.status.keys = [KeyStatus(label: "k", canaryBy: nil, cells: ["h1": .proven, "h20": .absent])]
        }
        #expect(
            text.hasSuffix(
                """
                key     1   2   3   4   5   6   7   8   9  10  11  12  13  14
                k       P   -   -   -   -   -   -   -   -   -   -   -   -   -
                key    15  16  17  18  19  20
                k       -   -   -   -   -   A
                P proven  . not yet proven  D different key  A absent  U unprovable  - not to serve it
                """))
    }
}
