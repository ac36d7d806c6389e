// SPDX-License-Identifier: Apache-2.0
import Foundation
import KeyStoreCredentials
import SigV4

/// What a development node prints when it listens: for people, or as one line of JSON for scripts.
///
/// Holds the secret of the development credential in the clear: being pasted is what it is for. Never log it.
package struct DevAnnouncement: Sendable {
    /// Scheme, host and port, without a slash at the end.
    package var url: String
    package var prefix: String
    package var credential: Credential
    package var certificates: DevCertificates
    package var mutualTLS: Bool
    package var keys: [String]
    package var workers: [Int32]
    package var stateDirectory: String
    package var controlURL: String
    /// What there is to say of several nodes; `nil` for a single one.
    package var cluster: ClusterAnnouncement?

    private var secret: String { credential.secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }

    /// One JSON object without a newline: `url`, `prefix`, `access_key_id`, `secret`, `ca`, `client_certificate`,
    /// `client_key`, `keys`, `worker_pids`, `state_directory`, `control_url`; of a cluster also `nodes`, a list of objects
    /// with `name`, `pid`, `url`, `control_url`, `cluster_address`, `config` and `state_dir`, and, where there is a load
    /// balancer, `haproxy_pid` and `haproxy_config`.
    package func jsonLine() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let line = AnnouncementLine(
            url: url, prefix: prefix, access_key_id: credential.accessKeyID, secret: secret,
            ca: certificates.authority, client_certificate: certificates.clientCertificate,
            client_key: certificates.clientKey, keys: keys, worker_pids: workers, state_directory: stateDirectory,
            control_url: controlURL, nodes: cluster?.nodes.map(AnnouncementLine.Node.init),
            haproxy_pid: cluster?.balancer?.pid, haproxy_config: cluster?.balancer?.configurationFile)
        return String(decoding: try encoder.encode(line), as: UTF8.self)
    }

    /// A command for a POSIX shell that encrypts "Hello, Claviger" under the first key. Needs curl 7.75 or later.
    package func curlCommand() -> String {
        let key = keys.first ?? ""
        let body = """
            {"requestMetadata":{"awsPrincipalArn":"arn:aws:iam::123456789012:user/Alice",\
            "kmsKeyArn":"arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",\
            "kmsOperation":"Encrypt","kmsRequestId":"4112f4d6-db54-4af4-ae30-c55a22a8dfae"},\
            "plaintext":"SGVsbG8sIENsYXZpZ2Vy","encryptionAlgorithm":"AES_GCM"}
            """
        var lines = ["curl --silent --show-error --fail-with-body"]
        if url.hasPrefix("https:") { lines.append("--cacert \(ShellText.quoted(certificates.authority))") }
        if mutualTLS {
            lines.append("--cert \(ShellText.quoted(certificates.clientCertificate))")
            lines.append("--key \(ShellText.quoted(certificates.clientKey))")
        }
        lines.append("--aws-sigv4 'aws:amz:us-east-1:kms-xks-proxy'")
        lines.append("--user \(ShellText.quoted("\(credential.accessKeyID):\(secret)"))")
        lines.append("-H 'Content-Type: application/json'")
        lines.append("--data \(ShellText.quoted(body))")
        lines.append(ShellText.quoted("\(url)\(prefix)/kms/xks/v1/keys/\(key)/encrypt"))
        return lines.joined(separator: " \\\n  ")
    }

    /// The text for people.
    package func text() -> String {
        if let cluster { return text(of: cluster) }
        let workerList = workers.map(String.init).joined(separator: ", ")
        return """
            A development node is running: \(url)\(prefix)/kms/xks/v1

              HSMs      \(workers.count) SoftHSM tokens with the same keys, each in a worker process (\(workerList))
              Keys      \(keys.joined(separator: ", "))
              Control   \(controlURL)/ping
              State     \(stateDirectory) (configuration, certificates, tokens; for development only)

            Encrypt something (paste this into another terminal):

            \(curlCommand())

            Ctrl-C stops the node.

            """
    }
}

/// The line of JSON.
private struct AnnouncementLine: Encodable {
    struct Node: Encodable {
        var name: String
        var pid: Int32
        var url, control_url, cluster_address, config, state_dir: String

        init(_ node: ClusterAnnouncement.Node) {
            name = node.node.name
            pid = node.pid
            url = node.url
            control_url = node.node.controlURL
            cluster_address = node.node.clusterAddress
            config = node.node.configurationFile
            state_dir = node.node.stateDirectory
        }
    }

    var url, prefix, access_key_id, secret, ca, client_certificate, client_key: String
    var keys: [String]
    var worker_pids: [Int32]
    var state_directory, control_url: String
    var nodes: [Node]?
    var haproxy_pid: Int32?
    var haproxy_config: String?
}

/// Text for a POSIX shell.
enum ShellText {
    /// One word that the shell takes as it stands, whatever is in it.
    static func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }
}
