// SPDX-License-Identifier: Apache-2.0
import DevEnvironment
import Foundation
import SecureMemory
import Testing

@Suite struct DevAnnouncementTests {
    private struct Line: Decodable {
        var url, prefix, access_key_id, secret, ca, client_certificate, client_key: String
        var keys: [String]
        var worker_pids: [Int]
        var state_directory, control_url: String
    }

    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func node(_ options: DevOptions = DevOptions(), directory: String = "state") throws -> DevNode {
        let state = try DevState.open(scratch.path + "/" + directory)
        return try DevNode.prepare(
            options, state: state, module: "/lib/softhsm.so", provision: RecordingProvisioner().provision)
    }

    /// The words that a POSIX shell makes of the command.
    private func words(of command: String) throws -> [String] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "curl() { for word; do printf '%s\\000' \"$word\"; done; }; \(command)"]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return text.split(separator: "\0").map(String.init)
    }

    @Test func theJSONLineHasWhatScriptsNeed() throws {
        let node = try node()
        let text = try node.announcement(port: 8443, controlURL: "http://127.0.0.1:9", workers: [11, 12, 13]).jsonLine()
        #expect(!text.contains("\n"))
        let line = try JSONDecoder().decode(Line.self, from: Data(text.utf8))
        #expect(line.url == "https://127.0.0.1:8443")
        #expect(line.prefix == "/example/uri/path/prefix")
        #expect(line.access_key_id == node.credential.accessKeyID)
        #expect(line.secret == node.credential.secret.text)
        #expect(line.ca == node.certificates.authority)
        #expect(line.client_certificate == node.certificates.clientCertificate)
        #expect(line.client_key == node.certificates.clientKey)
        #expect(line.keys == ["foo", "bar", "encrypt_only_key", "decrypt_only_key", "impotent_key"])
        #expect(line.worker_pids == [11, 12, 13])
        #expect(line.state_directory == scratch.path + "/state")
        #expect(line.control_url == "http://127.0.0.1:9")
    }

    @Test func theCommandSurvivesTheShell() throws {
        let node = try node(DevOptions(mutualTLS: true), directory: "it's $HOME `a` \"b\"")
        let announcement = node.announcement(port: 1234, controlURL: "", workers: [])
        let words = try words(of: announcement.curlCommand())
        func value(after option: String) -> String? {
            words.firstIndex(of: option).flatMap { words.indices.contains($0 + 1) ? words[$0 + 1] : nil }
        }
        #expect(value(after: "--cacert") == node.certificates.authority)
        #expect(value(after: "--cert") == node.certificates.clientCertificate)
        #expect(value(after: "--key") == node.certificates.clientKey)
        #expect(value(after: "--user") == "\(node.credential.accessKeyID):\(node.credential.secret.text)")
        #expect(value(after: "--aws-sigv4") == "aws:amz:us-east-1:kms-xks-proxy")
        #expect(words.last == "https://127.0.0.1:1234/example/uri/path/prefix/kms/xks/v1/keys/foo/encrypt")
        let body = try #require(value(after: "--data"))
        let object = try #require(try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any])
        #expect(Set(object.keys) == ["requestMetadata", "plaintext", "encryptionAlgorithm"])
        #expect(announcement.text().contains(announcement.curlCommand()))
    }

    @Test(arguments: [
        (DevOptions(listen: "0.0.0.0:0"), "https://localhost:7"),
        (DevOptions(listen: "[::1]:0"), "https://[::1]:7"),
        (DevOptions(listen: "[::]:0"), "https://localhost:7"),
        (DevOptions(listen: "10.0.0.1:0", plaintext: true), "http://10.0.0.1:7"),
    ])
    func theURLIsOneThatClientsCanReach(options: DevOptions, url: String) throws {
        let announcement = try node(options).announcement(port: 7, controlURL: "", workers: [])
        #expect(announcement.url == url)
        #expect(announcement.curlCommand().contains("--cacert") == !options.plaintext)
    }
}
