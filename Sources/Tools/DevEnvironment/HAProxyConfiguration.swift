// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc

/// HAProxy before the nodes of a development cluster, as `deploy/haproxy/haproxy.cfg` has it before real ones; that file
/// says why each line is there. Left out is what needs a service's user: account, chroot, syslog, admin socket.
package struct HAProxyConfiguration: Sendable {
    package struct Server: Sendable {
        package var name: String
        /// `host:port` of the XKS listener.
        package var address: String
        /// Port of the control listener, at the same host.
        package var controlPort: Int

        package init(name: String, address: String, controlPort: Int) {
            self.name = name
            self.address = address
            self.controlPort = controlPort
        }
    }

    /// Paths of PEM files.
    package struct TLS: Sendable {
        /// The server's certificate and its key in one file.
        package var pair: String
        /// What the nodes' certificates chain to.
        package var authority: String
        /// The name in the nodes' certificates.
        package var name: String
        /// With mutual TLS: a client's certificate and its key in one file, for the way to the nodes, and the name that
        /// clients must bear themselves.
        package var client: (pair: String, name: String)?

        package init(pair: String, authority: String, name: String, client: (pair: String, name: String)? = nil) {
            self.pair = pair
            self.authority = authority
            self.name = name
            self.client = client
        }
    }

    /// `host:port` for clients.
    package var listen: String
    /// `nil` for plain HTTP on both sides.
    package var tls: TLS?
    package var servers: [Server]

    package init(listen: String, tls: TLS?, servers: [Server]) {
        self.listen = listen
        self.tls = tls
        self.servers = servers
    }

    package func text() -> String {
        Self.preamble + frontend + Self.backend + transport + serverLines + Self.errors
    }

    private static let preamble = """
        # Made by `claviger dev --nodes`, anew at each of its starts: changes here do not last.

        global
            # In the foreground HAProxy says on standard error by itself which node is up or down.
            log stderr format raw local0 emerg
            maxconn 2000
            tune.bufsize 65536
            ssl-default-bind-options ssl-min-ver TLSv1.2
            ssl-default-bind-ciphersuites TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256
            ssl-default-bind-ciphers ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384
            ssl-default-server-options ssl-min-ver TLSv1.2

        defaults
            mode http
            log global
            option httplog
            option dontlognull
            maxconn 2000
            timeout client 10s
            timeout http-request 5s
            timeout http-keep-alive 75s
            timeout connect 75ms
            timeout server 100ms
            timeout check 300ms

        """

    private var frontend: String {
        var bind = "    bind \(listen)"
        if let tls {
            bind += " ssl crt \(Self.quoted(tls.pair)) alpn http/1.1"
            if let client = tls.client {
                bind += " ca-file \(Self.quoted(tls.authority)) verify required\n"
                bind += "    http-request reject unless { ssl_c_s_dn(cn) -m str \(client.name) }"
            }
        }
        return "\nfrontend kms\n\(bind)\n    default_backend xks\n"
    }

    private static let backend = """

        backend xks
            balance leastconn
            http-reuse always
            option http-buffer-request
            retries 3
            option redispatch 1
            retry-on conn-failure empty-response junk-response response-timeout 500
            option abortonclose
            option httpchk
            http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host claviger
            http-check expect status 200
            default-server check no-check-ssl inter 500ms fastinter 200ms downinter 500ms rise 2 fall 2
            default-server observe layer7 error-limit 3 on-error fastinter

        """

    private var transport: String {
        guard let tls else { return "" }
        let name = tls.name
        var lines = "    default-server ssl verify required ca-file \(Self.quoted(tls.authority)) "
        lines += "sni str(\(name)) verifyhost \(name)\n"
        if let client = tls.client { lines += "    default-server crt \(Self.quoted(client.pair))\n" }
        return lines
    }

    private var serverLines: String {
        servers.reduce(into: "") { $0 += "    server \($1.name) \($1.address) port \($1.controlPort)\n" }
    }

    private static let errors = #"""
            http-error status 502 content-type application/json string "{\"errorName\":\"InternalException\",\"errorMessage\":\"No node gave an answer\"}"
            http-error status 503 content-type application/json string "{\"errorName\":\"InternalException\",\"errorMessage\":\"No node is ready\"}"
            http-error status 504 content-type application/json string "{\"errorName\":\"DependencyTimeoutException\",\"errorMessage\":\"No node answered in time\"}"

        """#

    /// A word that HAProxy takes as it stands (its configuration manual, section 2.2): within single quotes nothing has
    /// a meaning, and a single quote itself is escaped outside of them.
    static func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }

    /// The program: in `PATH`, or where Debian has it; `nil` when it is not installed.
    package static func find(path: String?) -> String? {
        let directories =
            (path ?? "").split(separator: ":").map(String.init).filter { $0.hasPrefix("/") } + ["/usr/sbin"]
        return directories.lazy.map { $0 + "/haproxy" }.first { access($0, X_OK) == 0 }
    }
}
