// SPDX-License-Identifier: Apache-2.0
import ClusterCertificates

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
        id = \(Self.toml(node))
        site = "dev"
        state_dir = \(Self.toml(stateDirectory))\(cluster != nil && options.logsAreText ? "\nlog_format = \"text\"" : "")

        [xks]
        listen = \(Self.toml(listen))
        \(Self.transport(options: options, certificates: certificates))

        [control]
        listen = \(Self.toml(controlListen))

        \(Self.audit(options))\(clusterTable)\(hsms.map { Self.table(of: $0, module: module, options: options) }
            .joined(separator: "\n"))
        [[keystore]]
        path_prefix = \(Self.toml(DevNode.pathPrefix))
        keys = [\(Self.list(DevKeys.labels))]
        credentials = [{ access_key_id = \(Self.toml(accessKeyID)), secret = { file = \(Self.toml(secretFile)) } }]

        """
    }

    private var clusterTable: String {
        guard let cluster else { return "" }
        return """
            [cluster]
            listen = \(Self.toml(cluster.address))
            advertise = \(Self.toml(cluster.address))
            seeds = [\(Self.list(cluster.seeds))]
            ca = \(Self.toml(cluster.authority))
            certificate = \(Self.toml(cluster.pair.certificate))
            key = \(Self.toml(cluster.pair.key))


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
            "certificate = \(toml(certificates.serverCertificate))",
            "key = \(toml(certificates.serverKey))",
        ]
        if options.mutualTLS {
            lines.append("client_ca = \(toml(certificates.authority))")
            lines.append("client_name = \(toml(DevCertificates.clientName))")
        }
        return lines.joined(separator: "\n")
    }

    private static func table(of hsm: DevHSM, module: String, options: DevOptions) -> String {
        """
        [[hsm]]
        name = \(toml(hsm.name))
        module = \(toml(module))
        token = { label = \(toml(hsm.tokenLabel)) }
        pin = { file = \(toml(hsm.pinFile)) }
        sessions = \(options.sessions)
        depth = \(options.depth)
        env = { SOFTHSM2_CONF = \(toml(hsm.configurationFile)) }

        """
    }

    private static func list(_ texts: [String]) -> String { texts.map(toml).joined(separator: ", ") }

    /// A TOML basic string (TOML 1.0, "String").
    static func toml(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16, uppercase: true)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
