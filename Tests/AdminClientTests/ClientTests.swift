// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import ControlPlane
import Foundation
import Logging
import StatusVocabulary
import Synchronization
import Testing

/// Client and server over a real socket.
@Suite struct ClientTests {
    private let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    private let directory: StateDirectory

    init() throws { directory = try StateDirectory() }

    private func withNode(_ node: ScriptedNode, _ body: (AdminClient) async throws -> Void) async throws {
        let server = try await AdminServer.start(
            stateDirectory: directory.path, administration: node, logger: logger)
        do {
            try await body(AdminClient(stateDirectory: directory.path))
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
    }

    @Test func theStatusComesAsItWasTold() async throws {
        try await withNode(ScriptedNode()) { client in
            let status = try await client.status()
            #expect(status == Example.status)
            #expect(status.verdict == .degraded)
        }
    }

    @Test func whatANodeIsAtComesAsItWasTold() async throws {
        try await withNode(ScriptedNode()) { client in
            let requests = try await client.requests()
            #expect(requests == Example.requests)
        }
    }

    @Test func aLargeStatusComesWhole() async throws {
        var large = Example.status
        let cells = Dictionary(uniqueKeysWithValues: (0..<64).map { ("hsm-\($0)", KeyState.proven) })
        large.status.keys = (0..<2000).map { KeyStatus(label: "key \($0)", canaryBy: "hsm-0", cells: cells) }
        try await withNode(ScriptedNode(status: large)) { client in
            let status = try await client.status()
            #expect(status.status.keys.count == 2000 && status == large)
        }
    }

    @Test func commandsComeAsTheyWereGiven() async throws {
        let node = ScriptedNode(.done("it is done"))
        try await withNode(node) { client in
            let names = ["nshield-a", "..", "a/b?c#d&e=f%41 g", "ключ ü 🔑", "\u{1}\"\\"]
            for name in names {
                let answers = [
                    try await client.drain(name), try await client.undrain(name),
                    try await client.trust(key: name, hsm: name), try await client.forget(key: name),
                    try await client.forget(node: name, user: "me"),
                ]
                #expect(answers == Array(repeating: "it is done", count: 5))
            }
            #expect(
                node.commands
                    == names.flatMap {
                        [
                            "drain \($0)", "undrain \($0)", "trust \($0) on \($0)", "forget \($0)",
                            "forget \($0) by \(recorded("me"))",
                        ]
                    })
        }
    }

    @Test func ordersComeAsTheyWereGiven() async throws {
        let node = ScriptedNode(.done("it is done"))
        let block = BlockOrder(key: "ü \"/\\", reason: "why\nnot", expiresInSeconds: 7, user: "anna")
        let lift = LiftOrder(confirmUnknown: true, user: "anna")
        try await withNode(node) { client in
            let receipts = [try await client.block(block), try await client.lift(lift)]
            let receipt = BlockReceipt(message: "it is done", order: 7, durable: false)
            #expect(receipts == [receipt, receipt])
            let answers = [
                try await client.reload().message, try await client.drainNode(), try await client.setLogLevel("a/b"),
            ]
            #expect(answers == ["it is done", "it is done", "it is done"])
            var (taken, lifted) = (block, lift)
            (taken.user, lifted.user) = (recorded("anna"), recorded("anna"))
            #expect(node.commands == ["\(taken)", "\(lifted)", "reload", "drain node", "log level a/b"])
        }
    }

    @Test func blocksAndClusterComeAsTheyWereTold() async throws {
        try await withNode(ScriptedNode()) { client in
            let (blocks, cluster) = (try await client.blocks(), try await client.clusterHealth())
            #expect(blocks == Example.blocks && cluster == Example.cluster)
            let outlook = try await client.outlook(
                on: BlockOrder(key: "k", reason: "r", expiresInSeconds: 60, user: "u"))
            #expect(outlook.unable.map(\.node) == ["old"])
            let progress = try await client.progress(ofOrder: 7)
            #expect(progress == Example.progress)
            let error = await #expect(throws: AdminClientError.self) { try await client.progress(ofOrder: 8) }
            guard case .unknown(let text, nil, []) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(text.contains("8"))
        }
    }

