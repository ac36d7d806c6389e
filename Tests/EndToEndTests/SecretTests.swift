// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension EndToEnd {
    @Suite("what a node shows of its work", .patientNode(plaintext: true))
    struct Disclosure {
        @Test("PINs, secrets and plaintext are in no log, argument or environment, and cannot be dumped")
        func secrets() throws {
            let node = try sharedNode()
            let client = try XKSClient(node)
            var secrets = [node.facts.secret]
            for hsm in 1...3 {
                for file in ["pin", "so-pin"] { secrets.append(try text(ofFile: "\(node.state)/hsm-\(hsm)/\(file)")) }
            }
            for _ in 0..<50 {
                let plaintext = randomBytes(48)
                secrets.append(base64(plaintext))
                secrets.append(hexadecimal(plaintext))
                let encrypted = try client.encrypted(plaintext)
                #expect(try client.decrypted(encrypted) == plaintext)
            }
            // A body that is refused is not quoted either.
            let marker = base64(randomBytes(30))
            secrets.append(marker)
            #expect(try client.post(client.target("encrypt", key: "foo"), #"{"plaintext":"\#(marker)"}"#).status == 400)
            _ = try node.logEntry("the refused request") { $0["outcome"] == "ValidationException" }

            let log = node.process.errors
            for secret in secrets { #expect(secret.utf8.count >= 16 && !log.contains(secret)) }
            let processes = [node.pid] + Array(node.workers.values)
            #expect(processes.count == 4)
            for pid in processes {
                let arguments = try #require(Processes.content(pid, "cmdline"))
                // Not even root can read it where the system forbids looking into a process that may not be dumped.
                let environment = Processes.content(pid, "environ") ?? []
                let shown = String(decoding: arguments + environment, as: UTF8.self)
                for secret in secrets { #expect(!shown.contains(secret)) }
                let limits = String(decoding: try #require(Processes.content(pid, "limits")), as: UTF8.self)
                let core = limits.split(separator: "\n").first { $0.hasPrefix("Max core file size") }
                let words = (core ?? "").split(whereSeparator: \.isWhitespace)
                #expect(words.dropFirst(4).prefix(2) == ["0", "0"])
            }
        }

        @Test("each request is one line of the log, with everything that the specification wants")
        func requestLog() throws {
            let node = try sharedNode()
            let client = try XKSClient(node)
            let identifier = UUID().uuidString
            #expect(try client.encrypt([1, 2, 3], requestID: identifier).status == 200)
            let entry = try node.logEntry("the request") { $0["kmsRequestId"] == identifier }
            #expect(entry.message == "request")
            #expect(entry["operation"] == "Encrypt")
            #expect(entry["keystore"] == node.facts.prefix)
            #expect(entry["key"] == "foo")
            #expect(entry["principal"] == "arn:aws:iam::123456789012:user/Alice")
            #expect(["hsm-1", "hsm-2", "hsm-3"].contains(entry["hsm"]))
            #expect(entry[number: "attempts"] == 1)
            #expect(entry["outcome"] == "ok")
            #expect(entry[number: "status"] == 200)
            #expect(entry["accessKeyID"] == node.facts.access_key_id)
            #expect(entry["kmsOperation"] == "Encrypt")
            #expect(entry["kmsKeyArn"]?.hasPrefix("arn:aws:kms:us-east-1:123456789012:key/") == true)
            #expect(entry["viaService"] == "ebs")
            #expect(entry["peer"]?.hasPrefix("127.0.0.1:") == true)
            let total = try #require(entry[number: "total_us"])
            let inHSM = try #require(entry[number: "hsm_us"])
            #expect(0 < inHSM && inHSM <= total && total < 1_000_000)

            #expect(try client.encrypt([1, 2, 3], key: "impotent_key", requestID: identifier + "-2").status == 400)
            let refused = try node.logEntry("the refused one") { $0["kmsRequestId"] == identifier + "-2" }
            #expect(refused["outcome"] == "InvalidKeyUsageException")
            #expect(refused[number: "attempts"] == 0)
            #expect(refused["reason"]?.isEmpty == false)
            #expect(node.log.filter { $0["kmsRequestId"] == identifier }.count == 1)
            // Nothing else is on standard error: each line is an object of its own.
            #expect(node.process.errorLines.count == node.log.count)
        }

        @Test("health checks are logged too, as what they are")
        func healthLog() throws {
            let node = try sharedNode()
            let body = #"{"requestMetadata":{"kmsRequestId":"logged-health","kmsOperation":"KmsHealthCheck"}}"#
            #expect(try XKSClient(node).post("\(node.facts.prefix)/kms/xks/v1/health", body).status == 200)
            let entry = try node.logEntry("the health check") { $0["kmsRequestId"] == "logged-health" }
            #expect(entry["operation"] == "GetHealthStatus")
            #expect(entry["kmsOperation"] == "KmsHealthCheck")
            #expect(entry["hsm"] == nil)
        }
    }
}
