// SPDX-License-Identifier: Apache-2.0
import ClusterCertificates
import QuotedText

/// Writes the configuration file of a development node, in the form that `claviger serve` reads.
struct DevConfiguration {
    /// `[cluster]`
    struct Cluster {
        /// `host:port`, for listening and dialling.
        var address: String
        var seeds: [String]
        /// The CA's certificate.
        var authority: String
        var pair: CertificatePair
    }

    var node: String
    var stateDirectory: String
    /// `host:port`
    var listen: String
    var controlListen: String
    var cluster: Cluster?
    var hsms: [DevHSM]

    func text(
        options: DevOptions, secretFile: String, certificates: DevCertificates, accessKeyID: String, module: String
    ) -> String {
        """
        # Made by `claviger dev`, anew at each of its starts: changes here do not last.
        # A copy of it is a working configuration for `claviger serve --config`.

        [node]
        id = \(node.quoted)
        site = "dev"
        state_dir = \(stateDirectory.quoted)\(cluster != nil && options.logsAreText ? "\nlog_format = \"text\"" : "")

        [xks]
        listen = \(listen.quoted)
        \(Self.transport(options: options, certificates: certificates))

        [control]
        listen = \(controlListen.quoted)

        \(Self.audit(options))\(clusterTable)\(hsms.map { Self.table(of: $0, module: module, options: options) }
            .joined(separator: "\n"))
        [[keystore]]
        path_prefix = \(DevNode.pathPrefix.quoted)
        keys = [\(Self.list(DevKeys.labels))]
        credentials = [{ access_key_id = \(accessKeyID.quoted), secret = { file = \(secretFile.quoted) } }]

        """
    }

    private var clusterTable: String {
        guard let cluster else { return "" }
        return """
            [cluster]
            listen = \(cluster.address.quoted)
            advertise = \(cluster.address.quoted)
            seeds = [\(Self.list(cluster.seeds))]
            ca = \(cluster.authority.quoted)
            certificate = \(cluster.pair.certificate.quoted)
            key = \(cluster.pair.key.quoted)


            """
    }

    private static func audit(_ options: DevOptions) -> String {
        guard options.audit else { return "" }
        return """
            [audit]
            segment_bytes = 4194304
            keep_days = 30


            """
    }

    private static func transport(options: DevOptions, certificates: DevCertificates) -> String {
        if options.plaintext { return "plaintext = true" }
        var lines = [
            "certificate = \(certificates.serverCertificate.quoted)",
            "key = \(certificates.serverKey.quoted)",
        ]
        if options.mutualTLS {
            lines.append("client_ca = \(certificates.authority.quoted)")
            lines.append("client_name = \(DevCertificates.clientName.quoted)")
        }
        return lines.joined(separator: "\n")
    }

    private static func table(of hsm: DevHSM, module: String, options: DevOptions) -> String {
        """
        [[hsm]]
        name = \(hsm.name.quoted)
        module = \(module.quoted)
        token = { label = \(hsm.tokenLabel.quoted) }
        pin = { file = \(hsm.pinFile.quoted) }
        sessions = \(options.sessions)
        depth = \(options.depth)
        env = { SOFTHSM2_CONF = \(hsm.configurationFile.quoted) }

        """
    }

    private static func list(_ texts: [String]) -> String { texts.map(\.quoted).joined(separator: ", ") }
}
