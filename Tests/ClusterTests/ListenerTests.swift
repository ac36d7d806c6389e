// SPDX-License-Identifier: Apache-2.0
import Cluster
import ClusterCertificates
import Foundation
import Gossip
import Testing

/// curl as a peer: with certificates, and with whatever body a test gives it.
private struct Curl {
    let cluster: TestCluster
    let files: ClusterTLSFiles

    /// The HTTP status; "000" where the handshake fails.
    func post(_ path: String, _ body: Data, to node: ClusterService, options: [String] = []) throws -> String {
        try run(
            ["--cacert", files.ca, "--cert", files.certificate, "--key", files.key, "--data-binary", "@-"] + options,
            "https://\(node.address)\(path)", body)
    }

    func run(_ options: [String], _ url: String, _ body: Data) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/curl")
        process.arguments =
            ["--silent", "--max-time", "10", "--output", "/dev/null", "--write-out", "%{http_code}"]
            + options + [url]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        // A peer that refuses early closes the pipe: that is no error of the test.
        signal(SIGPIPE, SIG_IGN)
        try? input.fileHandleForWriting.write(contentsOf: body)
        try? input.fileHandleForWriting.close()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return text
    }
}

@Suite("Cluster: the listener and what it drops", .timeLimit(.minutes(2)))
struct ListenerTests {
    private func message(
        from name: String, to receiver: String?, sequence: UInt64, kind: GossipMessage.Kind = .ping,
        updates: [MemberUpdate] = []
    ) throws -> Data {
        let identity = NodeIdentity(name: name, address: "127.0.0.1:1", site: "here", incarnation: 1)
        return try JSONEncoder().encode(
            GossipMessage(
                kind: kind, sender: identity, receiver: receiver, sequence: sequence, facts: NodeFacts(revision: 1),
                updates: updates))
    }

    @Test("what is malformed, oversized, replayed or foreign is counted and dropped; the node goes on")
    func drops() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let curl = Curl(cluster: cluster, files: try cluster.files("evil"))
            let gossip = "/cluster/v1/gossip"
            func dropped(_ reason: ClusterDrop) -> UInt64 { a.service.statistics.dropped[reason] ?? 0 }

