// SPDX-License-Identifier: Apache-2.0
import NodeConfig
import ReferenceImport
import SecureMemory

/// Settings of the reference proxy with every table that it has.
enum Settings {
    static let accessKeyID = "AAAABBBBCCCCDDDD2222"
    static let secret = "PleaseDoNotShowThisSecretAccessKeyToAnybody+/="
    static let pin = "do-not-show-this-pin"

    static let whole = """
        [server]
        ip = "0.0.0.0"
        port = 443
        port_http_ping = 80
        region = "eu-central-1"
        service = "kms-xks-proxy"
        ciphertext_metadata_b64 = "djAuMC4x"

        [server.tcp_keepalive]
        tcp_keepalive_secs = 60
        tcp_keepalive_retries = 4
        tcp_keepalive_interval_secs = 2

        [tracing]
        is_stdout_writer_enabled = true
        is_file_writer_enabled = true
        level = "DEBUG"
        directory = "/var/local/xks-proxy/logs"
        file_prefix = "xks-proxy.log"
        rotation_kind = "HOURLY"

        [security]
        is_sigv4_auth_enabled = true
        is_tls_enabled = true
        is_mtls_enabled = true
        secondary_auth = "Oso"

        [security.oso]
        polar_file_path = "configuration/oso.polar"

        [tls]
        tls_cert_pem = "tls/server_cert.pem"
        tls_key_pem = "/etc/xks/server_key.pem"
        mtls_client_ca_pem = "/etc/xks/client_ca.pem"
        mtls_client_dns_name = "cks.kms.eu-central-1.amazonaws.com"

        [[external_key_stores]]
        uri_path_prefix = ""
        sigv4_access_key_id = ""
        sigv4_secret_access_key = ""
        xks_key_id_set = ["foo"]

        [[external_key_stores]]
        uri_path_prefix = "/example/uri/path/prefix"
        sigv4_access_key_id = "\(accessKeyID)"
        sigv4_secret_access_key = "\(secret)"
        xks_key_id_set = ["foo", "bar", "foo"]

        [pkcs11]
        session_pool_max_size = 30
        session_pool_timeout_milli = 0
        session_eager_close = false
        user_pin = "\(pin)"
        PKCS11_HSM_MODULE = "/usr/lib/softhsm/libsofthsm2.so"
        context_read_timeout_milli = 10

        [limits]
        max_plaintext_in_base64 = 16384
        max_aad_in_base64 = 16384

        [hsm_capabilities]
        can_generate_iv = false
        is_zero_iv_required = false

        """

    /// The same with one line in place of another; a line that is not there is a mistake of the test.
    static func whole(_ line: String, instead new: String) -> String {
        precondition(whole.contains(line + "\n"), line)
        return whole.replacing(line + "\n", with: new + "\n")
    }

    static func imported(
        _ text: String, token: String? = "xks", secretDirectory: String? = "/etc/claviger"
    ) throws(ConfigurationProblems) -> ImportedConfiguration {
        try ImportedConfiguration.make(
            from: Array(text.utf8), file: "settings.toml",
            options: ImportOptions(
                nodeID: "fra-1", tokenLabel: token, workingDirectory: "/opt/xks", secretDirectory: secretDirectory))
    }

    static func configuration(_ text: String) throws(ConfigurationProblems) -> NodeSettings {
        let imported = try imported(text)
        return try NodeConfiguration.parse(Array(imported.text.utf8), file: "c.toml", directory: "/x").settings
    }

    /// All that is wrong with a text, a line each.
    static func problems(_ text: String) -> String {
        do throws(ConfigurationProblems) {
            _ = try imported(text)
            return ""
        } catch {
            return error.description
        }
    }
}
