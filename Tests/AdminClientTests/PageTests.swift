// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import StatusVocabulary
import Testing

@Suite struct PageTests {
    private func page(
        terminal: Bool, tells columns: Int = 0, _ variables: [String: String] = ["LANG": "en_GB.UTF-8"]
    ) -> Page {
        Page.of(isTerminal: terminal, terminalColumns: columns) { variables[$0] }
    }

    @Test func theWidthIsTheTerminalsAndAPipeHasNone() {
        #expect(page(terminal: true, tells: 132).columns == 132)
        #expect(page(terminal: true, tells: 132, ["COLUMNS": "60"]).columns == 132)
        #expect(page(terminal: true, ["COLUMNS": "60"]).columns == 60)
        for odd in ["", "wide", "0", "-3", "99999999999999999999"] {
            #expect(page(terminal: true, ["COLUMNS": odd]).columns == 80)
        }
        #expect(page(terminal: true).columns == 80)
        #expect(page(terminal: true, tells: 3).columns == 60)
        #expect(page(terminal: false, tells: 132, ["COLUMNS": "60"]).columns == nil)
    }

    @Test(
        arguments: [
            (["LANG": "de_DE.UTF-8"], false), (["LANG": "C.utf8"], false), (["LANG": "sr_RS.UTF-8@latin"], false),
            ([:], true), (["LANG": "C"], true), (["LANG": "de_DE.ISO-8859-1"], true),
            (["LC_ALL": "C", "LANG": "C.UTF-8"], true),
            (["LC_ALL": "", "LC_CTYPE": "C.UTF-8", "LANG": "C"], false),
        ] as [([String: String], Bool)])
    func whatIsNotUTF8ShowsASCIIOnly(variables: [String: String], isASCII: Bool) {
        #expect(page(terminal: true, variables).isASCII == isASCII)
        #expect(page(terminal: false, variables).isASCII == isASCII)
    }
}

/// With 16631be every table was made for 100 columns (that of the listeners took 82 at least, whatever the terminal had),
/// and names of 64 characters were cut at their ends to 24: of these sixteen all looked the same.
@Suite struct NarrowPageTests {
    static let names = (1...16).map { "frankfurt-am-main-hall-07-rack-12-network-hsm-partition-numb-\(100 + $0)" }
    /// They differ in the middle only.
    static let sisters = (1...16).map { "frankfurt-am-main-hall-07-rack-\(10 + $0)-network-hsm-partition-number-1" }

    private static func status(_ names: [String]) -> AdminStatus {
        var status = Example.status
        status.status.hsms = names.enumerated().map { number, name in
            var hsm = Example.hsm(
                name, .unavailable, since: Example.now - 1_000_000, open: 256, inUse: 256, overdue: 256, tier: 9,
                drained: true, latency: .init(p50: 99_000, p95: 99_000, p99: 999_000),
                reason: number == 0 ? "C_Login: CKR_PIN_INCORRECT é" : nil)
            hsm.work = .init(callsPerSecond: 12_345, thrownAway: 1_234, longestWaitMicroseconds: 199_999)
            return hsm
        }
        status.transitions = names.map {
            HSMTransition(atUnixSeconds: Example.now, hsm: $0, from: .active, to: .unavailable)
        }
        status.status.keys = names.map { KeyStatus(label: $0, canaryBy: nil, cells: [:]) }
        status.status.limits = LimitsStatus(
            maxUnauthenticatedBytes: 1,
            listeners: ["xks", "control", "cluster", "admin"].map {
                .init(
                    listener: $0, connections: 10_000, maxConnections: 10_000, silent: 10_000, unauthenticated: 10_000,
                    authenticated: 10_000, unauthenticatedBytes: 0, maxUnauthenticatedBytes: 0, evicted: 1_000_000,
                    refused: 1_000_000)
            })
        return status
    }

