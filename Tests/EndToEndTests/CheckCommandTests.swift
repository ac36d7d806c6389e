// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    /// Its node has made the tokens; that it still runs does not matter.
    @Suite("claviger check", .devNode("--hsms", "2"))
    struct CheckCommand {
        private func configuration() throws -> ServeConfiguration {
            var configuration = try ServeConfiguration(from: sharedNode(), plaintext: false)
            configuration.stateDirectory = configuration.scratch.file("node")
            return configuration
        }

        private func check(_ configuration: ServeConfiguration) throws -> CommandResult {
            try ClavigerBinary.run(["check", "--config", try configuration.write()])
        }

        @Test("a good file is called good, with what was found")
        func good() throws {
            let result = try check(configuration())
            #expect(result.end == .exited(0), "\(result.errors)")
            #expect(result.errors.isEmpty)
            let lines = result.output.split(separator: "\n")
            #expect(lines.count == 4)
            let shown = lines.first { $0.hasPrefix("certificate: ") } ?? ""
            #expect(shown.contains("localhost, issued by O=Claviger, CN=Claviger development CA, ends on 20"))
            #expect(shown.hasSuffix(" days), EC P-256"))
            #expect(lines.last?.hasSuffix("claviger.toml: good") == true)
            for hsm in ["hsm-1", "hsm-2"] {
                let line = lines.first { $0.hasPrefix("hsm \(hsm): ") } ?? ""
                #expect(line.contains("SoftHSM v2") && line.contains("5 keys: bar, decrypt_only_key (may not encrypt)"))
                #expect(line.contains("(may neither encrypt nor decrypt)"))
            }
        }

        @Test("an unknown key is named with its line and the nearest known one")
        func unknownKey() throws {
            var configuration = try configuration()
            configuration.set("sesions", "4", in: "[[hsm]]", number: 1)
            let result = try check(configuration)
            #expect(result.end == .exited(2))
            let line = configuration.lineNumber(of: "sesions")
            #expect(line > 0)
            #expect(result.errors.contains("claviger.toml:\(line): hsm[1].sesions: is not a known key"))
            #expect(result.errors.contains("did you mean `sessions`?"))
            #expect(result.errors.split(separator: "\n").count == 1)
        }

        @Test("a certificate that is not there is named")
        func missingCertificate() throws {
            var configuration = try configuration()
            configuration.set("certificate", "\"/nowhere/cert.pem\"", in: "[xks]")
            let result = try check(configuration)
            #expect(result.end == .exited(2))
            let line = configuration.lineNumber(of: "certificate")
            #expect(result.errors.contains("claviger.toml:\(line): xks.certificate: /nowhere/cert.pem does not exist"))
        }

        @Test("a certificate of another key is named")
        func foreignKey() throws {
            var configuration = try configuration()
            configuration.set("key", "\"\(try sharedNode().state)/tls/client-key.pem\"", in: "[xks]")
            let result = try check(configuration)
            #expect(result.end == .exited(2))
            #expect(result.errors.contains("claviger.toml:\(configuration.lineNumber(of: "key")): xks.key: "))
            #expect(result.errors.split(separator: "\n").count == 1)
        }

        /// With 16631be it was good, and nothing of it was shown.
        @Test("a certificate that KMS does not take is warned of where KMS sees it")
        func certificateForKMS() throws {
            var configuration = try configuration()
            let (certificate, key) = (configuration.scratch.file("own.pem"), configuration.scratch.file("own.key"))
            let made = try EndToEndTests.run(
                [
                    "/usr/bin/openssl", "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", key, "-out",
                    certificate, "-days", "90",
                    "-subj", "/CN=203.0.113.7", "-addext", "subjectAltName=IP:203.0.113.7", "-addext",
                    "extendedKeyUsage=clientAuth",
                ])
            #expect(made.end == .exited(0), "\(made.errors)")
            configuration.set("certificate", "\"\(certificate)\"", in: "[xks]")
            configuration.set("key", "\"\(key)\"", in: "[xks]")
            let local = try check(configuration)
            #expect(local.end == .exited(0) && local.errors.isEmpty, "\(local.errors)")
            #expect(local.output.contains("certificate: without a DNS name, issued by CN=203.0.113.7, ends on 20"))
            let address = configuration.facts.url.replacingOccurrences(of: "https://127.0.0.1", with: "0.0.0.0")
            configuration.set("listen", "\"\(address)\"", in: "[xks]")
            let seen = try check(configuration)
            #expect(seen.end == .exited(0), "\(seen.errors)")
            for flaw in [
                "is self-signed: KMS takes only", "has no DNS name", "may not be used by a TLS server",
                "has an RSA key of 1024 bits",
            ] {
                let warning = ": xks.certificate: \(certificate): the certificate \(flaw)"
                #expect(seen.errors.contains(warning), "\(seen.errors)")
            }
            #expect(seen.errors.contains("aws-kms-xksproxy-api-spec/blob/main/TrustedCertificateAuthorities"))
            configuration.set("certificate_for", "\"balancer\"", in: "[xks]")
            configuration.set("request_deadline", "\"231ms\"", in: "[xks]")
            let behind = try check(configuration)
            #expect(behind.end == .exited(0) && !behind.errors.contains("xks.certificate"), "\(behind.errors)")
            #expect(behind.errors.contains("xks.request_deadline: 231ms is more than KMS waits for"))
        }

        /// It was the commonest mistake of all that nothing was said of.
        @Test("a chain that this host's CAs do not complete is warned of where KMS sees it")
        func incompleteChain() throws {
            var configuration = try configuration()
            let (ca, out) = (configuration.scratch.file("ca"), configuration.scratch.path)
            for command in [["new-ca", ca], ["issue", "a", "--ca", ca, "--host", "kms.example.com", "--out", out]] {
                let made = try ClavigerBinary.run(["cluster"] + command)
                #expect(made.isSuccess, "\(made.errors)")
            }
            configuration.set("certificate", "\"\(out)/a.pem\"", in: "[xks]")
            configuration.set("key", "\"\(out)/a-key.pem\"", in: "[xks]")
            let local = try check(configuration)
            #expect(!local.errors.contains("do not vouch"), "\(local)")
            let address = configuration.facts.url.replacingOccurrences(of: "https://127.0.0.1", with: "0.0.0.0")
            configuration.set("listen", "\"\(address)\"", in: "[xks]")
            let result = try check(configuration)
            let text = ": xks.certificate: this host's CAs do not vouch for "
            #expect(result.end == .exited(0) && result.errors.contains(text), "\(result)")
        }

        /// `check` named the node's own certificate, and a node said nothing: no client was let in.
        @Test("a CA of clients that has ended is told of its own setting, and by the node")
        func endedClientAuthority() throws {
            var configuration = try configuration()
            let ca = configuration.scratch.file("clients.pem")
            let made = try EndToEndTests.run(
                [
                    "/usr/bin/env", "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-keyout", configuration.scratch.file("clients.key"), "-out", ca, "-days", "100", "-subj",
                    "/CN=clients",
                ], environment: PreloadedFaults.clock(ahead: -200 * 86_400))
            #expect(made.isSuccess, "\(made.errors)")
            configuration.set("client_ca", "\"\(ca)\"", in: "[xks]")
            configuration.set("client_name", "\"kms\"", in: "[xks]")
            let result = try check(configuration)
            let line = configuration.lineNumber(of: "client_ca")
            #expect(result.end == .exited(2), "\(result)")
            #expect(
                result.errors.contains("claviger.toml:\(line): xks.client_ca: \(ca): the certificate of"), "\(result)")
            let node = try Node.serve(configuration, activeHSMs: nil)
            let entry = try node.logEntry("the CA") {
                $0["code"] == "certificate-invalid" && $0["subject"] == "xks.client_ca"
            }
            #expect(entry["reason"]?.contains("no client is let in") == true, "\(entry.line)")
            #expect(try node.stop() == .exited(0))
        }

        @Test("a key that some HSM lacks is named, with the HSM")
        func missingKey() throws {
            let node = try sharedNode()
            try TokenTool(facts: node.facts, hsm: "hsm-1").makeKey("on-one-only")
            var configuration = try configuration()
            configuration.set("keys", "[\"foo\", \"on-one-only\"]", in: "[[keystore]]")
            let lacking = "keystore[0].keys[1]: there is no AES-256 key of label \"on-one-only\" on hsm-2"
            // A node serves it by the other.
            let result = try check(configuration)
            #expect(
                result.end == .exited(0)
                    && result.errors.contains("claviger.toml:\(configuration.lineNumber(of: "keys")): \(lacking)"),
                "\(result)")
            let strict = try ClavigerBinary.run(["check", "--strict", "--config", try configuration.write()])
            #expect(strict.end == .exited(2) && strict.errors.contains("1 warning, and --strict"), "\(strict)")
            // With the HSMs named that hold it, the file is good.
            configuration.set("hsms", "[\"hsm-1\"]", in: "[[keystore]]")
            #expect(try check(configuration).errors.isEmpty)
            // With those named that lack it, it is served by nobody.
            configuration.set("hsms", "[\"hsm-2\"]", in: "[[keystore]]")
            let lost = try check(configuration)
            let line = configuration.lineNumber(of: "keys")
            #expect(lost.end == .exited(2) && lost.errors.contains("claviger.toml:\(line): \(lacking)"), "\(lost)")
        }

        /// With 16631be such a key had a canary, and stood among those that are served.
        @Test("a label that fits a pattern and can be no external key id is told with the mend")
        func misfit() throws {
            try TokenTool(facts: sharedNode().facts, hsm: "hsm-1").makeKey("app one")
            var configuration = try configuration()
            configuration.set("keys", "[\"foo\", \"app*\", \"b*\"]", in: "[[keystore]]")
            let result = try check(configuration)
            let warning = result.errors.split(separator: "\n").first { $0.contains("\"app one\"") } ?? ""
            #expect(
                warning.hasPrefix("warning: ") && warning.contains(": hsm[0]: hsm-1: ")
                    && warning.contains("label = \"app one\" }]"), "\(result)")
            configuration.set(
                "keys", "[\"foo\", \"app*\", \"b*\", { id = \"one\", label = \"app one\" }]", in: "[[keystore]]")
            #expect(try !check(configuration).errors.contains("can be no external key id"))
        }

        /// With 16631be each check was one try more, of the few after which a token locks.
        @Test("a PIN that its token has refused is not tried again, until it changes or somebody says so")
        func refusedPIN() throws {
            var configuration = try configuration()
            // It is yet to be made, as before a first start.
            let good = try text(ofFile: "\(try sharedNode().state)/hsm-1/pin")
            let pin = try configuration.scratch.write("not-the-pin", to: "pin")
            configuration.set("pin", "{ file = \"\(pin)\" }", in: "[[hsm]]")
            let first = try check(configuration)
            #expect(first.end == .exited(0) && first.errors.contains("refused the PIN (C_Login returned"), "\(first)")
            let second = try check(configuration)
            #expect(second.end == .exited(0) && second.errors.contains("no login was tried"), "\(second)")
            // Under another name of the HSM it is the same PIN.
            let name = try configuration.value(of: "name", in: "[[hsm]]")
            configuration.set("name", "\"renamed\"", in: "[[hsm]]")
            #expect(try check(configuration).errors.contains("no login was tried"))
            configuration.set("name", name, in: "[[hsm]]")
            // What others put there in place of the file keeps nobody waiting.
            let kept = configuration.stateDirectory + "/refused-pins.json"
            let record = try text(ofFile: kept)
            unlink(kept)
            #expect(mkfifo(kept, 0o600) == 0)
            let beside = try ClavigerBinary.run(["check", "--config", try configuration.write()], within: 30)
            #expect(beside.end == .exited(0) && beside.errors.contains("C_Login returned"), "\(beside)")
            try record.write(toFile: kept, atomically: true, encoding: .utf8)
            let retried = try ClavigerBinary.run(
                ["check", "--retry-refused-pins", "--config", try configuration.write()])
            #expect(retried.errors.contains("C_Login returned"), "\(retried)")
            _ = try configuration.scratch.write(good, to: "pin")
            #expect(try check(configuration).errors.isEmpty)
            // The name of the source, and when it was refused, is all that is kept.
            let files = try FileManager.default.contentsOfDirectory(atPath: configuration.stateDirectory)
            #expect(files == ["refused-pins.json"])
        }

        /// Each tried it, and a token locks after a few.
        @Test("of several checks at once one tries a wrong PIN")
        func refusedPINAtOnce() async throws {
            var configuration = try configuration()
            let pin = try configuration.scratch.write("not-the-pin", to: "pin")
            configuration.set("pin", "{ file = \"\(pin)\" }", in: "[[hsm]]")
            let file = try configuration.write()
            let checks = try (0..<4).map { _ in try ChildProcess([ClavigerBinary.path, "check", "--config", file]) }
            for check in checks { #expect(try check.end(within: 60) == .exited(0), "\(check.errors)") }
            #expect(checks.count { $0.errors.contains("refused the PIN (C_Login returned") } == 1)
            #expect(checks.count { $0.errors.contains("no login was tried") } == 3)
        }

        @Test("what the running node holds counts as free, and what another process holds does not")
        func ports() throws {
            var configuration = try ServeConfiguration(from: sharedNode())
            configuration.stateDirectory = configuration.scratch.file("node")
            let node = try Node.serve(configuration, activeHSMs: 2)
            let same = try check(configuration)
            #expect(same.end == .exited(0) && same.errors.isEmpty, "\(same)")
            // With 16631be it was good, and status told of the node that runs there.
            var stranger = configuration
            stranger.set("id", "\"stranger\"", in: "[node]")
            let beside = try check(stranger)
            #expect(beside.end == .exited(2), "\(beside)")
            #expect(beside.errors.contains("runs in \(configuration.stateDirectory), and this is another one; give"))
            var later = configuration
            try later.chooseAddresses()
            let second = try check(later)
            #expect(second.end == .exited(0) && second.errors.hasPrefix("note: the node that runs in"), "\(second)")
            var other = configuration
            other.stateDirectory = configuration.scratch.file("another")
            let taken = try check(other)
            #expect(taken.end == .exited(2), "\(taken)")
            for setting in ["xks.listen", "control.listen"] {
                #expect(taken.errors.contains("\(setting): cannot listen on 127.0.0.1:"), "\(taken)")
            }
            #expect(try node.stop() == .exited(0))
        }

        @Test("names of the cluster that have no address are told: a node starts with them")
        func names() throws {
            var configuration = try configuration()
            let ca = configuration.scratch.file("ca")
            for command in [
                ["new-ca", ca], ["issue", "a", "--ca", ca, "--host", "a.invalid", "--out", configuration.scratch.path],
            ] {
                let made = try ClavigerBinary.run(["cluster"] + command)
                #expect(made.isSuccess, "\(made.errors)")
            }
            configuration.set("id", "\"a\"", in: "[node]")
            configuration.append(
                """
                [cluster]
                listen = "127.0.0.1:\(try ServeConfiguration.freePort())"
                advertise = "a.invalid:7443"
                seeds = ["127.0.0.1:7443", "b.invalid:7443"]
                ca = "\(ca)/ca.pem"
                certificate = "\(configuration.scratch.file("a.pem"))"
                key = "\(configuration.scratch.file("a-key.pem"))"
                """)
            let result = try check(configuration)
            #expect(result.end == .exited(0), "\(result)")
            for setting in ["cluster.advertise", "cluster.seeds[1]"] {
                #expect(result.errors.contains(": \(setting): cannot be resolved: "), "\(result)")
            }
            #expect(!result.errors.contains("cluster.seeds[0]"))
            configuration.set("key", "\"/nowhere/key.pem\"", in: "[cluster]")
            let keyless = try check(configuration)
            #expect(keyless.errors.contains(": cluster.key: /nowhere/key.pem does not exist; check"), "\(keyless)")
        }

        @Test("all that is wrong is reported at once")
        func everythingAtOnce() throws {
            var configuration = try configuration()
            configuration.set("lissten", "\"127.0.0.1:1\"", in: "[xks]")
            configuration.set("sessions", "5000", in: "[[hsm]]", number: 0)
            configuration.set("token", "{ label = \"a\", slot = 1 }", in: "[[hsm]]", number: 1)
            configuration.set("path_prefix", "\"no/slash at the start\"", in: "[[keystore]]")
            let result = try check(configuration)
            #expect(result.end == .exited(2))
            for path in ["xks.lissten", "hsm[0].sessions", "hsm[1].token", "keystore[0].path_prefix"] {
                #expect(result.errors.contains(": \(path)"), "\(path) in \(result.errors)")
            }

            configuration = try self.configuration()
            configuration.set("certificate", "\"/nowhere/cert.pem\"", in: "[xks]")
            configuration.set("pin", "{ file = \"/nowhere/pin\" }", in: "[[hsm]]", number: 1)
            configuration.set(
                "credentials",
                "[{ access_key_id = \"BETWEEN2TECHNIQUE2EXTRAS\", secret = { file = \"/nowhere/secret\" } }]",
                in: "[[keystore]]")
            let second = try check(configuration)
            #expect(second.end == .exited(2))
            for file in ["/nowhere/cert.pem", "/nowhere/pin", "/nowhere/secret"] {
                #expect(second.errors.contains(file), "\(file) in \(second.errors)")
            }
        }

        @Test("a file that is not there is an error, and so it is for serve")
        func noFile() throws {
            for command in ["check", "serve"] {
                let result = try ClavigerBinary.run([command, "--config", "/nowhere/claviger.toml"])
                #expect(result.end == .exited(2))
                #expect(result.errors.contains("/nowhere/claviger.toml"))
            }
        }
    }
}
