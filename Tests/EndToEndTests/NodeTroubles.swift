// SPDX-License-Identifier: Apache-2.0
import Conditions
import Foundation
import Glibc
import Testing

/// What befalls a node's files, its clock and its seeds. node-1 suffers from most of it, node-2 has to say it.
struct NodeTroubles {
    private static let day = 86_400
    private let pair: Pair
    private let files: Scratch

    init() throws {
        let files = try Scratch()
        let configurations = try Pair.names.map { name in
            var configuration = try ServeConfiguration(from: try sharedNode())
            for _ in 1...2 { configuration.removeTable("[[hsm]]", number: 1) }
            guard name == "node-1" else { return configuration }
            try Self.serverCertificate(in: files, madeDaysAgo: 0)
            configuration.remove("plaintext", in: "[xks]")
            configuration.set("certificate", "\"\(files.file("xks.pem"))\"", in: "[xks]")
            configuration.set("key", "\"\(files.file("xks-key.pem"))\"", in: "[xks]")
            return configuration
        }
        self.files = files
        pair = try Pair(configurations, hsms: 1)
    }

    /// Valid for 100 days.
    private static func serverCertificate(in files: Scratch, madeDaysAgo days: Int) throws {
        let made = try EndToEndTests.run(
            [
                "/usr/bin/env", "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", files.file("xks-key.pem"), "-out", files.file("xks.pem"), "-days", "100", "-subj",
                "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
            ], environment: PreloadedFaults.clock(ahead: -days * day))
        guard made.isSuccess else { throw HarnessError(made.errors) }
    }

    /// Gives node-1 another certificate of the cluster's, which ends in so many days.
    private func nodeCertificate(days: Int) throws {
        let files = pair.identity("node-1")
        try BackdatedCertificate.replace(
            files.certificate, key: files.key, ca: files.ca, seconds: Double(days * Self.day + 60))
    }

    func run() throws {
        let op = pair.op("node-1")
        let held = try HeldDatabase(pair.configurations[0].database)
        try Self.serverCertificate(in: files, madeDaysAgo: 200)
        try nodeCertificate(days: 10)
        let closed = try ServeConfiguration.freeAddress()
        var configuration = pair.configurations[0]
        configuration.set("seeds", "[\"\(closed)\"]", in: "[cluster]")
        _ = try configuration.write()
        try op.done("reload")
        let client = try XKSClient(pair.node("node-2"))
        try sign(client, ahead: 30)
        let troubles = [
            Trouble(.storeFailing, of: "node-1", by: ["node-2"]),
            Trouble(.certificateInvalid, of: "node-1", "xks.certificate", by: ["node-2"]),
            Trouble(.certificateEnding, of: "node-1", "cluster.certificate", by: ["node-2"]),
            Trouble(.seedUnreachable, of: "node-1", "seed \(closed)", by: ["node-2"]),
            Trouble(.clockOff, of: "node-2", severity: .warning, by: ["node-1"]),
        ]
        for trouble in troubles { try pair.begins(trouble) }
        let closedSocket = try closeAdminSocket()
        // What a command of node-2's own host signs is not KMS's word on its clock. A minute may have passed since the last one.
        try sign(client, ahead: 30)
        _ = try pair.op("node-2").call("diagnose")
        #expect(
            try pair.report("node-2").conditions?.contains { $0.code == "clock-off" && $0.node == "node-2" } == true)
        try intermediateEnds()

        try sign(client, ahead: 0)
        try held.release()
        try Self.serverCertificate(in: files, madeDaysAgo: 0)
        try nodeCertificate(days: 100)
        _ = try pair.configurations[0].write()
        try op.done("reload")
        try pair.end(troubles + [closedSocket])
        #expect(!pair.node("node-2").log.contains { $0["code"] == "store-failing" }, "each logs what is its own")
        try pair.whole(Pair.names)
    }

    /// Clients refuse the whole chain.
    private func intermediateEnds() throws {
        let ended = try text(ofFile: files.file("xks.pem"))
        try Self.serverCertificate(in: files, madeDaysAgo: 0)
        let chain = try text(ofFile: files.file("xks.pem")) + ended
        try chain.write(toFile: files.file("xks.pem"), atomically: true, encoding: .utf8)
        try pair.op("node-1").done("reload")
        try eventually("node-2 says which certificate of node-1 has ended", within: 20, every: 0.1) {
            try pair.report("node-2").conditions?.contains {
                $0.code == "certificate-invalid" && $0.text.contains("the intermediate certificate localhost ended on")
            } == true
        }
    }

    /// KMS signs a request, whose clock is so many seconds ahead.
    private func sign(_ client: XKSClient, ahead seconds: Int64) throws {
        let now = Int64(Date().timeIntervalSince1970) + seconds
        #expect(try client.post(client.target("encrypt", key: "foo"), Body.encrypt([1]), now: now).status == 200)
    }

    /// While the socket is not there no command reaches the node: `claviger status` is not done.
    private func closeAdminSocket() throws -> Trouble {
        let socket = pair.configurations[0].stateDirectory + "/admin.sock"
        #expect(unlink(socket) == 0 && mkdir(socket, 0o700) == 0)
        let trouble = Trouble(.adminSocketClosed, of: "node-1", by: ["node-2"])
        try pair.begins(trouble, isOwnAsked: false)
        let status = try pair.op("node-1").call("status")
        #expect(status.end == .exited(1) && !status.errors.isEmpty, "\(status)")
        #expect(rmdir(socket) == 0)
        try eventually("commands reach the node again") { try pair.op("node-1").call("status").isSuccess }
        return trouble
    }
}
