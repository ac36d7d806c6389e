// SPDX-License-Identifier: Apache-2.0

/// Every metric that a node has, by the conventions of Prometheus: base units, counters that end in `_total`. A new one is a
/// case here; the compiler then asks for its kind, its labels and its meaning, and docs/reference/metrics.md is made from
/// them.
package enum NodeMetric: String, Sendable, CaseIterable {
    case requests = "claviger_requests_total"
    case requestDuration = "claviger_request_duration_seconds"
    case requestsReliable = "claviger_requests_reliability_total"
    case requestsLate = "claviger_requests_late_total"
    case requestsInFlight = "claviger_requests_in_flight"
    case requestsForwarded = "claviger_requests_forwarded_total"
    case requestWait = "claviger_request_wait_seconds_total"
    case hsmCalls = "claviger_hsm_calls_total"
    case hsmSecondCalls = "claviger_hsm_second_calls_total"
    case hsmDuration = "claviger_hsm_duration_seconds"
    case hsmRoundTrip = "claviger_hsm_round_trip_seconds"
    case hsmServes = "claviger_hsm_serves"
    case hsmState = "claviger_hsm_state"
    case hsmLanes = "claviger_hsm_lanes"
    case hsmCapacity = "claviger_hsm_capacity_calls_per_second"
    case hsmThrownAway = "claviger_hsm_calls_thrown_away_total"
    case hsmLongestWait = "claviger_hsm_longest_wait_seconds"
    case keysServed = "claviger_keys_served"
    case keysExcluded = "claviger_keys_excluded"
    case keySpareHSMs = "claviger_key_spare_hsms"
    case keyEncryptions = "claviger_key_encryptions"
    case quotaLimit = "claviger_quota_limit_requests_per_second"
    case quotaRequests = "claviger_quota_requests_total"
    case quotaNodes = "claviger_quota_nodes"
    case quotaPrincipals = "claviger_quota_principals"
    case credentialFirstSeen = "claviger_credential_first_seen_timestamp_seconds"
    case credentialLastUsed = "claviger_credential_last_used_timestamp_seconds"
    case ready = "claviger_ready"
    case condition = "claviger_condition"
    case nodes = "claviger_nodes"
    case spareNodes = "claviger_spare_nodes"
    case nodeRoundTrip = "claviger_node_round_trip_seconds"
    case clockOffset = "claviger_clock_offset_seconds"
    case kmsClockOffset = "claviger_kms_clock_offset_seconds"
    case certificateEnd = "claviger_certificate_expiry_timestamp_seconds"
    case blocksInForce = "claviger_blocks_in_force"
    case blocksKnown = "claviger_blocks_known"
    case storeWrites = "claviger_store_writable"
    case auditWrites = "claviger_audit_writable"
    case auditRecords = "claviger_audit_records_total"
    case auditBytes = "claviger_audit_bytes_total"
    case auditGaps = "claviger_audit_gaps_total"
    case auditMissed = "claviger_audit_missed_total"
    case auditUnsynced = "claviger_audit_unsynced_seconds"
    case auditWaiting = "claviger_audit_waiting_bytes"
    case receivedBytes = "claviger_received_bytes_total"
    case sentBytes = "claviger_sent_bytes_total"
    case clientRoundTrip = "claviger_client_round_trip_seconds"
    case connections = "claviger_connections"
    case connectionsMost = "claviger_connections_limit"
    case connectionsUnauthenticated = "claviger_connections_unauthenticated"
    case connectionsEvicted = "claviger_connections_evicted_total"
    case connectionsRefused = "claviger_connections_refused_total"
    case refusals = "claviger_refusals_total"
    case logDropped = "claviger_log_lines_dropped_total"
    case traceSpans = "claviger_trace_spans_total"
    case buildInfo = "claviger_build_info"
    case residentMemory = "process_resident_memory_bytes"
    case openDescriptors = "process_open_fds"
    case mostDescriptors = "process_max_fds"
    case processorTime = "process_cpu_seconds_total"
    case startTime = "process_start_time_seconds"

    package enum Kind: String, Sendable { case counter, gauge, histogram }

    package var kind: Kind {
        switch self {
        case .requestDuration, .hsmDuration, .clientRoundTrip: .histogram
        case _ where rawValue.hasSuffix("_total"): .counter
        default: .gauge
        }
    }

    /// Upper edges of a histogram's buckets, seconds: KMS waits for 250 ms, and has its retry at about 500 (AWS KMS developer
    /// guide, "Monitoring external key stores").
    package static let edges: [Double] = [
        0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1, 2.5,
    ]

    /// Names of its labels, in order.
    package var labels: [String] {
        switch self {
        case .requests: ["operation", "keystore", "outcome", "exception"]
        case .requestDuration: ["operation", "keystore"]
        case .requestsReliable: ["keystore", "reliable"]
        case .requestsLate: ["keystore"]
        case .requestsForwarded: ["direction"]
        case .hsmCalls: ["keystore"]
        case .hsmSecondCalls: ["reason"]
        case .hsmDuration, .hsmServes, .hsmCapacity, .hsmThrownAway, .hsmLongestWait: ["hsm"]
        case .hsmState: ["hsm", "state"]
        case .hsmRoundTrip: ["hsm", "percentile"]
        case .quotaLimit: ["keystore", "of"]
        case .quotaRequests: ["keystore", "outcome"]
        case .quotaNodes, .quotaPrincipals: ["keystore"]
        case .credentialFirstSeen, .credentialLastUsed: ["keystore", "access_key_id"]
        case .receivedBytes, .sentBytes: ["listener"]
        case .hsmLanes: ["hsm", "lanes"]
        case .keySpareHSMs, .keyEncryptions: ["key"]
        case .condition: ["code", "severity", "subject"]
        case .nodes: ["liveness"]
        case .nodeRoundTrip, .clockOffset: ["node"]
        case .certificateEnd: ["certificate"]
        case .connections, .connectionsMost, .connectionsUnauthenticated, .connectionsEvicted, .connectionsRefused:
            ["listener"]
        case .auditMissed: ["kind"]
        case .refusals: ["listener", "kind"]
        case .logDropped: ["lines"]
        case .traceSpans: ["outcome"]
        case .buildInfo: ["version"]
        default: []
        }
    }

    /// What it says, for its HELP line and the reference.
    package var meaning: String {
        switch self {
        case .requests:
            "Requests that were answered: by operation of the API, path prefix of the key store (empty where nobody has "
                + "proven who asks), outcome (`ok`, `error`, `undelivered`: the client had gone), and the exception's name."
        case .requestDuration: "From the first byte of a request to its answer, as the node sees it."
        case .requestsReliable:
            "Answers by AWS's own rule for the reliability of an external key store: InternalException, "
                + "DependencyTimeoutException and ThrottlingException, and what came after 250 ms, are unreliable."
        case .requestsLate:
            "Answers that came after 250 ms, when KMS had given up: they failed there, whatever they said."
        case .requestsInFlight: "Requests that have not been answered yet."
        case .requestsForwarded: "Requests passed on to a peer (`out`), and taken over from one (`in`)."
        case .requestWait: "Time that requests waited for an HSM's lane to become free."
        case .hsmCalls: "Calls of HSMs that were made for requests; more than requests where second ones were made."
        case .hsmSecondCalls:
            "Calls beyond a request's first: after a failure or a patience that was over (`failover`), and beside a slow "
                + "one (`hedge`)."
        case .hsmDuration: "Time in the HSM's library of the calls that decided."
        case .hsmRoundTrip:
            "Of a call of the HSM and its answer, as the node has seen the recent ones: library, network and HSM (half and "
                + "99 of a hundred)."
        case .hsmServes: "1 where the HSM is given requests."
        case .hsmState: "1 for the state that the HSM is in (docs/reference/hsm-states.md); `drained` beside it."
        case .hsmLanes:
            "Sessions with the token: `open`, of these `in_use` and `overdue`, and what waits behind them (`queued`)."
        case .hsmCapacity: "Calls a second that it can do by its recent ones."
        case .hsmThrownAway: "Calls that returned when nobody waited for them any more."
        case .hsmLongestWait: "For how long the oldest request waits that it could do."
        case .keysServed: "Keys that at least one HSM of the node serves."
        case .keysExcluded: "Keys that an HSM is kept from, that are disputed, or about which something is odd."
        case .keySpareHSMs:
            "How many HSMs of the node may still be lost before the key is served by none; of the key that is worst off, "
                + "or with `control.show_keys` of each (500 at most)."
        case .keyEncryptions:
            "How often all nodes have encrypted under the key, ever, as far as they tell (each the 32 that it uses most); of "
                + "the most used key, or with `control.show_keys` of each. With random IVs a key is to be used less than 2^32 "
                + "times (SP 800-38D, 8.3)."
        case .quotaLimit:
            "A key store's quota, for all nodes together: of all its requests (`store`), and of each principal's "
                + "(`principal`)."
        case .quotaRequests:
            "Requests that a quota let through at this node (`admitted`), and that it refused (`over_store`, "
                + "`over_principal`)."
        case .quotaNodes: "How many nodes share the quota: each lets through that part of it."
        case .quotaPrincipals: "Principals that are told apart at this node."
        case .credentialFirstSeen:
            "When a configuration of the node first had the credential, Unix time: its age, as AWS's XksProxyCredentialAge, is "
                + "the time since then."
        case .credentialLastUsed:
            "When a node of the cluster last took a request that the credential signed, Unix time to the minute; absent "
                + "where none did."
        case .ready: "1 where `/readyz` answers 200."
        case .condition:
            "1 for each condition of this node, and of others as it sees them (docs/reference/conditions.md)."
        case .nodes: "Nodes of the cluster as this one sees them."
        case .spareNodes: "How many nodes may still be lost: live ones that serve all their keys, less one."
        case .nodeRoundTrip: "Of a probe to a peer and its answer, smoothed."
        case .clockOffset: "A live peer's clock minus this node's."
        case .kmsClockOffset:
            "This node's clock minus KMS's, by the last valid signature; absent without one in the last minute."
        case .certificateEnd: "When the first certificate of its chain ends, Unix time."
        case .blocksInForce: "Blocks in force."
        case .blocksKnown: "0 where the node does not know what is blocked, and refuses everything."
        case .storeWrites: "0 where the node's database cannot be written."
        case .auditWrites: "0 where records of the audit log cannot be written in time. Absent without `[audit]`."
        case .auditRecords: "Records that were written to the audit log."
        case .auditBytes: "Bytes that were written to the audit log."
        case .auditGaps: "Times for which records could not be written in time."
        case .auditMissed:
            "Records that came while segments or journal could not be written (`late`), that were never written (`lost`), "
                + "and requests that were refused for want of one (`refused`)."
        case .auditUnsynced: "For how long the oldest record waits to be on the disk itself: below 1 as a rule."
        case .auditWaiting: "Bytes of records that are in no segment yet."
        case .receivedBytes: "Bytes that connections have received, TLS included, without TCP and IP."
        case .sentBytes: "Bytes that connections have sent, likewise."
        case .clientRoundTrip:
            "Of the network between the node and the clients that have authenticated, as the kernel knows it (TCP_INFO); each "
                + "connection counts every ten seconds. A balancer that ends TCP is the client."
        case .connections: "Open connections."
        case .connectionsMost: "Most connections at a time."
        case .connectionsUnauthenticated: "Open connections of which no request was authenticated."
        case .connectionsEvicted: "Unauthenticated connections that were closed to make room."
        case .connectionsRefused: "Newcomers that were turned away for want of room."
        case .refusals: "Whom the listeners have turned away, by reason (docs/reference/log.md)."
        case .logDropped: "Lines that the log could not say: its reader did not keep up, or `withheld`, of strangers."
        case .traceSpans:
            "Spans of traced requests by what became of them: a collector has taken them (`sent`), or `refused` them, or was "
                + "not reached (`unsent`), or too many waited (`crowded_out`). Absent before something was to be traced."
        case .buildInfo: "1, with the version."
        case .residentMemory: "Memory of the node's process; workers have their own."
        case .openDescriptors: "Descriptors that the process has open."
        case .mostDescriptors: "Descriptors that it may have open."
        case .processorTime: "Processor time that the process has used, of the user and of the system."
        case .startTime: "When the process began, Unix time."
        }
    }
}
