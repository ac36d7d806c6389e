// SPDX-License-Identifier: Apache-2.0
import Gossip
import TLSFacts

/// PEM files of the cluster's TLS, and whose certificates are refused though the CA has signed them.
package struct ClusterTLSFiles: Sendable, Equatable {
    /// The cluster's CA: whoever has a certificate from it is a node.
    package var ca: String
    /// This node's certificate, then intermediate ones. It bears the dNSName `<node>.node.claviger`.
    package var certificate: String
    /// The private key of the first certificate.
    package var key: String
    /// Serial numbers of certificates that no node may show any more. Of the first certificate of a chain only.
    package var refused: Set<CertificateSerial>

    package init(ca: String, certificate: String, key: String, refused: Set<CertificateSerial> = []) {
        self.ca = ca
        self.certificate = certificate
        self.key = key
        self.refused = refused
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
    /// Connections of peers at a time, at least 1: room for two of each of some hundred peers, and for those that pass
    /// requests on.
    package var connections: Int
    /// Of these, connections at a time of which it is not known yet who is at their other end, at least 1.
    package var unknownConnections: Int

    package init(
        node: String, site: String, listenHost: String, listenPort: Int, advertise: String, seeds: [String],
        tls: ClusterTLSFiles, maxForwardBytes: Int, isForwarding: Bool = true, connections: Int = 1_024,
        unknownConnections: Int = 128
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
        self.connections = connections
        self.unknownConnections = unknownConnections
    }
}

/// Why a node cannot take part. Names the file or the value, and what mends it.
package enum ClusterError: Error, Equatable, Sendable {
    /// It cannot be read, or may not hold what it does: what follows its name in a sentence, and the mend.
    case unusableFile(file: String, problem: String, mend: String)
    /// No PEM text, or one that was cut off.
    case badText(file: String, line: Int, reason: String)
    case noCertificate(file: String)
    case badKey(file: String)
    case mismatch(certificate: String, key: String)
    case unnamed(file: String, node: String)
    case otherNode(file: String, names: String, node: String)
    /// This node's own certificate is among those that it refuses.
    case refusedItself(file: String, serial: CertificateSerial, node: String)
    /// The cluster's CA has not signed this node's certificate.
    case foreign(file: String, ca: String, node: String)
    /// It may not be used at both ends of a connection.
    case wrongUse(file: String, node: String)
    case badAddress(String)
    case cannotListen(address: String, reason: String)
}

extension ClusterError {
    /// What to do about it, in a few words.
    package var mend: String {
        switch self {
        case .unusableFile(_, _, let mend): mend
        case .badText: "copy the file again, whole, as plain text (ASCII or UTF-8)"
        case .noCertificate, .badKey: "give a PEM file of the kind that `claviger cluster issue` writes"
        case .mismatch: "give the key of this certificate"
        case .unnamed(_, let node), .otherNode(_, _, let node), .foreign(_, _, let node), .wrongUse(_, let node):
            "`claviger cluster issue \(node)` makes one"
        case .refusedItself(_, let serial, let node):
            "`claviger cluster issue \(node)` makes another certificate; or take \(serial) out of `cluster.refused`"
        case .badAddress: "write HOST:PORT"
        case .cannotListen: "choose an address of this host and a port that is free"
        }
    }
}

extension ClusterError {
    /// The file in which it is wrong; `nil` where it is in none.
    package var file: String? {
        switch self {
        case .unusableFile(let file, _, _), .badText(let file, _, _), .noCertificate(let file), .badKey(let file),
            .mismatch(_, let file), .unnamed(let file, _), .otherNode(let file, _, _),
            .refusedItself(let file, _, _), .foreign(let file, _, _), .wrongUse(let file, _):
            file
        case .badAddress, .cannotListen: nil
        }
    }
}

extension ClusterError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unusableFile(let file, let problem, _): "\(file) \(problem)."
        case .badText(let file, let line, let reason): "\(file), line \(line): \(reason)."
        case .noCertificate(let file):
            "\(file) holds no certificate in PEM form."
        case .badKey(let file):
            "\(file) holds no usable private key in PEM form, without a password."
        case .mismatch(let certificate, let key):
            "The key in \(key) is not that of the certificate in \(certificate); give the two that belong together."
        case .unnamed(let file, let node):
            "The certificate in \(file) bears no node's name; it needs the DNS name \(NodeName.dnsName(of: node)) "
                + "(`claviger cluster issue \(node)`)."
        case .otherNode(let file, let name, let node):
            "The certificate in \(file) is for the node \(name), and this node is \(node); give this node's own."
        case .refusedItself(let file, let serial, let node):
            "The certificate in \(file) has the serial number \(serial), which `cluster.refused` names: give \(node) a "
                + "certificate that is not refused."
        case .foreign(let file, let ca, let node):
            "The certificate in \(file) is not signed by the cluster's CA in \(ca): its peers would refuse \(node). Give one "
                + "that this CA has signed, with the certificates between the two, or the CA that has signed it."
        case .wrongUse(let file, let node):
            "The certificate in \(file) may not be used by servers and clients: its extended key usage needs serverAuth and "
                + "clientAuth, because \(node) is both."
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
