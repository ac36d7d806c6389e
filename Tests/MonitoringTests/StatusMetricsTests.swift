// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Conditions
import Monitoring
import StatusVocabulary
import Testing

@Suite struct StatusMetricsTests {
    private func hsm(_ name: String, _ state: HSMState = .active) -> HSMStatus {
        HSMStatus(name: name, state: state, sinceUnixSeconds: 0, lanes: .init(open: 4, inUse: 1, overdue: 0), keys: 2)
    }

    private func key(_ label: String, _ holders: String..., disputed: String? = nil) -> KeyStatus {
        KeyStatus(
            label: label, canaryBy: nil, disputed: disputed,
            cells: Dictionary(uniqueKeysWithValues: holders.map { ($0, KeyState.proven) }))
    }

    private func lines(showsKeys: Bool = false, _ change: (inout NodeStatus) -> Void = { _ in }) -> [String] {
        var status = NodeStatus(node: "n", version: "1.2.3", draining: false, hsms: [hsm("a"), hsm("b"), hsm("c")])
        status.keys = [key("k1", "a", "b", "c"), key("k2", "a", "b")]
        change(&status)
        status = status.judged()
        let cluster = ClusterHealth(
            here: status, isClustered: false, nodes: [], blocks: BlockListing(blocks: [], unknown: nil),
            asOfUnixSeconds: 0)
        var page = MetricPage()
        StatusMetrics(status: status, cluster: cluster, showsKeys: showsKeys).write(to: &page)
        return page.text.split(separator: "\n").map(String.init)
    }

    @Test func theKeyThatIsWorstOffIsTold() {
        #expect(lines().contains("claviger_key_spare_hsms 1"))
        #expect(lines { $0.hsms[1].state = .unavailable }.contains("claviger_key_spare_hsms 0"))
        #expect(
            lines {
                $0.hsms[0].drained = true; $0.hsms[1].state = .unavailable
            }.contains("claviger_key_spare_hsms -1"))
        #expect(
            lines { $0.keys.append(key("k3", "a", "b", disputed: "differ")) }.contains(
                "claviger_key_spare_hsms -1"))
        #expect(!lines().contains { $0.contains("k1") || $0.contains("k2") })
    }

    @Test func keysAreNamedOnlyWhereThatIsAllowedAndTheyAreFew() {
        #expect(lines(showsKeys: true).contains("claviger_key_spare_hsms{key=\"k1\"} 2"))
        let many = lines(showsKeys: true) { status in
            status.keys = (0...500).map { key("k\($0)", "a", "b") }
        }
        #expect(many.filter { $0.hasPrefix("claviger_key_spare_hsms") } == ["claviger_key_spare_hsms 1"])
    }

    @Test func conditionsAndStatesAreSeries() {
        let lines = lines { status in
            status.hsms[1].state = .unavailable
            status.hsms[2].drained = true
            status.store = .failing(reason: "full")
        }
        for line in [
            "claviger_hsm_serves{hsm=\"a\"} 1", "claviger_hsm_serves{hsm=\"b\"} 0",
            "claviger_hsm_state{hsm=\"b\",state=\"unavailable\"} 1",
            "claviger_hsm_state{hsm=\"c\",state=\"drained\"} 1",
            "claviger_condition{code=\"hsm-unavailable\",severity=\"warning\",subject=\"hsm b\"} 1",
            "claviger_condition{code=\"store-failing\",severity=\"warning\",subject=\"\"} 1",
            "claviger_store_writable 0", "claviger_ready 1", "claviger_build_info{version=\"1.2.3\"} 1",
            "claviger_hsm_lanes{hsm=\"a\",lanes=\"open\"} 4",
        ] {
            #expect(lines.contains(line), "\(line) in \(lines)")
        }
        // Each once, whoever says it.
        #expect(Set(lines).count == lines.count)
    }
}
