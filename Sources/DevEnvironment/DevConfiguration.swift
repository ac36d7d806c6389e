// SPDX-License-Identifier: Apache-2.0

/// Writes the configuration file of a development node, in the form that `claviger serve` reads.
enum DevConfiguration {
    static func text(
        options: DevOptions, state: DevState, certificates: DevCertificates, accessKeyID: String, hsms: [DevHSM],
        module: String
    ) -> String {
        """
        # Made by `claviger dev`, anew at each of its starts: changes here do not last.
        # A copy of it is a working configuration for `claviger serve --config`.

        [node]
        id = "dev"
        site = "dev"
        state_dir = \(toml(state.nodeDirectory))

        [xks]
        listen = \(toml(options.listen))
        \(transport(options: options, certificates: certificates))

        [control]
        listen = \(toml(options.controlListen))

        \(hsms.map { table(of: $0, module: module, sessions: options.sessions) }.joined(separator: "\n"))
        [[keystore]]
        path_prefix = \(toml(DevNode.pathPrefix))
        keys = [\(DevKeys.labels.map(toml).joined(separator: ", "))]
        credentials = [{ access_key_id = \(toml(accessKeyID)), secret = { file = \(toml(state.secretFile)) } }]

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

    private static func table(of hsm: DevHSM, module: String, sessions: Int) -> String {
        """
        [[hsm]]
        name = \(toml(hsm.name))
        module = \(toml(module))
        token = { label = \(toml(hsm.tokenLabel)) }
        pin = { file = \(toml(hsm.pinFile)) }
        sessions = \(sessions)
        env = { SOFTHSM2_CONF = \(toml(hsm.configurationFile)) }

        """
    }

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
