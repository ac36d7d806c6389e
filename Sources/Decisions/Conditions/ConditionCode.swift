// SPDX-License-Identifier: Apache-2.0
import StatusVocabulary

/// Every state that a person should know of, the gravest first: what stops requests, what might harm keys, what takes away
/// the spare, what differs, what is only to be known. A new one is a case here; the compiler then asks for its meaning and
/// its mend, from which docs/reference/conditions.md is made, and for the test that brings it about.
package enum ConditionCode: String, Sendable, CaseIterable {
    case noNodeServes = "no-node-serves"
    case blocksUnknown = "blocks-unknown"
    case noHSMServes = "no-hsm-serves"
    case noKeyServed = "no-key-served"
    case hsmsTooSlow = "hsms-too-slow"
    case overloaded
    case auditFailing = "audit-failing"
    case nodeNameUsedTwice = "node-name-used-twice"
    case nodeDead = "node-dead"
    case keyDisputed = "key-disputed"
    case keyContested = "key-contested"
    case nodeRestored = "node-restored"
    case auditContradicted = "audit-contradicted"
    case keyUnserved = "key-unserved"
    case keyStoreUnserved = "key-store-unserved"
    case nodeSuspect = "node-suspect"
    case nodeUnreachable = "node-unreachable"
    case nodeUnconfirmed = "node-unconfirmed"
    case hsmUnavailable = "hsm-unavailable"
    case hsmProbing = "hsm-probing"
    case hsmStarting = "hsm-starting"
    case hsmDrained = "hsm-drained"
    case hsmDegraded = "hsm-degraded"
    case hsmTwice = "hsm-twice"
    case hsmSettingsRefused = "hsm-settings-refused"
    case keyDifferent = "key-different"
    case keyAbsent = "key-absent"
    case keyOdd = "key-odd"
    case clockOff = "clock-off"
    case certificateInvalid = "certificate-invalid"
    case certificateEnding = "certificate-ending"
    case seedUnreachable = "seed-unreachable"
    case configurationDiffers = "configuration-differs"
    case blocksDiffer = "blocks-differ"
    case refusedCertificatesDiffer = "refused-certificates-differ"
    case adminSocketClosed = "admin-socket-closed"
    case storeFailing = "store-failing"
    case libraryNotConfined = "library-not-confined"
    case nodeEnding = "node-ending"
    case nodeForgotten = "node-forgotten"
    case versionsDiffer = "versions-differ"
    case canariesDiffer = "canaries-differ"
    case blocksInForce = "blocks-in-force"

    /// How grave it is as a rule. What makes requests fail depends on whether others can do them.
    package var severity: Condition.Severity {
        switch self {
        case .noNodeServes, .blocksUnknown, .noHSMServes, .noKeyServed, .hsmsTooSlow: .critical
        case .libraryNotConfined, .nodeEnding, .nodeForgotten, .versionsDiffer, .canariesDiffer, .blocksInForce: .note
        default: .warning
        }
    }

    package enum Origin: Sendable {
        /// Peers are sent it by its name.
        case reported
        /// It follows from what peers are sent anyway (HSMs, keys).
        case evident
        /// What a node sees of the others.
        case seen
    }

    package var origin: Origin {
        switch self {
        case .blocksUnknown, .noKeyServed, .hsmsTooSlow, .keyStoreUnserved, .overloaded, .keyDisputed, .keyContested,
            .keyDifferent,
            .keyAbsent, .keyOdd,
            .hsmTwice, .hsmSettingsRefused, .clockOff, .certificateInvalid, .certificateEnding, .seedUnreachable,
            .adminSocketClosed, .storeFailing, .libraryNotConfined, .auditFailing, .auditContradicted:
            .reported
        case .noHSMServes, .keyUnserved, .hsmUnavailable, .hsmProbing, .hsmStarting, .hsmDrained, .hsmDegraded:
            .evident
        case .noNodeServes, .nodeNameUsedTwice, .nodeDead, .nodeRestored, .nodeSuspect, .nodeUnreachable,
            .nodeUnconfirmed, .configurationDiffers, .blocksDiffer, .refusedCertificatesDiffer, .nodeEnding,
            .nodeForgotten, .versionsDiffer, .canariesDiffer, .blocksInForce:
            .seen
        }
    }

    /// What follows from an HSM's state alone, which tables of HSMs show.
    package static let ofHSMState: Set<ConditionCode> = [
        .hsmUnavailable, .hsmProbing, .hsmStarting, .hsmDrained, .hsmDegraded,
    ]

    /// Its place among all, the gravest first; what this version does not know comes last.
    package static func rank(of code: String) -> Int { ranks[code] ?? ranks.count }

    private static let ranks = Dictionary(
        uniqueKeysWithValues: allCases.enumerated().map { ($0.element.rawValue, $0.offset) })

    /// What is so.
    package var meaning: String {
        switch self {
        case .noNodeServes:
            "No live node of the cluster has an HSM that serves, and a key to serve: every request fails."
        case .blocksUnknown:
            "The node does not know what is blocked: its list was lost, or it has none yet. It refuses every request."
        case .noHSMServes:
            "No HSM of the node can serve. It is critical where nothing can be passed on to another node."
        case .noKeyServed:
            "HSMs of the node are well, and serve none of the keys that it offers. It is critical where nothing can be passed "
                + "on to another node."
        case .hsmsTooSlow:
            "Every HSM of the node that could serve takes longer for one call than a request may take: requests time out. It is "
                + "critical where nothing can be passed on to another node."
        case .overloaded: "More is asked of the node's HSMs than they can do: what cannot be done in time gets 429."
        case .auditFailing:
            "Records of the audit log cannot be written in time, or not be signed. It is critical where requests are refused "
                + "for that (`on_full = \"refuse\"`); otherwise they are answered, and a gap record will say what that has "
                + "cost."
        case .nodeNameUsedTwice: "Two processes bear one node's name: an order reaches one of them only."
        case .nodeDead: "A node does not answer any more, and did not say goodbye."
        case .keyDisputed:
            "HSMs hold different keys under one label, and nothing says which is right: the key is refused."
        case .keyContested: "Nodes hold different keys under one label. One side encrypts; nothing is called invalid."
        case .nodeRestored: "The state directory of a node was put back to an earlier state."
        case .auditContradicted:
            "What a node tells of the end of its audit log does not fit what it told before: the log was rewritten or cut, "
                + "or its directory was put back to an earlier state. It is reported for seven days."
        case .keyUnserved: "Some of the keys that a node offers are served by none of its HSMs."
        case .keyStoreUnserved:
            "A key store offers keys that none of its own HSMs (`keystore.hsms`) serves, though others serve them."
        case .nodeSuspect: "A node does not answer at the moment, and is given time to say that it lives."
        case .nodeUnreachable: "A node reaches another one, which does not reach it: the network lets one way through."
        case .nodeUnconfirmed: "Other nodes report a node that this one cannot reach."
        case .hsmUnavailable: "An HSM is out."
        case .hsmProbing: "An HSM was out, and must pass a test before it is given requests."
        case .hsmStarting: "The worker of an HSM loads its library, logs in and lists its keys."
        case .hsmDrained: "An HSM was taken out of use by `claviger hsm drain`."
        case .hsmDegraded: "An HSM serves, and something is wrong with it."
        case .hsmTwice: "Two HSMs of the configuration are one token: where it fails, both are gone."
        case .hsmSettingsRefused:
            "The new settings of an HSM cannot be used, most often its PIN. It serves by the former ones until the node "
                + "is started again, and then not at all."
        case .keyDifferent: "An HSM holds another key under the label of one that it should serve. It never serves it."
        case .keyAbsent: "An HSM lacks keys that it should serve."
        case .keyOdd:
            "Something about a key is odd, and keeps it from nothing; or, as a note, the attributes of a key forbid its use on "
                + "every HSM, or a token holds keys that no key store can offer, as their labels can be no external key id."
        case .clockOff:
            "The node's clock differs from those of most peers by seconds, or from KMS's, by the times that requests are signed "
                + "with: several validly signed ones over some seconds are out of time, and none in between fits. Requests that "
                + "are held back or replayed on their way look the same. It is critical, and the node not "
                + "ready, where all valid signatures of the last minute were out of time and most peers agree that it is "
                + "beyond the five minutes that KMS's signatures allow."
        case .certificateInvalid: "A certificate that the node shows is refused by others: it has ended, or not begun."
        case .certificateEnding:
            "A certificate that the node shows ends within 30 days, or, of a short life, has less than a third of it left."
        case .seedUnreachable: "A seed of the cluster cannot be resolved, does not answer, or refuses this node."
        case .configurationDiffers:
            "Nodes differ in what all must share: key stores with their keys, credentials, regions, policies and quotas."
        case .blocksDiffer: "Nodes have different lists of blocks. They merge within seconds as a rule."
        case .refusedCertificatesDiffer: "Nodes refuse different certificates of nodes."
        case .adminSocketClosed:
            "The node's admin socket is not served, and no command reaches it; or it cannot be given to `node.admin_group`, and "
                + "those in it reach it not."
        case .storeFailing: "The node's database cannot be written. It serves without it, and forgets at a restart."
        case .libraryNotConfined: "The kernel lacks a part of what keeps an HSM's library in its compartment."
        case .nodeEnding: "A node was asked to end, and finishes what it has."
        case .nodeForgotten: "A node was given up by `claviger cluster forget`: orders do not wait for it."
        case .versionsDiffer: "Nodes run different versions, as during an upgrade."
        case .canariesDiffer: "Two nodes prove keys by different canaries. They settle it among themselves."
        case .blocksInForce: "Blocks that operators have given are in force."
        }
    }

    /// What to do.
    package var mend: String {
        switch self {
        case .noNodeServes:
            "Look at each node's HSMs and keys: `claviger status` there says why each is out, or not served."
        case .blocksUnknown:
            "It merges with the first peer that has a list. Where no node has one: `claviger cluster bootstrap` for a new "
                + "cluster, `claviger unblock --confirm-unknown` where a list was lost (docs/guides/break-glass.md)."
        case .noHSMServes: "`claviger status` says why each HSM is out; hsm-states.md says what to do for each reason."
        case .noKeyServed:
            "`claviger status` shows for each key and HSM why it is not served: no key of that label, another one than "
                + "before, a dispute."
        case .hsmsTooSlow:
            "Look at the HSMs' own load and at the network to them. Where they are as far away as that, raise "
                + "`xks.request_deadline`, as far as KMS's 250 ms allow ([times](../guides/load-balancers.md#times))."
        case .overloaded:
            "Add sessions or HSMs, or lower what is asked; a slow HSM is shown with what it can do in `claviger status`."
        case .auditFailing:
            "The text says what the disk answers: free space, or mend its owner and mode; or which key cannot be had: put it "
                + "back and `claviger reload`. Records that wait are written then "
                + "([audit log](../guides/audit.md#when-the-disk-is-full))."
        case .nodeNameUsedTwice: "Give each node a `node.id` and a certificate of its own."
        case .nodeDead:
            "Start it again, or look at its network. If it is gone for good: `claviger cluster forget NODE`."
        case .keyDisputed:
            "Decide by your own records whose key is right, then `claviger key trust KEY --hsm NAME`."
        case .keyContested: "Decide as for a disputed key: `claviger status` names the keys and the nodes."
        case .nodeRestored: "docs/guides/restore.md says what else went back with the list of blocks."
        case .auditContradicted:
            "On the node that reports it, `claviger audit heads --node NAME > FILE`; with the file, `claviger audit verify` "
                + "on a copy of the other node's log says where "
                + "([audit log](../guides/audit.md#when-a-log-was-changed))."
        case .keyUnserved: "`claviger status` on that node shows for each HSM why it does not serve the key."
        case .keyStoreUnserved:
            "`claviger status` shows why its HSMs are out, or do not serve the keys; or name further HSMs in `keystore.hsms`."
        case .nodeSuspect: "Nothing, if it lasts seconds. If it comes and goes: look at its load and its network."
        case .nodeUnreachable:
            "Look at the cluster port of the node that cannot be reached, and at firewalls between them."
        case .nodeUnconfirmed: "Look at the cluster port of that node, and at firewalls between the two."
        case .hsmUnavailable, .hsmProbing, .hsmDegraded: "hsm-states.md says what to do for each reason."
        case .hsmStarting: "Nothing, if it lasts seconds; hsm-states.md, if it stays."
        case .hsmDrained: "`claviger hsm undrain NAME` when the maintenance is over."
        case .hsmTwice: "Take one of them out of the configuration, and raise `sessions` of the other."
        case .hsmSettingsRefused: "Correct them, and `claviger reload`."
        case .keyDifferent:
            "Find out where the object came from; delete or rename it on that HSM, and replicate the right key to it."
        case .keyAbsent: "Replicate the keys to that HSM, or take it out of the key store (`keystore.hsms`)."
        case .keyOdd:
            "`claviger status` says what is odd: several keys of one label, or attributes that forbid a use. A label that "
                + "can be no external key id is given one: `keys = [{ id = \"…\", label = \"…\" }]`."
        case .clockOff: "Synchronize the host's clock: `chronyc tracking`, `timedatectl`."
        case .certificateInvalid, .certificateEnding:
            "Put a new one in its place, `claviger cluster issue` for a node's own, and `claviger reload`."
        case .seedUnreachable:
            "Look at the seed's name, its cluster port, and firewalls; take it out of `cluster.seeds` if it is gone for "
                + "good, and `claviger reload`."
        case .configurationDiffers: "Bring the files of the nodes into line, and `claviger reload`."
        case .blocksDiffer: "Nothing, if it lasts seconds. If it stays: look at the network between the nodes."
        case .refusedCertificatesDiffer: "Bring `[cluster] refused` of the nodes into line, and `claviger reload`."
        case .adminSocketClosed:
            "The text says why. The node tries again each second; another node in the same `state_dir` must end. For a group: "
                + "make it, or have the node's user in it, and start the node again."
        case .storeFailing: "The text says what the disk answers: free space, remount it, or mend its owner and mode."
        case .libraryNotConfined: "docs/guides/hsms.md says which kernel has what; `sandbox = \"off\"` accepts it."
        case .nodeEnding, .versionsDiffer, .canariesDiffer: "Nothing."
        case .nodeForgotten: "Nothing. If it speaks again it counts again."
        case .blocksInForce: "`claviger blocks` lists them, `claviger unblock` lifts them."
        }
    }
}

extension Condition {
    package init(
        _ code: ConditionCode, of node: String, _ subject: String = "", _ text: String, details: [String] = [],
        since: Int64? = nil, severity: Severity? = nil
    ) {
        self.init(
            code: code.rawValue, severity: severity ?? code.severity, node: node, subject: subject, text: text,
            details: Array(details.prefix(Self.mostDetails)), sinceUnixSeconds: since)
    }

    /// Most lines of details; the text has the count.
    package static let mostDetails = 10

    /// `nil` for one of a later version.
    package var known: ConditionCode? { ConditionCode(rawValue: code) }
}

extension [Condition] {
    /// The gravest first; of one code in the order in which they came.
    package var byGravity: [Condition] {
        let severities: [Condition.Severity] = [.critical, .warning, .note]
        func rank(_ condition: Condition) -> (Int, Int) {
            (severities.firstIndex(of: condition.severity) ?? 1, ConditionCode.rank(of: condition.code))
        }
        return enumerated().sorted { left, right in
            let (first, second) = (rank(left.element), rank(right.element))
            return first == second ? left.offset < right.offset : first < second
        }.map(\.element)
    }
}
