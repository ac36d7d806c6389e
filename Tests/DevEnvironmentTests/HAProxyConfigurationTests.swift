// SPDX-License-Identifier: Apache-2.0
import DevEnvironment
import Foundation
import Testing

@Suite struct HAProxyConfigurationTests {
    private let servers = [
        HAProxyConfiguration.Server(name: "node-1", address: "127.0.0.1:8444", controlPort: 8481),
        HAProxyConfiguration.Server(name: "node-2", address: "127.0.0.1:8445", controlPort: 8482),
        HAProxyConfiguration.Server(name: "node-3", address: "127.0.0.1:8446", controlPort: 8483),
    ]

    /// The file that operators are given.
    private func published() throws -> String {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("deploy/haproxy/haproxy.cfg")
        return try String(contentsOf: file, encoding: .utf8)
    }

    /// The directives, section by section, without what differs from place to place: addresses, ports, paths, names of
    /// hosts, and what belongs to a service of the system.
    private func directives(_ text: String) -> [String] {
        text.split(separator: "\n").compactMap { line in
            var words = line.split(separator: " ").map(String.init)
            guard let first = words.first, !first.hasPrefix("#") else { return nil }
            if ["user", "group", "chroot", "stats"].contains(first) || (first == "log" && words.count > 2) {
                return nil
            }
            if first == "bind" || first == "server" { words[first == "bind" ? 1 : 2] = "ADDRESS" }
            for (index, word) in words.enumerated().dropLast() {
                switch word {
                case "crt", "ca-file": words[index + 1] = "FILE"
                case "verifyhost": words[index + 1] = "HOST"
                case "sni": words[index + 1] = "str(HOST)"
                default: break
                }
            }
            if ["server", "default-server"].contains(first), let port = words.firstIndex(of: "port") {
                words.removeSubrange(port...(port + 1))
            }
            return words.joined(separator: " ")
        }
    }

    @Test func theDirectivesAreThoseOfTheFileForOperators() throws {
        let made = HAProxyConfiguration(
            listen: "127.0.0.1:8443", tls: .init(pair: "/a", authority: "/b", name: "localhost"), servers: servers
        ).text()
        let changes = directives(made).difference(from: directives(try published()))
        #expect(changes.isEmpty, "\(changes.map { "\($0)" }.joined(separator: "\n"))")
        #expect(directives(made).count > 30)
    }

    @Test func pathsAreOneWordWhateverIsInThem() {
        let made = HAProxyConfiguration(
            listen: "127.0.0.1:8443",
            tls: .init(pair: "/it's $HOME \"x\" #/a", authority: "/b", name: "localhost", client: ("/c", "a-client")),
            servers: []
        ).text()
        #expect(made.contains(#"ssl crt '/it'\''s $HOME "x" #/a' alpn http/1.1 ca-file '/b' verify required"#))
        #expect(made.contains("http-request reject unless { ssl_c_s_dn(cn) -m str a-client }"))
        #expect(made.contains("default-server crt '/c'\n"))
    }

    @Test func theProgramIsFoundInThePathOrWhereDebianHasIt() throws {
        let scratch = try Scratch()
        let program = scratch.path + "/haproxy"
        #expect(HAProxyConfiguration.find(path: "relative:\(scratch.path)") != program)
        #expect(FileManager.default.createFile(atPath: program, contents: nil, attributes: [.posixPermissions: 0o755]))
        #expect(HAProxyConfiguration.find(path: "relative:\(scratch.path)") == program)
    }

    @Test(
        "HAProxy takes what is made",
        .enabled(if: HAProxyConfiguration.find(path: nil) != nil, "HAProxy is not installed"),
        arguments: [
            DevOptions(nodes: 3, hsms: 1), DevOptions(nodes: 2, hsms: 1, plaintext: true),
            DevOptions(nodes: 2, hsms: 1, listen: "[::1]:0", mutualTLS: true),
        ])
    func theProgramTakesIt(options: DevOptions) throws {
        let scratch = try Scratch()
        let program = try #require(HAProxyConfiguration.find(path: nil))
        let cluster = try DevCluster.prepare(
            options, state: DevState.open(scratch.path + "/it's a \"state\" $HOME"), module: "/lib/softhsm.so",
            haproxy: program, provision: RecordingProvisioner().provision)
        let file = try #require(cluster.balancer?.configurationFile)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = ["-c", "-f", file]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(text)")
        #expect(!text.contains("[WARNING]"), "\(text)")
    }
}
