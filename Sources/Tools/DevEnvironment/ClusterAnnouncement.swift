// SPDX-License-Identifier: Apache-2.0

/// What a development cluster says beyond what a single node does.
package struct ClusterAnnouncement: Sendable {
    package struct Node: Sendable {
        package var node: DevClusterNode
        package var pid: Int32
        /// Scheme, host and port of its XKS listener.
        package var url: String
    }

    package struct Balancer: Sendable {
        package var pid: Int32
        package var configurationFile: String
    }

    package var nodes: [Node]
    package var hsmsOfEach: Int
    /// `nil` where HAProxy is not installed: then clients reach the nodes themselves.
    package var balancer: Balancer?
}

extension DevCluster {
    /// Scheme, host and port by which clients on this host reach the load balancer.
    package var balancerURL: String { options.url(port: endpoint.split(separator: ":").last ?? "") }

    /// What the cluster shows its user. The workers are the nodes' own children: `workers` stays empty.
    ///
    /// - Parameters:
    ///   - pids: process ids of the nodes, in their order.
    ///   - balancerPID: HAProxy's.
    package func announcement(pids: [Int32], balancerPID: Int32?) -> DevAnnouncement {
        let scheme = options.scheme
        let announced = zip(nodes, pids).map { node, pid in
            ClusterAnnouncement.Node(node: node, pid: pid, url: "\(scheme)://\(node.address)")
        }
        let first = announced.first
        var found: ClusterAnnouncement.Balancer?
        if let balancer, let balancerPID {
            found = .init(pid: balancerPID, configurationFile: balancer.configurationFile)
        }
        return DevAnnouncement(
            url: found == nil ? first?.url ?? "" : balancerURL,
            prefix: DevNode.pathPrefix, credential: credential, certificates: certificates,
            mutualTLS: options.mutualTLS, keys: DevKeys.labels, workers: [], stateDirectory: state.directory,
            controlURL: first?.node.controlURL ?? "",
            cluster: ClusterAnnouncement(nodes: announced, hsmsOfEach: options.hsms, balancer: found))
    }
}

extension DevAnnouncement {
    /// The text for people.
    func text(of cluster: ClusterAnnouncement) -> String {
        let nodes = cluster.nodes.map { entry in
            "    \(entry.node.name)  process \(entry.pid)  \(entry.url)  \(entry.node.controlURL)/cluster/health"
        }.joined(separator: "\n")
        let balancer =
            cluster.balancer.map { "HAProxy, process \($0.pid), \($0.configurationFile)" }
            ?? "none: HAProxy is not installed (apt-get install haproxy); each node answers at its own URL"
        let example = cluster.nodes.last
        let file = ShellText.quoted(example?.node.configurationFile ?? "")
        return """
            A development cluster is running: \(url)\(prefix)/kms/xks/v1

              Balancer  \(balancer)
              Nodes     \(cluster.nodes.count), each with \(cluster.hsmsOfEach) SoftHSM tokens that hold the same keys
            \(nodes)
              Keys      \(keys.joined(separator: ", "))
              State     \(stateDirectory) (configurations, certificates, tokens; for development only)

            Encrypt something (paste this into another terminal):

            \(curlCommand())

            Look at the cluster:      claviger cluster status --config \(file)
            Kill a node, and go on:   kill -9 \(example?.pid ?? 0)
            Start it again:           claviger serve --config \(file)

            Ctrl-C stops all of them.

            """
    }
}
