// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import ControlPlane
import Foundation
import Logging
import Testing

@Suite struct AdminServerTests {
    private let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    private let directory: StateDirectory

    init() throws { directory = try StateDirectory() }

    private var socketPath: String { directory.path + "/admin.sock" }

    private func start(_ node: ScriptedNode = ScriptedNode()) async throws -> AdminServer {
        try await AdminServer.start(stateDirectory: directory.path, administration: node, logger: logger)
    }

    /// Status line and body of the answer to one request.
    private func ask(_ line: String, headers: String = "") async throws -> (status: String, head: String, body: String)
    {
        let text = "\(line) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\(headers)\r\n"
        let answer = try await RawConnection.exchange(Array(text.utf8), socket: socketPath)
        let fields = answer.components(separatedBy: "\r\n\r\n")
        let status = answer.split(separator: " ").dropFirst().first.map(String.init) ?? ""
        return (status, fields.first ?? "", fields.dropFirst().joined(separator: "\r\n\r\n"))
    }

    private func mode(_ path: String) throws -> Int {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int ?? -1
    }

    @Test func theSocketIsItsOwnersAloneAndGoesWithTheServer() async throws {
        let server = try await start()
        #expect(server.path == socketPath)
        #expect(try mode(socketPath) == 0o600)
        #expect(try directory.entries() == ["admin.lock", "admin.sock"], "nothing else is left behind")
        let (status, _, body) = try await ask("GET /status")
        #expect(status == "200" && body.contains("\"node\":\"fra-1\"") && body.contains("\"verdict\":\"ACTIVE\""))
        await server.stop()
        try await server.wait()
        #expect(try directory.entries() == ["admin.lock"])
        let again = try await start()
        #expect(try await ask("GET /status").status == "200")
        await again.stop()
    }

    @Test func aSocketOfADeadProcessIsReplaced() async throws {
        try RawConnection.leaveDeadSocket(at: socketPath)
        // So is what a process leaves that was killed while it bound.
        let staging = directory.path + "/.admin-ab12cd"
        try FileManager.default.createDirectory(atPath: staging, withIntermediateDirectories: false)
        try RawConnection.leaveDeadSocket(at: staging + "/s")
        let server = try await start()
        #expect(try await ask("GET /status").status == "200")
        #expect(try directory.entries() == ["admin.lock", "admin.sock"])
        await server.stop()
    }

    @Test func aLivingServerIsNamedAndLeftAlone() async throws {
        let server = try await start()
        let error = await #expect(throws: AdminSocketError.self) { try await start() }
        #expect(error == .inUse(path: socketPath, pid: getpid()))
        #expect(error.map { "\($0)" }?.contains("served by another node, process \(getpid())") == true)
        #expect(try await ask("GET /status").status == "200")
        await server.stop()
    }

    @Test func ofTwoThatStartTogetherOneServes() async throws {
        async let first = Result { try await start() }
        async let second = Result { try await start() }
        let results = await [first, second]
        let servers = results.compactMap { try? $0.get() }
        #expect(servers.count == 1)
        #expect(try await ask("GET /status").status == "200")
        for server in servers { await server.stop() }
        #expect(try directory.entries() == ["admin.lock"])
    }

    @Test func whatIsNoSocketIsLeftAlone() async throws {
        try Data("mine".utf8).write(to: URL(fileURLWithPath: socketPath))
        let error = await #expect(throws: AdminSocketError.self) { try await start() }
        #expect(error == .notASocket(path: socketPath))
        #expect(try String(contentsOfFile: socketPath, encoding: .utf8) == "mine")
    }

    // "open: Is a directory", without what mends it.
    @Test func whatHasThePlaceOfTheLockIsNamed() async throws {
        let lock = directory.path + "/admin.lock"
        try FileManager.default.createDirectory(atPath: lock, withIntermediateDirectories: false)
        let error = await #expect(throws: AdminSocketError.self) { try await start() }
        #expect(error?.description == "\(lock) is a directory, where a file of the node's belongs: move it away")
    }