    @Test func anOrderThatCannotBeIsAnError() async throws {
        let order = BlockOrder(key: "k", reason: "r", user: "u")
        try await withNode(ScriptedNode(.refused("the path is wrong"))) { client in
            await #expect(throws: AdminClientError.refused("the path is wrong")) { try await client.block(order) }
        }
        try await withNode(ScriptedNode(.unknown("no such block", known: []))) { client in
            await #expect(throws: AdminClientError.unknown("no such block", name: nil, known: [])) {
                try await client.lift(LiftOrder(id: "x", user: "u"))
            }
        }
        try await withNode(ScriptedNode()) { client in
            let error = await #expect(throws: AdminClientError.self) {
                try await client.block(BlockOrder(key: "k", principal: "p", reason: "r", user: "u"))
            }
            #expect(
                error == .refused("key and principal are given: give one of everything, keyStore, key, principal"))
        }
        let client = AdminClient(stateDirectory: directory.path)
        await #expect(throws: AdminClientError.notRunning(socket: client.socket)) { try await client.block(order) }
    }

    @Test func theServingProcessIsSeen() async throws {
        try await withNode(ScriptedNode()) { client in #expect(client.servingProcess() == getpid()) }
        #expect(AdminClient(stateDirectory: directory.path).servingProcess() == nil)
        #expect(AdminClient(stateDirectory: "/" + String(repeating: "x", count: 200)).servingProcess() == nil)
    }

    @Test(
        arguments: [
            (.unknown("no x", name: "x", known: ["a"]), .unknown("no x", name: "x", known: ["a"])),
            (.unknown("no x", known: []), .unknown("no x", name: nil, known: [])),
            (.refused("not now"), .refused("not now")), (.failed("the disk is full"), .refused("the disk is full")),
        ] as [(AdminAnswer, AdminClientError)])
    func aNoIsAnError(answer: AdminAnswer, expected: AdminClientError) async throws {
        try await withNode(ScriptedNode(answer)) { client in
            await #expect(throws: expected) { try await client.drain("x") }
        }
    }

    @Test func whatTheServerRefusesIsToldInItsWords() async throws {
        try await withNode(ScriptedNode()) { client in
            let error = await #expect(throws: AdminClientError.self) { try await client.drain("") }
            #expect(error == .refused("the name of the HSM must be 1 to 255 bytes of UTF-8, percent-encoded"))
        }
    }

    @Test func withoutANodeThatIsSaid() async throws {
        let client = AdminClient(stateDirectory: directory.path)
        #expect(client.socket == directory.path + "/admin.sock")
        await #expect(throws: AdminClientError.notRunning(socket: client.socket)) { try await client.status() }
        let nowhere = AdminClient(stateDirectory: directory.path + "/gone")
        await #expect(throws: AdminClientError.notRunning(socket: nowhere.socket)) { try await nowhere.drain("a") }
        try await withNode(ScriptedNode()) { _ = try await $0.status() }
        await #expect(throws: AdminClientError.notRunning(socket: client.socket)) { try await client.status() }
        // The socket of a process that was killed.
        let dead = try FakeNode(at: client.socket, answer: nil)
        dead.close()
        await #expect(throws: AdminClientError.notRunning(socket: client.socket)) { try await client.status() }
    }

    @Test func aPathThatIsTooLongIsSaid() async throws {
        let client = AdminClient(stateDirectory: "/" + String(repeating: "x", count: 200))
        let error = await #expect(throws: AdminClientError.self) { try await client.status() }
        #expect(error == .notRunning(socket: client.socket), "nobody can listen there")
    }

    @Test(arguments: [
        "", "HTTP/1.1 200 OK\r\n", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\u{0}\u{1}\u{2}\u{3}\u{4}",
        "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"node\":",
        "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n[]",
        "HTTP/1.1 301 Away\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 17000000\r\n\r\n",
    ])
    func whatMakesNoSenseIsAnError(_ answer: String) async throws {
        let path = directory.path + "/admin.sock"
        let node = try FakeNode(at: path, answer: Array(answer.utf8))
        defer { node.close() }
        let error = await #expect(throws: AdminClientError.self) {
            try await AdminClient(socket: path).status()
        }
        guard case .unusable(let text) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(!text.isEmpty)
        // With 16631be "HTTPClientError.remoteConnectionClosed", "HTTPParserError.invalidConstant" and the like.
        #expect(!text.contains("Error") && !text.contains("errno"), "\(text)")
    }

    @Test func aNodeThatDoesNotAnswerIsLeft() async throws {
        let path = directory.path + "/admin.sock"
        let node = try FakeNode(at: path, answer: nil)
        defer { node.close() }
        let error = await #expect(throws: AdminClientError.self) {
            try await AdminClient(socket: path, timeout: .seconds(1)).status()
        }
        #expect(error == .unusable("\(path): no answer within 1 s"))
    }
}
