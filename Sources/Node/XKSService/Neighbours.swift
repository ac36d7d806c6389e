// SPDX-License-Identifier: Apache-2.0
import AccessControl
import LaneProtocol
import StatusVocabulary
import XKSProtocol

// What the service needs of the rest of the node and of other nodes.

/// The rest of the node and the other nodes, as the service meets them.
package struct ServiceNeighbours: Sendable {
    package var blocks: any BlockSource
    /// `nil` where the node stands alone, or forwarding is switched off.
    package var forwarder: (any RequestForwarder)?
    package var fleet: any FleetSource
    package var formats: any FormatSource
    package var offers: any OfferSource
    package var nodes: any NodeCountSource
    /// `nil` where no audit log is written.
    package var audit: (any RequestAudit)?

    package init(
        blocks: any BlockSource, forwarder: (any RequestForwarder)?, fleet: any FleetSource,
        formats: any FormatSource = FirstFormat(), offers: any OfferSource = NoOtherOffers(),
        nodes: any NodeCountSource = SingleNode(), audit: (any RequestAudit)? = nil
    ) {
        self.blocks = blocks
        self.forwarder = forwarder
        self.fleet = fleet
        self.formats = formats
        self.nodes = nodes
        self.audit = audit
        self.offers = offers
    }
}

/// Passes requests on to other nodes.
package protocol RequestForwarder: Sendable {
    /// Has a peer answer `request`, which this node has authenticated and cannot serve. Never blocks; `completion` is
    /// called exactly once, on any thread.
    ///
    /// - Parameters:
    ///   - label: of the key that is meant.
    ///   - needs: which peers may be asked.
    ///   - deadline: CLOCK_MONOTONIC, nanoseconds. However little time is left: peers from which no answer can come in it
    ///     are not asked.
    ///   - asking: called with a peer's name when that one is sent the request, before `completion`.
    func forward(
        _ request: ProxyRequest, label: KeyLabel, needs: ForwardingNeeds, deadline: UInt64,
        asking: @escaping @Sendable (String) -> Void,
        completion: @escaping @Sendable (ForwardOutcome) -> Void)

    /// Whether a peer could be asked at the moment.
    func canForward(label: KeyLabel, needs: ForwardingNeeds) -> Bool
}

/// What can be said of keys and key stores that this node does not offer. "There is none" is final for KMS, and the
/// configuration of another node may be a different one.
package enum UnofferedWord: Sendable, Equatable {
    /// All nodes have one configuration: nobody offers it.
    case nowhere
    /// Another node may offer it.
    ///
    /// - Parameters:
    ///   - nodes: names of those that can be asked.
    ///   - reason: why, for people.
    case elsewhere(nodes: Set<String>, reason: String)
}

package protocol OfferSource: Sendable {
    /// Never waits.
    func wordOnUnoffered() -> UnofferedWord
}

/// Where no other node is.
package struct NoOtherOffers: OfferSource {
    package init() {}
    package func wordOnUnoffered() -> UnofferedWord { .nowhere }
}

/// Which formats of ciphertext are in use.
package protocol FormatSource: Sendable {
    /// The highest format of ciphertext that any node of the cluster makes, or has made; 1 at least. Asked at each
    /// decryption: never waits.
    var activatedFormat: UInt8 { get }
}

/// Where nothing but the first format was ever in use.
package struct FirstFormat: FormatSource {
    package init() {}
    package var activatedFormat: UInt8 { 1 }
}

package enum ForwardOutcome: Sendable {
    /// The answer of the node of this name, to be handed on as it is.
    case answered(ProxyResponse, by: String)
    /// No node could be asked, or none answered in time. Says why.
    case failed(String)
}

/// The block list as it is at the moment. Asked at each request: never waits.
package protocol BlockSource: Sendable {
    func current() -> BlockList
}

/// HSMs behind the endpoint, for GetHealthStatus.
package protocol FleetSource: Sendable {
    /// - Parameter names: the HSMs of this node that a key store has; `nil` for all.
    func fleet(of names: Set<String>?) -> Fleet
}

/// Keeps a record of authenticated requests, before their answers leave.
package protocol RequestAudit: Sendable {
    /// Whether requests are refused for want of records: then nothing is done for one first. Asked at each request; never
    /// waits.
    var isRefusing: Bool { get }

    /// Records a request that is about to be answered. Never waits for a disk. Returns whether the answer may leave.
    func record(_ trace: RequestTrace) -> Bool
}

/// How many nodes share the requests, for quotas.
package protocol NodeCountSource: Sendable {
    /// Nodes that live, and nodes that belong to the cluster, both with this one. Asked a few times a second; never waits.
    func nodeCounts() -> (live: Int, members: Int)
}

/// Where no other node is.
package struct SingleNode: NodeCountSource {
    package init() {}
    package func nodeCounts() -> (live: Int, members: Int) { (1, 1) }
}

package struct Fleet: Sendable, Equatable {
    /// Nodes that live, this one included: at least 1.
    package let nodes: Int
    /// Each HSM once, by serial number; the ones that a person must look at first.
    package let hsms: [FleetHSM]

    /// - Parameter hsms: in any order.
    package init(nodes: Int, hsms: [FleetHSM]) {
        self.nodes = nodes
        self.hsms = hsms.sorted { left, right in
            left.health == right.health ? left.id < right.id : left.health > right.health
        }
    }
}

package struct FleetHSM: Sendable, Equatable {
    package var id: String
    package var manufacturer: String?
    /// Manufacturer, model and firmware, as far as they are known; `nil` where none is.
    package var model: String?
    package var health: HSMHealth

    package init(id: String, manufacturer: String?, model: String?, health: HSMHealth) {
        self.id = id
        self.manufacturer = manufacturer
        self.model = model
        self.health = health
    }
}
