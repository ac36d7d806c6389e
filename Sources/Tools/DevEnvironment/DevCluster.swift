// SPDX-License-Identifier: Apache-2.0
import ClusterCertificates
import Foundation
import PrivateFiles
import SecureMemory
import SigV4

/// One node of a development cluster: a directory with a configuration, state, certificate and tokens of its own.
package struct DevClusterNode: Sendable, Equatable {
    /// `node-1`, `node-2`, …
    package let name: String
    package let directory: String
    package let hsms: [DevHSM]
    /// `host:port` of its listeners.
    package let address: String
    package let controlAddress: String
    package let clusterAddress: String

    /// The file for `claviger serve`.
    package var configurationFile: String { directory + "/claviger.toml" }
    /// Its `state_dir`.
    package var stateDirectory: String { directory + "/node" }
    package var controlURL: String { "http://\(controlAddress)" }

    init(number: Int, hsms: Int, addresses: DevAddresses.Node, state: DevState) {
        name = DevState.nodeName(number)
        directory = state.directory(ofNode: number)
        self.hsms = DevHSM.all(hsms, in: directory)
        address = "127.0.0.1:\(addresses.xks)"
        controlAddress = "127.0.0.1:\(addresses.control)"
        clusterAddress = "127.0.0.1:\(addresses.cluster)"
    }
}

/// A development cluster whose files are all there: several nodes on this host, each with HSMs of its own that hold the
/// same keys. Holding it holds the state directory: keep it while the nodes run.
package struct DevCluster: Sendable {
    package let options: DevOptions
    package let state: DevState
    package let certificates: DevCertificates
    package let credential: Credential
    package let nodes: [DevClusterNode]
    /// `host:port` that clients are to reach: the load balancer's.
    package let endpoint: String
    /// HAProxy's program and its configuration; `nil` where it is not installed.
    package let balancer: (program: String, configurationFile: String)?

    /// A node's certificate with less time left than this is replaced, seconds.
    private static let renewalMargin: TimeInterval = 30 * 86_400

    /// Makes what is missing under the state directory and keeps what is there, also after an interrupted first run.
    ///
    /// - Parameters:
    ///   - state: the state directory, locked by this process.
    ///   - module: SoftHSM's library (`SoftHSMLibrary.find()`).
    ///   - haproxy: its program (`HAProxyConfiguration.find`).
    ///   - now: for the validity of certificates.
    ///   - provision: as for `DevNode.prepare`.
    /// - Throws: `DevError`, `PrivateFileError`, `CertificateProblem`, and what `provision` throws.
    package static func prepare(
        _ options: DevOptions, state: DevState, module: String, haproxy: String?, now: Date = Date(),
        provision: (ProvisioningOrder) throws -> Void
    ) throws -> DevCluster {
        try options.validate()
        let addresses = try DevAddresses.choose(options)
        let certificates = try DevCertificates.ensure(
            in: state.tlsDirectory, hosts: [options.listenHost], now: now)
        let credential = try DevCredentials.ensure(in: state)
        let nodes = addresses.nodes.enumerated().map { index, node in
            DevClusterNode(number: index + 1, hsms: options.hsms, addresses: node, state: state)
        }
        for node in nodes {
            try PrivateFiles.makeDirectory(node.directory)
            try PrivateFiles.makeDirectory(node.stateDirectory)
        }
        try DevHSM.ensure(nodes.flatMap(\.hsms), state: state, module: module, provision: provision)
        let authority = try authority(in: state, now: now)
        for node in nodes {
            let pair = try authority.ensure(
                ClusterAuthority.Order(node: node.name, hosts: ["127.0.0.1"]), in: node.directory,
                margin: renewalMargin, now: now)
            let configuration = DevConfiguration(
                node: node.name, stateDirectory: node.stateDirectory, listen: node.address,
                controlListen: node.controlAddress,
                cluster: .init(
                    address: node.clusterAddress, seeds: nodes.filter { $0 != node }.map(\.clusterAddress),
                    authority: authority.files.certificate, pair: pair),
                hsms: node.hsms)
            try PrivateFiles.write(
                configuration.text(
                    options: options, secretFile: state.secretFile, certificates: certificates,
                    accessKeyID: credential.accessKeyID, module: module),
                to: node.configurationFile)
        }
        let cluster = DevCluster(
            options: options, state: state, certificates: certificates, credential: credential, nodes: nodes,
            endpoint: addresses.endpoint,
            balancer: haproxy.map { ($0, state.balancerConfigurationFile) })
        if haproxy != nil { try cluster.writeBalancerConfiguration() }
        return cluster
    }

    /// The cluster's CA; a new one, and with it new certificates, before it could no longer sign.
    private static func authority(in state: DevState, now: Date) throws -> ClusterAuthority {
        let directory = state.clusterDirectory
        if let present = try? ClusterAuthority.load(from: directory, now: now),
            present.lasts(days: ClusterAuthority.standardDays, from: now)
        {
            return present
        }
        try PrivateFiles.removeTree(directory)
        return try ClusterAuthority.create(in: directory, now: now)
    }

    private func writeBalancerConfiguration() throws {
        var tls: HAProxyConfiguration.TLS?
        if !options.plaintext {
            let server = state.tlsDirectory + "/server-pair.pem"
            try join(certificates.serverCertificate, certificates.serverKey, into: server)
            tls = HAProxyConfiguration.TLS(pair: server, authority: certificates.authority, name: "localhost")
            if options.mutualTLS {
                let client = state.tlsDirectory + "/client-pair.pem"
                try join(certificates.clientCertificate, certificates.clientKey, into: client)
                tls?.client = (client, DevCertificates.clientName)
            }
        }
        let servers = nodes.compactMap { node -> HAProxyConfiguration.Server? in
            guard let port = node.controlAddress.split(separator: ":").last.flatMap({ Int($0) }) else { return nil }
            return HAProxyConfiguration.Server(name: node.name, address: node.address, controlPort: port)
        }
        try PrivateFiles.write(
            HAProxyConfiguration(listen: endpoint, tls: tls, servers: servers).text(),
            to: state.balancerConfigurationFile)
    }

    /// HAProxy wants a certificate and its key in one file.
    private func join(_ certificate: String, _ key: String, into file: String) throws {
        let content = SecretBytes(capacity: 4_096)
        for part in [certificate, key] {
            guard let bytes = try PrivateFiles.read(part) else { throw DevError("\(part) is gone.") }
            bytes.withUnsafeBytes { content.append(contentsOf: $0) }
        }
        try PrivateFiles.write(content, to: file)
    }
}
