// SPDX-License-Identifier: Apache-2.0
import Gossip

/// PEM files of the cluster's TLS.
package struct ClusterTLSFiles: Sendable, Equatable {
    /// The cluster's CA: whoever has a certificate from it is a node.
    package var ca: String
    /// This node's certificate, then intermediate ones. It bears the dNSName `<node>.node.claviger`.
    package var certificate: String
    /// The private key of the first certificate.
    package var key: String

    package init(ca: String, certificate: String, key: String) {
        self.ca = ca
        self.certificate = certificate
        self.key = key
    }
}

/// What a node needs to take part in a cluster.
package struct ClusterSettings: Sendable, Equatable {
    /// `node.id` and `node.site`.
    package var node: String
    package var site: String
    /// Where this node listens: an address or a name, and a port, 0 for any free one.
    package var listenHost: String
    package var listenPort: Int
    /// `host:port` under which peers reach this node. With port 0 the port that was bound takes its place.
    package var advertise: String
    /// `host:port` each, where to begin looking for peers. A name stands for all its addresses.
    package var seeds: [String]
    package var tls: ClusterTLSFiles
    /// Longest body of a request that is passed on: what the XKS listener takes.
    package var maxForwardBytes: Int
    /// Whether this node passes requests on, so that connections for them are kept ready.
    package var isForwarding: Bool

    package init(
        node: String, site: String, listenHost: String, listenPort: Int, advertise: String, seeds: [String],
        tls: ClusterTLSFiles, maxForwardBytes: Int, isForwarding: Bool = true
    ) {
        self.node = node
        self.site = site
        self.listenHost = listenHost
        self.listenPort = listenPort
        self.advertise = advertise
        self.seeds = seeds
        self.tls = tls
        self.maxForwardBytes = maxForwardBytes
        self.isForwarding = isForwarding
    }
}

/// Why a node cannot take part. Names the file or the value, and what mends it.
package enum ClusterError: Error, Equatable, Sendable {
    case unreadable(file: String, reason: String)
    case noCertificate(file: String)
    case badKey(file: String)
    case mismatch(certificate: String, key: String)
    case unnamed(file: String, node: String)
    case otherNode(file: String, names: String, node: String)
    case badAddress(String)
    case cannotListen(address: String, reason: String)
}

extension ClusterError {
    /// What to do about it, in a few words.
    package var mend: String {
        switch self {
        case .unreadable: "correct the path, or let the node's user read the file"
        case .noCertificate, .badKey: "give a PEM file of the kind that `claviger cluster issue` writes"
        case .mismatch: "give the key of this certificate"
        case .unnamed(_, let node), .otherNode(_, _, let node): "`claviger cluster issue \(node)` makes one"
        case .badAddress: "write HOST:PORT"
        case .cannotListen: "choose an address of this host and a port that is free"
        }
    }
}

extension ClusterError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unreadable(let file, let reason):
            "\(file) cannot be read: \(reason)."
        case .noCertificate(let file):
            "\(file) holds no certificate in PEM form; `claviger cluster issue` makes one."
        case .badKey(let file):
            "\(file) holds no usable private key in PEM form, without a password."
        case .mismatch(let certificate, let key):
            "The key in \(key) is not that of the certificate in \(certificate); give the two that belong together."
        case .unnamed(let file, let node):
            "The certificate in \(file) bears no node's name; it needs the DNS name \(NodeName.dnsName(of: node)) "
                + "(`claviger cluster issue \(node)`)."
        case .otherNode(let file, let name, let node):
            "The certificate in \(file) is for the node \(name), and this node is \(node); give this node's own."
        case .badAddress(let address):
            "\"\(address)\" is no host and port; write HOST:PORT, or [IPV6]:PORT."
        case .cannotListen(let address, let reason):
            "The cluster listener cannot listen at \(address): \(reason)."
        }
    }
}

/// What a node remembers of its cluster from earlier runs.
package struct ClusterMemory: Sendable {
    /// Peers that have spoken to it, and have neither left nor been forgotten.
    package var peers: [NodeIdentity]
    /// By name, how many changes of their block lists nodes have reported.
    package var changes: [String: UInt64]
    /// Nodes that an operator has ordered to forget, and that have not spoken since.
    package var forgotten: [(node: NodeIdentity, order: ForgetNodeOrder)]

    package init(
        peers: [NodeIdentity] = [], changes: [String: UInt64] = [:],
        forgotten: [(node: NodeIdentity, order: ForgetNodeOrder)] = []
    ) {
        self.peers = peers
        self.changes = changes
        self.forgotten = forgotten
    }
}
