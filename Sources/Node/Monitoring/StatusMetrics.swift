// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import StatusVocabulary

/// What a node's status and its view of the cluster are as metrics. Pure.
package struct StatusMetrics {
    /// Most keys that have series of their own.
    package static let mostKeys = 500

    let status: NodeStatus
    let cluster: ClusterHealth
    let showsKeys: Bool

    /// - Parameter showsKeys: whether keys may be named.
    package init(status: NodeStatus, cluster: ClusterHealth, showsKeys: Bool) {
        self.status = status
        self.cluster = cluster
        self.showsKeys = showsKeys
    }

    package func write(to page: inout MetricPage) {
        page.add(.ready, [], status.isReady)
        page.add(.buildInfo, [status.version], 1)
        page.add(.storeWrites, [], status.store == .ok)
        writeAudit(to: &page)
        for hsm in status.hsms { write(hsm, to: &page) }
        writeKeys(to: &page)
        writeConditions(to: &page)
        writeCluster(to: &page)
        writeConnections(to: &page)
        writeKeyStores(to: &page)
        if let clock = status.clock {
            for (node, offset) in clock.peersMilliseconds.sorted(by: { $0.key < $1.key }) {
                page.add(.clockOffset, [node], Double(offset) / 1_000)
            }
            if let skew = clock.kmsSeconds { page.add(.kmsClockOffset, [], Double(skew)) }
        }
    }

    private func writeAudit(to page: inout MetricPage) {
        guard let audit = status.audit else { return }
        page.add(.auditWrites, [], audit.trouble == nil)
        page.add(.auditRecords, [], Double(audit.records))
        page.add(.auditBytes, [], Double(audit.bytes))
        page.add(.auditGaps, [], Double(audit.gaps))
        page.add(.auditMissed, ["late"], Double(audit.late))
        page.add(.auditMissed, ["lost"], Double(audit.lost))
        page.add(.auditMissed, ["refused"], Double(audit.refused))
        page.add(.auditUnsynced, [], Double(audit.unsyncedMicroseconds) / 1e6)
        page.add(.auditWaiting, [], Double(audit.waitingBytes))
    }

    private func write(_ hsm: HSMStatus, to page: inout MetricPage) {
        page.add(.hsmServes, [hsm.name], hsm.canServe)
        page.add(.hsmState, [hsm.name, hsm.state.rawValue], 1)
        if hsm.drained { page.add(.hsmState, [hsm.name, "drained"], 1) }
        page.add(.hsmLanes, [hsm.name, "open"], Double(hsm.lanes.open))
        page.add(.hsmLanes, [hsm.name, "in_use"], Double(hsm.lanes.inUse))
        page.add(.hsmLanes, [hsm.name, "overdue"], Double(hsm.lanes.overdue))
        page.add(.hsmLanes, [hsm.name, "queued"], Double(hsm.lanes.queued))
        if let capacity = hsm.learned?.callsPerSecond { page.add(.hsmCapacity, [hsm.name], Double(capacity)) }
        if let latency = hsm.latencyMicroseconds {
            page.add(.hsmRoundTrip, [hsm.name, "50"], Double(latency.p50) / 1e6)
            page.add(.hsmRoundTrip, [hsm.name, "99"], Double(latency.p99) / 1e6)
        }
        guard let work = hsm.work else { return }
        page.add(.hsmThrownAway, [hsm.name], Double(work.thrownAway))
        page.add(.hsmLongestWait, [hsm.name], Double(work.longestWaitMicroseconds ?? 0) / 1e6)
    }

    // MARK: Keys

    private func writeKeys(to page: inout MetricPage) {
        page.add(.keysServed, [], Double(status.keysServed))
        page.add(.keysExcluded, [], Double(status.keysExcluded))
        let spares = status.keys.map { ($0.label, status.spareHSMs(of: $0)) }
        let uses = status.keys.compactMap { key in key.encryptsInAll.map { (key.label, $0) } }
        guard showsKeys, status.keys.count <= Self.mostKeys else {
            if let least = spares.map(\.1).min() { page.add(.keySpareHSMs, [], Double(least)) }
            if let most = uses.map(\.1).max() { page.add(.keyEncryptions, [], Double(most)) }
            return
        }
        for (label, spare) in spares { page.add(.keySpareHSMs, [label], Double(spare)) }
        for (label, count) in uses { page.add(.keyEncryptions, [label], Double(count)) }
    }

    // MARK: Key stores

    private func writeKeyStores(to page: inout MetricPage) {
        for quota in status.quotas ?? [] {
            let limits = [("store", quota.requestsPerSecond), ("principal", quota.principalRequestsPerSecond)]
            for (name, limit) in limits {
                if let limit { page.add(.quotaLimit, [quota.keyStore, name], Double(limit)) }
            }
            page.add(.quotaRequests, [quota.keyStore, "admitted"], Double(quota.admitted ?? 0))
            page.add(.quotaRequests, [quota.keyStore, "over_store"], Double(quota.refusedByStore))
            page.add(.quotaRequests, [quota.keyStore, "over_principal"], Double(quota.refusedByPrincipal))
            page.add(.quotaNodes, [quota.keyStore], Double(quota.nodes))
            page.add(.quotaPrincipals, [quota.keyStore], Double(quota.principals))
        }
        for credential in status.credentials ?? [] {
            let labels = [credential.keyStore, credential.accessKeyId]
            if let seen = credential.firstSeenUnixSeconds { page.add(.credentialFirstSeen, labels, Double(seen)) }
            if let used = credential.lastUsedUnixSeconds { page.add(.credentialLastUsed, labels, Double(used)) }
        }
    }

    // MARK: The cluster

    private func writeConditions(to page: inout MetricPage) {
        // One sample for each; what has begun of one kind on one thing is one.
        var seen: Set<[String]> = []
        for condition in status.conditions + (cluster.conditions ?? []) {
            let labels = [condition.code, condition.severity.rawValue, condition.subject]
            if seen.insert(labels).inserted { page.add(.condition, labels, 1) }
        }
    }

    private func writeCluster(to page: inout MetricPage) {
        for liveness in ["alive", "suspect", "unconfirmed", "dead", "left"] {
            page.add(.nodes, [liveness], Double(cluster.nodes.count { $0.liveness.rawValue == liveness }))
        }
        page.add(.spareNodes, [], Double(cluster.spareNodes))
        for node in cluster.nodes {
            guard let trip = node.roundTripMicroseconds else { continue }
            page.add(.nodeRoundTrip, [node.name], Double(trip) / 1e6)
        }
        page.add(.blocksKnown, [], cluster.blocks.unknown == nil)
        page.add(.blocksInForce, [], Double(cluster.blocks.blocks.count))
    }

    // MARK: Connections and the log

    private func writeConnections(to page: inout MetricPage) {
        for listener in status.limits?.listeners ?? [] {
            let name = [listener.listener]
            page.add(.connections, name, Double(listener.connections))
            page.add(.connectionsMost, name, Double(listener.maxConnections))
            page.add(.connectionsUnauthenticated, name, Double(listener.unauthenticated))
            page.add(.connectionsEvicted, name, Double(listener.evicted))
            page.add(.connectionsRefused, name, Double(listener.refused))
        }
        var refusals: [[String]: Int] = [:]
        for refusal in status.refusals ?? [] {
            let key = [refusal.listener, refusal.kind]
            refusals[key] = (refusals[key] ?? 0) &+ refusal.count
        }
        for (labels, count) in refusals.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            page.add(.refusals, labels, Double(count))
        }
        for (lines, count) in (status.log?.dropped ?? [:]).sorted(by: { $0.key < $1.key }) {
            page.add(.logDropped, [lines], Double(count))
        }
        if let log = status.log { page.add(.logDropped, ["withheld"], Double(log.withheld)) }
    }
}