    private static func cluster(_ names: [String]) -> ClusterHealth {
        var health = Example.cluster
        health.nodes = names.map { name in
            Example.node(name) {
                $0.site = name
                $0.version = "10.20.30-beta"
                $0.inFlight = 1_000
                $0.roundTripMicroseconds = 150_000
                $0.drift = ["configuration", "canaries", "blocks", "refused"]
            }
        }
        return health
    }

    /// The lines from the one that begins so to the next empty one.
    private func section(_ head: String, of text: String) -> [Substring] {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let start = lines.firstIndex(where: { $0.hasPrefix(head) }) else { return [] }
        return Array(lines[start...].dropFirst().prefix { !$0.isEmpty })
    }

    @Test(arguments: [60, 80, 100, 200], [false, true])
    func allFitsAndNamesThatDifferStayDifferent(columns: Int, inTheMiddle: Bool) {
        let names = inTheMiddle ? Self.sisters : Self.names
        let page = Page(columns: columns)
        let node = StatusTable.text(Self.status(names), nowUnixSeconds: Example.now, on: page)
        let cluster = ClusterTable.text(Self.cluster(names), nowUnixSeconds: Example.now, on: page)
        for line in (node + "\n" + cluster).split(separator: "\n") {
            #expect(line.unicodeScalars.count <= columns, "\(line)")
        }
        let rows = section(" #  HSM", of: node).compactMap { $0.split(separator: " ").dropFirst().first }
        #expect(Set(rows.filter { $0.hasPrefix("frankfurt") || $0.hasPrefix("fra") }).count == 16, "\(node)")
        #expect(Set(section("key ", of: node).compactMap { $0.split(separator: " ").first }).count >= 16)
        let changes = section("last changes", of: node).filter { $0.hasPrefix("  20") }
        #expect(Set(changes.map { $0.split(separator: " ")[1] }).count == 10)
        let nodes = section("node ", of: cluster).compactMap { $0.split(separator: " ").first }
        #expect(Set(nodes.filter { $0.hasPrefix("fra") }).count == 16, "\(cluster)")
        if columns == 200 { #expect(names.allSatisfy(node.contains), "\(node)") }
    }

    @Test func whatHasNoRoomIsNamed() {
        let narrow = StatusTable.text(Self.status(Self.names), nowUnixSeconds: Example.now, on: Page(columns: 60))
        #expect(narrow.contains("\nno room for: tier, since, p50 ms, open; --json has all\n"), "\(narrow)")
        let wide = StatusTable.text(Self.status(Self.names), nowUnixSeconds: Example.now, on: Page(columns: 100))
        #expect(!wide.contains("no room for"))
    }

    @Test func throughAPipeNothingIsCut() {
        let text = StatusTable.text(Self.status(Self.names), nowUnixSeconds: Example.now, on: Page(columns: nil))
        for name in Self.names {
            #expect(text.split(separator: "\n").contains { $0.contains(name) && $0.contains("unavailable, drained") })
        }
        #expect(!text.contains("…") && !text.contains("no room for"))
        let cluster = ClusterTable.text(Self.cluster(Self.names), nowUnixSeconds: Example.now, on: Page(columns: nil))
        #expect(Self.names.allSatisfy(cluster.contains) && !cluster.contains("…"))
    }

    @Test(arguments: [60, 80, nil] as [Int?])
    func aLocaleWithoutUnicodeGetsASCII(columns: Int?) {
        let page = Page(columns: columns, isASCII: true)
        var status = Self.status(Self.names)
        status.status.hsms[1].name = "schlüssel-" + Self.names[1]
        var health = Self.cluster(Self.names)
        health.reasons = ["node ü is dead"]
        health.nodes += (1...90).map { Example.node("n\($0)") }
        let text =
            StatusTable.text(status, nowUnixSeconds: Example.now, on: page)
            + ClusterTable.text(health, nowUnixSeconds: Example.now, on: page)
        #expect(text.utf8.allSatisfy { $0 == 0x0A || (0x20...0x7E).contains($0) })
        #expect(text.contains("C_Login: CKR_PIN_INCORRECT \\u{e9}") && text.contains("node \\u{fc} is dead"))
        if columns != nil { #expect(text.contains("~")) }
    }
}
