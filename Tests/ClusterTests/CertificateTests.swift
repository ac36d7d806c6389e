// SPDX-License-Identifier: Apache-2.0
import Cluster
import ClusterCertificates
import Foundation
import Gossip
import Testing

@Suite("Cluster: certificates", .timeLimit(.minutes(2)))
struct CertificateTests {
    private func problem(_ cluster: TestCluster, _ files: ClusterTLSFiles, node: String) -> String {
        do throws(ClusterError) {
            try ClusterService.check(files, node: node)
            return ""
        } catch {
            return error.description
        }
    }

    @Test("files that cannot be used are refused with the file and the mend")
    func problems() throws {
        let cluster = try TestCluster()
        let good = try cluster.files("a")
        #expect(problem(cluster, good, node: "a") == "")
        #expect(problem(cluster, good, node: "b").contains("is for the node a, and this node is b"))
        var files = good
        files.ca = cluster.directory + "/nothing.pem"
        #expect(problem(cluster, files, node: "a").contains("nothing.pem does not exist"))
        files = good
        files.certificate = good.key
        #expect(problem(cluster, files, node: "a").contains("holds no certificate"))
        files = good
        files.key = good.certificate
        #expect(
            problem(cluster, files, node: "a").contains("holds no usable private key"), "not that others may read it")
        files.key = try cluster.files("b").key
        #expect(problem(cluster, files, node: "a").contains("is not that of the certificate"))
        files = good
        files.certificate = good.ca
        #expect(problem(cluster, files, node: "a").contains("bears no node's name"))
        files.certificate = cluster.directory
        #expect(problem(cluster, files, node: "a").contains("is not a regular file"))
    }

    /// A node of 16631be took it, and ran alone: its peers refused it, and it them.
    @Test("a certificate that the cluster's CA has not signed is refused with both files")
    func foreign() throws {
        let cluster = try TestCluster()
        let other = try TestCluster()
        var files = try cluster.files("a")
        files.ca = try other.files("a").ca
        #expect(problem(cluster, files, node: "a").contains("is not signed by the cluster's CA in \(files.ca)"))
        let shown = try ClusterService.check(try cluster.files("a"), node: "a")
        let now = Int64(Date().timeIntervalSince1970)
        #expect(try #require(shown).notBefore < now && #require(shown).notAfter > now + 86_400)
    }

    /// A node of 16631be took such keys, and left out the certificate without a word, as the library does with a whole file.
    @Test("a key that others can read is refused, and so is a file of which only a part can be taken")
    func wholly() throws {
        let cluster = try TestCluster()
        let good = try cluster.files("a")
        let other = try cluster.files("b")
        #expect(chmod(good.key, 0o644) == 0)
        #expect(problem(cluster, good, node: "a").contains("is open to every user of this host"))
        #expect(chmod(good.key, 0o640) == 0)
        #expect(problem(cluster, good, node: "a") == "")
        var files = good
        files.ca = cluster.directory + "/two.pem"
        let authority = try String(contentsOfFile: good.ca, encoding: .utf8)
        let leaf = try String(contentsOfFile: other.certificate, encoding: .utf8)
        func write(_ text: String) throws { try text.write(toFile: files.ca, atomically: true, encoding: .utf8) }
        try write("\u{FEFF}" + authority + "\u{FEFF}" + leaf)
        #expect(problem(cluster, files, node: "a") == "")
        let lines = leaf.split(separator: "\n")
        try write(authority + (lines.prefix(2) + lines.suffix(1)).joined(separator: "\n"))
        let begin = authority.split(separator: "\n").count + 1
        #expect(
            problem(cluster, files, node: "a").contains("two.pem, line \(begin): the certificate that begins there"))
        try write(authority + lines.dropLast().joined(separator: "\n"))
        #expect(problem(cluster, files, node: "a").contains("has no line -----END CERTIFICATE-----"))
    }

    @Test("a node does not start with an address that is taken, and says so")
    func taken() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let settings = ClusterSettings(
                node: "b", site: "", listenHost: "127.0.0.1", listenPort: a.service.port, advertise: "127.0.0.1:0",
                seeds: [], tls: try cluster.files("b"), maxForwardBytes: 1_000)
            await #expect(throws: ClusterError.self) {
                _ = try await ClusterService.start(
                    settings: settings, incarnation: 1, memory: ClusterMemory(), delegate: ScriptedNode(),
                    logger: .init(label: "test"))
            }
        }
    }

    @Test("certificates that are replaced on disk are used without a restart, and bad ones leave the old in use")
    func replaced() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let b = try await cluster.start("b", seeds: [a.service.address])
            try await eventually("b is there") { a.service.liveness(of: "b") == .alive }
            let files = try cluster.files("b")
            try await eventually("b has read them anew") { b.delegate.get { $0.tlsChanges.contains(.replaced) } }
            try Data("nonsense".utf8).write(to: URL(fileURLWithPath: files.certificate))
            try await eventually("b says what is wrong") {
                b.delegate.get { $0.tlsChanges.contains(.failed(.noCertificate(file: files.certificate))) }
            }
            #expect(a.service.liveness(of: "b") == .alive)
        }
    }

    @Test("who answers at an address with another node's name is not believed")
    func impostor() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let b = try await cluster.start("b", seeds: [a.service.address], incarnation: 1)
            try await eventually("b is there") { a.service.liveness(of: "b") == .alive }
            let identity = NodeIdentity(
                name: "c", address: b.service.address, site: "here", incarnation: 1)
            // It is remembered as c, and answers as b.
            let d = try await cluster.start("d", remembered: [identity])
            try await eventually("d has found b by c's address") { d.service.liveness(of: "b") == .alive }
            #expect(d.service.members.first { $0.identity.name == "c" }?.hasSpoken == false)
        }
    }
}
