// SPDX-License-Identifier: Apache-2.0

/// What may be chosen about a development node.
package struct DevOptions: Sendable, Equatable {
    /// Number of nodes, 1 to 9.
    package var nodes: Int
    /// Number of SoftHSM tokens of each node, 1 to 16.
    package var hsms: Int
    /// `host:port` of the XKS listener, or of the load balancer before several nodes; port 0 lets the system choose.
    package var listen: String
    /// `host:port` of the control listener; several nodes have the ports after it. By default 127.0.0.1:8480; where the system chooses the XKS listener's port,
    /// it chooses this one's as well, so that several nodes can run side by side.
    package var controlListen: String
    /// Plain HTTP instead of TLS.
    package var plaintext: Bool
    /// Keep an audit log.
    package var audit: Bool
    /// Ask for client certificates of the development CA.
    package var mutualTLS: Bool
    /// Sessions (lanes) on each HSM, 1 to 256.
    package var sessions: Int
    /// Requests that may be on a lane at a time, 1 to 8.
    package var depth: Int
    /// Have the nodes log for people, whatever their standard error is: in a cluster it is a pipe to this process.
    package var logsAreText: Bool

    package init(
        nodes: Int = 1, hsms: Int = 3, listen: String = "127.0.0.1:8443", controlListen: String? = nil,
        plaintext: Bool = false, audit: Bool = false, mutualTLS: Bool = false, sessions: Int = 1, depth: Int = 4,
        logsAreText: Bool = false
    ) {
        self.nodes = nodes
        self.hsms = hsms
        self.listen = listen
        self.controlListen = controlListen ?? (listen.hasSuffix(":0") ? "127.0.0.1:0" : "127.0.0.1:8480")
        self.plaintext = plaintext
        self.audit = audit
        self.mutualTLS = mutualTLS
        self.sessions = sessions
        self.depth = depth
        self.logsAreText = logsAreText
    }

    /// The host of `listen`, without brackets or port.
    package var listenHost: String {
        let host = listen.lastIndex(of: ":").map { listen[..<$0] } ?? listen[...]
        return host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : String(host)
    }

    /// A URL by which clients on this host reach the listener at that port.
    func url(port: some CustomStringConvertible) -> String {
        let wildcard = listenHost == "0.0.0.0" || listenHost == "::" || listenHost.isEmpty
        let host = wildcard ? "localhost" : listenHost
        return "\(scheme)://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    }

    var scheme: String { plaintext ? "http" : "https" }

    func validate() throws {
        guard DevState.nodes.contains(nodes) else {
            throw DevError("\(nodes) nodes cannot be had: a development cluster has 1 to 9 (--nodes).")
        }
        guard DevHSM.numbers.contains(hsms) else {
            throw DevError("\(hsms) HSMs cannot be had: a development node has 1 to 16 (--hsms).")
        }
        guard (1...256).contains(sessions) else {
            throw DevError("\(sessions) sessions per HSM cannot be had: 1 to 256 (--sessions).")
        }
        guard (1...8).contains(depth) else {
            throw DevError("\(depth) requests on a lane cannot be had: 1 to 8 (--depth).")
        }
        guard !(plaintext && mutualTLS) else {
            throw DevError("Client certificates need TLS: leave out --plaintext or the request for them.")
        }
    }
}
