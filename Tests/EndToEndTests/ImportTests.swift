// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension EndToEnd {
    @Suite("claviger import")
    struct Import {
        private let scratch: Scratch
        private let secret = "PleaseDoNotShowThisSecretAccessKeyToAnybody+/="

        init() throws { scratch = try Scratch() }

        private func settings(module: String, pin: String, accessKeyID: String, secret: String, port: Int) -> String {
            """
            [server]
            ip = "127.0.0.1"
            port = \(port)
            region = "us-east-1"
            service = "kms-xks-proxy"
            ciphertext_metadata_b64 = "djAuMC4x"
            [server.tcp_keepalive]
            tcp_keepalive_secs = 60
            [tracing]
            is_stdout_writer_enabled = true
            is_file_writer_enabled = false
            level = "INFO"
            [security]
            is_sigv4_auth_enabled = true
            is_tls_enabled = false
            is_mtls_enabled = false
            [[external_key_stores]]
            uri_path_prefix = "/moved"
            sigv4_access_key_id = "\(accessKeyID)"
            sigv4_secret_access_key = "\(secret)"
            xks_key_id_set = ["foo", "bar"]
            [pkcs11]
            session_pool_max_size = 4
            user_pin = "\(pin)"
            PKCS11_HSM_MODULE = "\(module)"
            [limits]
            max_plaintext_in_base64 = 8192
            max_aad_in_base64 = 16384
            [hsm_capabilities]
            can_generate_iv = false
            is_zero_iv_required = false

            """
        }

        private func mode(_ path: String) throws -> Int {
            try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int ?? -1
        }

        @Test("writes a configuration that check takes, and the secrets to files of their owner alone")
        func files() throws {
            let source = try scratch.write(
                settings(
                    module: softHSMLibrary, pin: "never-to-be-shown", accessKeyID: "AAAABBBBCCCCDDDD2222",
                    secret: secret,
                    port: 8443), to: "settings.toml")
            let out = scratch.file("claviger.toml")
            let secrets = scratch.file("secrets")
            let arguments = ["import", source, "--out", out, "--secrets", secrets, "--token", "xks"]
            let made = try ClavigerBinary.run(arguments)
            #expect(made.end == .exited(0), "\(made)")
            #expect(
                made.errors.contains("warning: \(source):15: security.is_tls_enabled = false: carried over"), "\(made)")
            #expect(made.errors.contains("note: \(source):6: server.ciphertext_metadata_b64"))
            let configuration = try text(ofFile: out)
            for said in [made.output, made.errors, configuration] {
                #expect(!said.contains(secret) && !said.contains("never-to-be-shown"))
            }
            #expect(try text(ofFile: secrets + "/hsm-1.pin") == "never-to-be-shown\n")
            #expect(try text(ofFile: secrets + "/keystore-1.secret") == secret + "\n")
            for file in [out, secrets + "/hsm-1.pin", secrets + "/keystore-1.secret"] {
                #expect(try mode(file) == 0o600, "\(file)")
            }
            #expect(try mode(secrets) == 0o700)
            let checked = try ClavigerBinary.run(["check", "--offline", "--strict", "--config", out])
            #expect(checked.isSuccess, "\(checked)")
            let again = try ClavigerBinary.run(arguments)
            #expect(again.end == .exited(3) && again.errors.contains("exists already"), "\(again)")
            #expect(try text(ofFile: out) == configuration)
        }

        @Test("what cannot be written whole leaves nothing behind, and wrong settings are told by line")
        func failures() throws {
            let good = settings(
                module: softHSMLibrary, pin: "1234", accessKeyID: "AAAABBBBCCCCDDDD2222", secret: secret, port: 8443)
            let source = try scratch.write(good, to: "settings.toml")
            let out = try scratch.write("mine", to: "claviger.toml")
            let taken = try ClavigerBinary.run(["import", source, "--out", out])
            #expect(taken.end == .exited(3) && taken.errors.contains("exists already"), "\(taken)")
            #expect(try text(ofFile: out) == "mine")
            #expect(!FileManager.default.fileExists(atPath: scratch.file("hsm-1.pin")))
            #expect(try ClavigerBinary.run(["import", source]).end == .exited(64))
            let bad = try scratch.write(
                good.replacingOccurrences(of: "port = 8443", with: "port = \"x\""), to: "bad.toml")
            let wrong = try ClavigerBinary.run(["import", bad, "--out", scratch.file("new.toml")])
            #expect(wrong.end == .exited(2), "\(wrong)")
            #expect(wrong.errors.contains("bad.toml:3: server.port = \"x\": must be an integer"), "\(wrong)")
            let missing = try ClavigerBinary.run(["import", scratch.file("none"), "--secrets", scratch.path])
            #expect(missing.end == .exited(2) && missing.errors.contains("does not exist"), "\(missing)")
        }

        @Test("a node with the configuration opens what the reference proxy made, in all of its forms")
        func opensOldCiphertext() throws {
            let dev = try Node.dev(["--hsms", "1", "--plaintext"])
            let keys = try DevKeyFile(dev.facts)
            #expect(try dev.stop() == .exited(0))
            let origin = try ServeConfiguration(from: dev)
            let pin = try origin.value(of: "pin", in: "[[hsm]]")
            let pinFile = try #require(pin.split(separator: "\"").dropFirst().first)
            let port = try ServeConfiguration.freePort()
            let text = settings(
                module: softHSMLibrary,
                pin: try EndToEndTests.text(ofFile: String(pinFile)).trimmingCharacters(in: .newlines),
                accessKeyID: dev.facts.access_key_id, secret: dev.facts.secret, port: port)
            let source = try scratch.write(text, to: "settings.toml")
            let made = try ClavigerBinary.run(["import", source, "--secrets", scratch.file("secrets"), "--token", "x"])
            #expect(made.isSuccess, "\(made)")
            // The token, and SoftHSM's own settings, are the host's; the rest is served as it was imported.
            var configuration = origin
            configuration.replaceLines(made.output.split(separator: "\n").map(String.init))
            for key in ["token", "env"] {
                configuration.set(key, try origin.value(of: key, in: "[[hsm]]"), in: "[[hsm]]")
            }
            configuration.set("state_dir", "\"\(scratch.file("state"))\"", in: "[node]")
            configuration.set("request_deadline", "\"2s\"", in: "[xks]")
            configuration.set(
                "path_prefix", try origin.value(of: "path_prefix", in: "[[keystore]]"), in: "[[keystore]]")
            configuration.append("[control]\nlisten = \"127.0.0.1:1\"")
            try configuration.chooseAddresses()
            let node = try Node.serve(configuration, activeHSMs: 1)
            let client = try XKSClient(node)
            let plaintext = randomBytes(40)
            for aad in [nil, [], randomBytes(1), randomBytes(8_192)] as [[UInt8]?] {
                let sent = aad.map { base64($0) }
                for metadata in [nil, [], Array("v0.0.1".utf8), randomBytes(20).map { $0 | 0x80 }] as [[UInt8]?] {
                    let old = try keys.seal(plaintext, key: "foo", aad: aad, metadata: metadata, form: .digest)
                    #expect(try client.decrypted(old, aad: sent) == plaintext, "\(String(describing: sent))")
                    // The other form does not open, but where nothing is bound.
                    let other = try keys.seal(plaintext, key: "foo", aad: aad, metadata: metadata)
                    let reply = try client.decrypt(other, aad: sent)
                    #expect(aad == nil ? reply.status == 200 : reply.refusal == "400 InvalidCiphertextException")
                }
                let new = try client.encrypted(plaintext, aad: sent)
                #expect(new.ciphertextMetadata == "Q0xWAQ==")
                #expect(try client.decrypted(new, aad: sent) == plaintext)
            }
            #expect(try node.stop() == .exited(0))
        }
    }
}
