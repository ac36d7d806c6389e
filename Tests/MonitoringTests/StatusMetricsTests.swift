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

    @Test func encryptionsOfAllNodesCount() {
        let lines = lines(showsKeys: true) { status in
            status.keys[0].encrypts = 5
            status.keys[0].encryptsElsewhere = 1 << 32
            status.keys[1].encryptsElsewhere = 7
        }
        #expect(lines.contains("claviger_key_encryptions{key=\"k1\"} 4294967301"))
        #expect(lines.contains("claviger_key_encryptions{key=\"k2\"} 7"))
        let hidden = self.lines {
            $0.keys[0].encrypts = 5; $0.keys[1].encryptsElsewhere = 7
        }
        #expect(hidden.contains("claviger_key_encryptions 7") && !hidden.contains { $0.contains("k1") })
        #expect(!self.lines().contains { $0.hasPrefix("claviger_key_encryptions") })
    }

    @Test func quotasAndCredentialsAreSeriesByKeyStore() {
        let lines = lines { status in
            status.quotas = [
                QuotaStatus(
                    keyStore: "/bank", nodes: 2, refusedByStore: 3, refusedByPrincipal: 4, principals: 5,
                    principalsRefused: 1, shared: 0, requestsPerSecond: 1_800, admitted: 90)
            ]
            status.credentials = [
                CredentialStatus(
                    keyStore: "/bank", accessKeyId: "AAAABBBBCCCCDDDD2222", firstSeenUnixSeconds: 1_700_000_000,
                    lastUsedUnixSeconds: 1_800_000_000, lastUsedAt: "n"),
                CredentialStatus(
                    keyStore: "/bank", accessKeyId: "AAAABBBBCCCCDDDD3333", firstSeenUnixSeconds: 1_700_000_001),
            ]
            status.hsms[0].latencyMicroseconds = .init(p50: 900, p95: 1_500, p99: 4_000)
        }
        for line in [
            "claviger_quota_limit_requests_per_second{keystore=\"/bank\",of=\"store\"} 1800",
            "claviger_quota_requests_total{keystore=\"/bank\",outcome=\"admitted\"} 90",
            "claviger_quota_requests_total{keystore=\"/bank\",outcome=\"over_store\"} 3",
            "claviger_quota_requests_total{keystore=\"/bank\",outcome=\"over_principal\"} 4",
            "claviger_quota_nodes{keystore=\"/bank\"} 2", "claviger_quota_principals{keystore=\"/bank\"} 5",
            credential("first_seen", "2222", 1_700_000_000), credential("last_used", "2222", 1_800_000_000),
            credential("first_seen", "3333", 1_700_000_001),
            "claviger_hsm_round_trip_seconds{hsm=\"a\",percentile=\"50\"} 0.0009",
            "claviger_hsm_round_trip_seconds{hsm=\"a\",percentile=\"99\"} 0.004",
        ] {
            #expect(lines.contains(line), "\(line) in \(lines)")
        }
        #expect(!lines.contains { $0.contains("of=\"principal\"") || $0.contains("last_used") && $0.contains("3333") })
    }

    private func credential(_ what: String, _ end: String, _ time: Int) -> String {
        "claviger_credential_\(what)_timestamp_seconds{keystore=\"/bank\",access_key_id=\"AAAABBBBCCCCDDDD\(end)\"} "
            + "\(time)"
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
