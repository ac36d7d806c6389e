// SPDX-License-Identifier: Apache-2.0
import TLSFacts

/// `[cluster]`: how this node and its peers reach and recognise one another.
package struct ClusterTableSettings: Sendable, Equatable {
    package var listen: ListenAddress
    /// Where peers reach `listen`: never a wildcard, port 1 to 65535.
    package var advertise: ListenAddress
    /// Where to begin looking for peers; may be empty. A host name stands for all its addresses, as they are at the time.
    package var seeds: [ListenAddress]
    /// Absolute paths of PEM files.
    package var ca: String
    package var certificate: String
    package var key: String
    /// Whether a request that no HSM of this node can serve goes to a peer.
    package var forwarding: Bool
    /// Certificates that no node may show any more, though they are the CA's; each once, at most `mostRefused`.
    package var refused: [CertificateSerial]

    /// Certificates that may be refused one by one. Who has more of them in foreign hands wants another CA.
    package static let mostRefused = 1_024

    package init(
        listen: ListenAddress, advertise: ListenAddress, seeds: [ListenAddress], ca: String, certificate: String,
        key: String, forwarding: Bool = true, refused: [CertificateSerial] = []
    ) {
        self.listen = listen
        self.advertise = advertise
        self.seeds = seeds
        self.ca = ca
        self.certificate = certificate
        self.key = key
        self.forwarding = forwarding
        self.refused = refused
    }
}

/// The keys of `[cluster]`.
enum ClusterKeys {
    static let listen = ConfigurationKey(
        "listen", "address and port", standard: "\"0.0.0.0:7443\"",
        "Where peers reach the node. Only who has a certificate of the cluster's CA is listened to.",
        cost: "An address that more can reach is one that more can attack.")
    static let advertise = ConfigurationKey(
        "advertise", "address and port", standard: "required",
        "The address of `listen` as peers dial it: a host name or an address that every other node can reach, for "
            + "example `\"fra-1.example.com:7443\"`.")
    static let seeds = ConfigurationKey(
        "seeds", "list of addresses and ports", standard: "none: the node waits for peers to call",
        "Where to look for the first peers. One that lives is enough; this node itself may stand among them. A host name "
            + "stands for all its addresses and is looked up again and again, so that a headless service of Kubernetes "
            + "is a seed.")
    static let ca = ConfigurationKey(
        "ca", "path", standard: "required",
        "PEM file with the CA of the cluster's certificates, and of nothing else: whoever has a certificate from it is a "
            + "node. `claviger cluster new-ca` makes one.")
    static let certificate = ConfigurationKey(
        "certificate", "path", standard: "required",
        "PEM file with this node's certificate. Its subject alternative names hold the node's: `<node.id>.node.claviger`. "
            + "`claviger cluster issue` makes one.")
    static let key = ConfigurationKey(
        "key", "path", standard: "required",
        "PEM file with the private key of the certificate; owner and mode as for files of secrets.")
    static let forwarding = ConfigurationKey(
        "forwarding", "boolean", standard: "true",
        "Pass a request that no HSM of this node can serve, or that is more than they can do, on to a peer whose HSMs can, "
            + "once, within `xks.request_deadline`.",
        cost: "Peers' HSMs carry the load of this node's, and the way there and back is a part of KMS's 250 ms.")
    static let refused = ConfigurationKey(
        "refused", "list of serial numbers", standard: "none",
        "Certificates of the cluster's CA that no node may show any more, because their keys may be in other hands: "
            + "hexadecimal serial numbers as `claviger cluster serial` prints them, at most 1,024. A reload closes their "
            + "connections. Write the same list on all nodes; `claviger cluster status` shows where it differs.",
        cost: "A node that shows one of them is no part of the cluster until it has another certificate.")
    static let all = [listen, advertise, seeds, ca, certificate, key, forwarding, refused]
}

extension TableReader {
    func cluster(resolve: (String) -> String) -> ClusterTableSettings {
        ClusterTableSettings(
            listen: address(ClusterKeys.listen, standard: ListenAddress(host: "0.0.0.0", port: 7443)),
            advertise: advertise(),
            seeds: seeds(),
            ca: clusterFile(ClusterKeys.ca, example: "/etc/claviger/cluster/ca.pem", resolve: resolve),
            certificate: clusterFile(
                ClusterKeys.certificate, example: "/etc/claviger/cluster/fra-1.pem", resolve: resolve),
            key: clusterFile(ClusterKeys.key, example: "/etc/claviger/cluster/fra-1-key.pem", resolve: resolve),
            forwarding: boolean(ClusterKeys.forwarding, standard: true),
            refused: refused())
    }

    private func advertise() -> ListenAddress {
        let example = ListenAddress(host: "fra-1.example.com", port: 7443)
        guard has(ClusterKeys.advertise) else {
            reportMissing(
                ClusterKeys.advertise,
                fix: "write advertise = \"\(example)\": the address by which the other nodes reach this one")
            return example
        }
        let address = address(ClusterKeys.advertise, standard: example)
        if let objection = address.objectionToDial {
            report(ClusterKeys.advertise, objection, fix: "write what the other nodes dial, such as \"\(example)\"")
        }
        return address
    }

    private func seeds() -> [ListenAddress] {
        var seen: Set<ListenAddress> = []
        return (texts(ClusterKeys.seeds) ?? []).compactMap { seed in
            func refuse(_ message: String, fix: String) -> ListenAddress? {
                problems.add(seed.path, value: Shown.quoted(seed.text), message, fix: fix)
                return nil
            }
            let fix = "write for example \"iad-1.example.com:7443\""
            guard let address = ListenAddress(seed.text) else {
                return refuse("is not an address and a port", fix: fix)
            }
            if let objection = address.objectionToDial { return refuse(objection, fix: fix) }
            guard seen.insert(address).inserted else { return refuse("stands in the list twice", fix: "remove one") }
            return address
        }
    }

    private func refused() -> [CertificateSerial] {
        var seen: Set<CertificateSerial> = []
        let given = texts(ClusterKeys.refused) ?? []
        if given.count > ClusterTableSettings.mostRefused {
            report(
                ClusterKeys.refused, "names more than \(ClusterTableSettings.mostRefused) certificates",
                fix: "make a new CA: docs/guides/three-sites.md, \"Another CA\"")
        }
        return given.prefix(ClusterTableSettings.mostRefused).compactMap { element in
            guard let serial = CertificateSerial(element.text) else {
                problems.add(
                    element.path, value: Shown.quoted(element.text), "is no serial number of a certificate",
                    fix: "write what `claviger cluster serial CERTIFICATE.pem` prints, for example \"3f:a1:07\"")
                return nil
            }
            return seen.insert(serial).inserted ? serial : nil
        }
    }

    private func clusterFile(_ key: ConfigurationKey, example: String, resolve: (String) -> String) -> String {
        if !has(key) { reportMissing(key, fix: "write \(key.name) = \"\(example)\"") }
        return filePath(key, resolve: resolve) ?? ""
    }
}

extension ListenAddress {
    /// Why nobody can connect to it; `nil` when that may be possible.
    fileprivate var objectionToDial: String? {
        if isWildcard { return "means every address of this node, which nobody can dial" }
        return port == 0 ? "has port 0, which nobody can dial" : nil
    }
}
