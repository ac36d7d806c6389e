// SPDX-License-Identifier: Apache-2.0

/// What may be chosen about a development node.
package struct DevOptions: Sendable, Equatable {
    /// Number of SoftHSM tokens, 1 to 16.
    package var hsms: Int
    /// `host:port` of the XKS listener; port 0 lets the system choose.
    package var listen: String
    /// `host:port` of the control listener. By default 127.0.0.1:8480; where the system chooses the XKS listener's port,
    /// it chooses this one's as well, so that several nodes can run side by side.
    package var controlListen: String
    /// Plain HTTP instead of TLS.
    package var plaintext: Bool
    /// Ask for client certificates of the development CA.
    package var mutualTLS: Bool
    /// Sessions (lanes) on each HSM, 1 to 256.
    package var sessions: Int

    package init(
        hsms: Int = 3, listen: String = "127.0.0.1:8443", controlListen: String? = nil,
        plaintext: Bool = false, mutualTLS: Bool = false, sessions: Int = 4
    ) {
        self.hsms = hsms
        self.listen = listen
        self.controlListen = controlListen ?? (listen.hasSuffix(":0") ? "127.0.0.1:0" : "127.0.0.1:8480")
        self.plaintext = plaintext
        self.mutualTLS = mutualTLS
        self.sessions = sessions
    }

    /// The host of `listen`, without brackets or port.
    package var listenHost: String {
        let host = listen.lastIndex(of: ":").map { listen[..<$0] } ?? listen[...]
        return host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : String(host)
    }

    func validate() throws {
        guard (1...16).contains(hsms) else {
            throw DevError("\(hsms) HSMs cannot be had: a development node has 1 to 16 (--hsms).")
        }
        guard (1...256).contains(sessions) else {
            throw DevError("\(sessions) sessions per HSM cannot be had: 1 to 256 (--sessions).")
        }
        guard !(plaintext && mutualTLS) else {
            throw DevError("Client certificates need TLS: leave out --plaintext or the request for them.")
        }
    }
}