    @Test func aDirectoryThatDoesNotServeIsNamed() async throws {
        let gone = directory.path + "/gone"
        let missing = await #expect(throws: AdminSocketError.self) {
            try await AdminServer.start(stateDirectory: gone, administration: ScriptedNode(), logger: logger)
        }
        #expect(missing == .system(call: "open", path: gone + "/admin.lock", code: ENOENT))
        let long = directory.path + "/" + String(repeating: "x", count: 87 - directory.path.utf8.count)
        let tooLong = await #expect(throws: AdminSocketError.self) {
            try await AdminServer.start(stateDirectory: long, administration: ScriptedNode(), logger: logger)
        }
        #expect(tooLong == .directoryTooLong(path: long, limit: 87))
        let longest = String(long.dropLast())
        try FileManager.default.createDirectory(atPath: longest, withIntermediateDirectories: false)
        let server = try await AdminServer.start(
            stateDirectory: longest, administration: ScriptedNode(), logger: logger)
        await server.stop()
    }

    @Test func aStoppingServerLeavesAnotherSocketAlone() async throws {
        let server = try await start()
        try FileManager.default.removeItem(atPath: socketPath)
        let next = try await start()
        await server.stop()
        #expect(try await ask("GET /status").status == "200")
        await next.stop()
    }

    @Test(arguments: [
        ("POST /hsm/nshield-a/drain", "drain nshield-a"), ("POST /hsm/nshield%2Da/undrain", "undrain nshield-a"),
        ("POST /key/foo/trust?hsm=a", "trust foo on a"), ("POST /key/foo%2F1/forget", "forget foo/1"),
        ("POST /cluster/fra-2/forget?user=alice", "forget fra-2 by \(recorded("alice"))"),
        ("POST /key/A%20label%2F%C3%BC%3F/trust?hsm=a%26b", "trust A label/ü? on a&b"),
        ("POST /key/%2e%2E/trust?hsm=%2E", "trust .. on ."), ("POST /reload", "reload"),
        ("POST /reload/force", "reload by force"), ("POST /drain", "drain node"),
        ("POST /log/level/debug", "log level debug"),
        ("POST /hsm/nshield-a/drain-for?seconds=15", "drain nshield-a for 15 s"),
        ("POST /hsm/a%2F1/drain-for?prolong=300", "prolong a/1 by 300 s"),
    ])
    func commandsReachTheNode(_ line: String, command: String) async throws {
        let node = ScriptedNode(.done("it is \"done\""))
        let server = try await start(node)
        let (status, head, body) = try await ask(line)
        #expect(status == "200" && body == "{\"message\":\"it is \\\"done\\\"\"}\n")
        #expect(head.lowercased().contains("content-type: application/json"))
        #expect(node.commands == [command])
        await server.stop()
    }

    @Test(
        arguments: [
            (.unknown("no HSM", known: ["a", "b"]), "404", "{\"error\":\"no HSM\",\"known\":[\"a\",\"b\"]}\n"),
            (.unknown("no k", name: "k", known: []), "404", "{\"error\":\"no k\",\"known\":[],\"name\":\"k\"}\n"),
            (.refused("not now"), "409", "{\"error\":\"not now\"}\n"),
            (.failed("the disk is full"), "500", "{\"error\":\"the disk is full\"}\n"),
        ] as [(AdminAnswer, String, String)])
    func aNoHasItsStatus(answer: AdminAnswer, status: String, body: String) async throws {
        let server = try await start(ScriptedNode(answer))
        let reply = try await ask("POST /hsm/c/drain")
        #expect(reply.status == status && reply.body == body)
        await server.stop()
    }

    @Test("metrics are those of the control listener, as text")
    func metrics() async throws {
        let server = try await start(ScriptedNode())
        let (status, head, body) = try await ask("GET /metrics")
        #expect(status == "200" && body == "claviger_ready 1\n")
        #expect(head.lowercased().contains("content-type: text/plain; version=0.0.4"))
        await server.stop()
    }

    @Test func whatIsNoCommandReachesNothing() async throws {
        let node = ScriptedNode()
        let server = try await start(node)
        let long = String(repeating: "a", count: 256)
        for (line, expected) in [
            ("GET /", "404"), ("GET /health", "404"), ("GET /status/", "404"), ("GET //status", "404"),
            ("POST /hsm/a", "404"), ("POST /hsm/a/drain/", "404"), ("POST /hsm/a/stop", "404"),
            ("POST /log/size/debug", "404"),
            ("POST /key/a/b/trust?hsm=a", "404"), ("POST /hsm/../a/drain", "404"),
            ("POST /hsm//drain", "400"), ("POST /hsm/%/drain", "400"), ("POST /hsm/%4/drain", "400"),
            ("POST /hsm/%zz/drain", "400"), ("POST /hsm/%ff/drain", "400"), ("POST /hsm/a%00b/drain", "400"),
            ("POST /hsm/\(long)/drain", "400"), ("POST /key/a/trust", "400"), ("POST /key/a/trust?", "400"),
            ("POST /key/a/trust?hsm=", "400"), ("POST /key/a/trust?hsm=a&hsm=b", "400"),
            ("POST /key/a/trust?hsm=a&x=b", "400"), ("POST /key/a/trust?hms=a", "400"),
            ("POST /key/a/trust?hsm=%C3", "400"),
            ("GET /hsm/a/drain", "405"), ("PUT /hsm/a/drain", "405"), ("GET /key/a/trust?hsm=a", "405"),
            ("GET /key/a/forget", "405"), ("POST /key//forget", "400"),
            ("GET /hsm/a/drain-for?seconds=1", "405"), ("POST /hsm//drain-for?seconds=1", "400"),
            ("POST /hsm/a/drain-for", "400"), ("POST /hsm/a/drain-for?seconds=", "400"),
            ("POST /hsm/a/drain-for?seconds=0", "400"), ("POST /hsm/a/drain-for?seconds=301", "400"),
            ("POST /hsm/a/drain-for?seconds=+5", "400"), ("POST /hsm/a/drain-for?seconds=5&prolong=5", "400"),
            ("POST /hsm/a/drain-for?seconds=99999999999999999999", "400"), ("POST /hsm/a/drain-for?until=5", "400"),
            ("POST /metrics", "405"),
            ("POST /status", "405"), ("DELETE /status", "405"), ("GET /reload", "405"), ("GET /drain", "405"),
            ("GET /log/level/debug", "405"), ("POST /log/tail", "405"), ("GET /diagnosis", "405"),
            ("POST /cluster", "405"), ("PUT /blocks", "405"), ("GET /blocks/lift", "405"),
            ("POST /blocks/orders/7", "405"), ("POST /reload/now", "404"), ("GET /blocks/7", "404"),
            ("GET /blocks/orders", "404"), ("GET /cluster/health", "404"), ("GET /blocks/orders/x", "400"),
            ("GET /blocks/orders/", "400"), ("GET /blocks/orders/-1", "400"), ("GET /blocks/orders/+1", "400"),
            ("GET /blocks/orders/18446744073709551616", "400"), ("POST /blocks", "400"), ("POST /blocks/lift", "400"),
        ] {
            let reply = try await ask(line)
            #expect(reply.status == expected, "\(line): \(reply)")
            #expect(reply.body.hasPrefix("{\"error\":\""), "\(line)")
            #expect(reply.head.lowercased().contains("\r\nallow: ") == (expected == "405"), "\(line)")
        }
        #expect(node.commands.isEmpty)
        await server.stop()
    }

    @Test func brokenRequestsEndNothing() async throws {
        let node = ScriptedNode()
        let server = try await start(node)
        for text in [
            "", "\r\n", "POST", "POST /hsm/a/drain", "\0\0\0\0", "POST /hsm/a/drain HTTP/9.9\r\n\r\n",
            "POST /hsm/a/drain HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "POST /hsm/a/drain HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            "POST /hsm/\(String(repeating: "a", count: 200_000))/drain HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /hsm/a/drain HTTP/1.1\r\n" + String(repeating: "a: b\r\n", count: 5000) + "\r\n",
        ] {
            let answer = try await RawConnection.exchange(Array(text.utf8), socket: socketPath)
            #expect(answer.isEmpty || answer.hasPrefix("HTTP/1."), "\(answer)")
        }
        #expect(node.commands.isEmpty)
        let good = try await ask("POST /hsm/a/drain", headers: "Content-Length: 0\r\n")
        #expect(good.status == "200" && node.commands == ["drain a"])
        await server.stop()
    }
}

extension Result where Failure == any Error {
    init(catching body: () async throws -> Success) async {
        do {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}

/// A directory of a short path that goes with the test.
final class StateDirectory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory().trimmingSuffix("/") + "/cl-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func entries() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
}

extension String {
    fileprivate func trimmingSuffix(_ suffix: String) -> String {
        hasSuffix(suffix) ? String(dropLast(suffix.count)) : self
    }
}