            #expect(try curl.post(gossip, try message(from: "evil", to: "a", sequence: 1), to: a.service) == "200")
            // It is not taken in; its sender is informed that the number was used before.
            #expect(try curl.post(gossip, try message(from: "evil", to: "a", sequence: 1), to: a.service) == "200")
            #expect(dropped(.replayed) == 1)
            #expect(try curl.post(gossip, try message(from: "evil", to: "z", sequence: 2), to: a.service) == "400")
            #expect(dropped(.foreign) == 1)
            // A certificate speaks for its own node only.
            #expect(try curl.post(gossip, try message(from: "other", to: "a", sequence: 3), to: a.service) == "400")
            #expect(dropped(.malformed) == 1)
            for body in ["", "{", "[]", "{\"version\":1}", String(repeating: "[", count: 100_000), "\u{0}\u{FF}"] {
                #expect(try curl.post(gossip, Data(body.utf8), to: a.service) == "400", "\(body.prefix(20))")
                #expect(try curl.post("/cluster/v1/blocks", Data(body.utf8), to: a.service) == "400")
                #expect(try curl.post("/cluster/v1/canaries", Data(body.utf8), to: a.service) == "400")
                #expect(try curl.post("/cluster/v1/forward", Data(body.utf8), to: a.service) == "400")
            }
            #expect(dropped(.malformed) == 25)
            #expect(try curl.post(gossip, Data(count: 300_000), to: a.service) == "413")
            #expect(try curl.post("/cluster/v1/forward", Data(count: 400_000), to: a.service) == "413")
            #expect(dropped(.oversized) == 2)
            #expect(try curl.post("/cluster/v1/nothing", Data(), to: a.service) == "404")
            #expect(try curl.post(gossip, Data(), to: a.service, options: ["--request", "GET"]) == "404")
            #expect(try curl.post(gossip, try message(from: "evil", to: "a", sequence: 9), to: a.service) == "200")
        }
    }

    /// The farewell is genuine in each case but for one thing.
    @Test("a farewell that another node has signed, or of another life, is not believed")
    func forgedFarewells() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let b = try await cluster.start("b", seeds: [a.service.address], incarnation: 7)
            let c = try await cluster.start("c", seeds: [a.service.address], incarnation: 7)
            try await eventually("all have met") {
                [a, b, c].allSatisfy { $0.service.members.count(where: \.hasSpoken) == 2 }
            }
            await c.service.leave()
            try await eventually("c has left") { b.service.liveness(of: "c") == .left }
            // What a thief has: c's farewell, as it is passed on, and a certificate.
            let curl = Curl(cluster: cluster, files: try cluster.files("evil"))
            let known = try #require(b.service.members.first { $0.identity.name == "c" }).identity
            let b7 = try #require(a.service.members.first { $0.identity.name == "b" }).identity
            let genuine = Farewell(name: "c", incarnation: known.incarnation, certificates: ["00"], signature: "00")
            for (sequence, name) in ["b", "c"].enumerated() {
                var forged = genuine
                forged.name = name
                forged.incarnation = name == "b" ? b7.incarnation : known.incarnation + 1
                let identity = NodeIdentity(
                    name: name, address: b7.address, site: "here", incarnation: forged.incarnation)
                let body = try message(
                    from: "evil", to: "a", sequence: UInt64(sequence) + 1,
                    updates: [MemberUpdate(identity: identity, liveness: .left, farewell: forged)])
                #expect(try curl.post("/cluster/v1/gossip", body, to: a.service) == "200")
            }
            #expect(a.service.liveness(of: "b") == .alive)
            #expect(a.service.awaited.map(\.identity.name).contains("b"))
            #expect(a.service.members.first { $0.identity.name == "c" }?.identity.incarnation == known.incarnation)
        }
    }

    @Test("random bodies never end the node", arguments: 0..<4)
    func random(seed: Int) async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let curl = Curl(cluster: cluster, files: try cluster.files("evil"))
            var generator = SystemRandomNumberGenerator()
            for _ in 0..<6 {
                var body = try message(
                    from: "evil", to: "a", sequence: UInt64.random(in: 0 ... .max, using: &generator))
                for _ in 0..<8 {
                    body[Int.random(in: body.indices, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
                }
                for path in ["gossip", "blocks", "canaries", "forward"] {
                    _ = try curl.post(
                        "/cluster/v1/\(path)", body, to: a.service, options: ["--header", "claviger-budget-us: 1000"])
                }
            }
            #expect(try curl.post("/cluster/v1/gossip", Data("{".utf8), to: a.service) == "400")
        }
    }

    @Test("without a certificate of the cluster's CA there is no connection")
    func strangers() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let own = try cluster.files("b")
            let curl = Curl(cluster: cluster, files: own)
            let url = "https://\(a.service.address)/cluster/v1/gossip"
            func dropped() -> UInt64 { a.service.statistics.dropped[.unauthenticated] ?? 0 }
            #expect(try curl.run(["--cacert", own.ca, "--data", "x"], url, Data()) == "000")
            try await eventually("no certificate is counted") { dropped() == 1 }
            let foreign = try cluster.files(
                "c", from: try ClusterAuthority.create(in: cluster.directory + "/other", now: Date()))
            let options = ["--cacert", own.ca, "--cert", foreign.certificate, "--key", foreign.key, "--data", "x"]
            #expect(try curl.run(options, url, Data()) == "000")
            try await eventually("another CA's certificate is counted") { dropped() == 2 }
            #expect(try curl.run([], url.replacing("https:", with: "http:"), Data()) == "000")
            try await eventually("no TLS at all is counted") { dropped() == 3 }
            // A certificate of the CA that bears no node's name is no node's.
            let host = try openssl(cluster)
            #expect(
                try curl.run(
                    ["--cacert", own.ca, "--cert", host.certificate, "--key", host.key, "--data", "x"], url, Data())
                    == "000")
            try await eventually("a nameless certificate is counted") { dropped() == 4 }
        }
    }

    /// A certificate of the cluster's CA for a host, as an own PKI might make one.
    private func openssl(_ cluster: TestCluster) throws -> (certificate: String, key: String) {
        let (certificate, key) = (cluster.directory + "/host.pem", cluster.directory + "/host-key.pem")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=host",
            "-addext", "subjectAltName=DNS:host.example.com", "-addext", "basicConstraints=critical,CA:FALSE",
            "-CA", cluster.authority.files.certificate, "-CAkey", cluster.authority.files.key, "-days", "2", "-out",
            certificate, "-keyout", key,
        ]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        return (certificate, key)
    }
}
