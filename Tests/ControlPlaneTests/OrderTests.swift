// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import ControlPlane
import Foundation
import Logging
import Testing

/// Orders to block and to lift, over the socket.
@Suite struct OrderTests {
    private let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    private let directory: StateDirectory

    init() throws { directory = try StateDirectory() }

    private func withNode(
        _ node: ScriptedNode,
        _ body: (_ ask: (String, String) async throws -> (status: String, body: String)) async throws
            -> Void
    ) async throws {
        let server = try await AdminServer.start(
            stateDirectory: directory.path, administration: node, logger: logger)
        do {
            try await body { line, text in try await ask(line, text) }
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
    }

    private func ask(_ line: String, _ body: String) async throws -> (status: String, body: String) {
        let head = "\(line) HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        let answer = try await RawConnection.exchange(Array((head + body).utf8), socket: directory.path + "/admin.sock")
        let fields = answer.components(separatedBy: "\r\n\r\n")
        let status = answer.split(separator: " ").dropFirst().first.map(String.init) ?? ""
        return (status, fields.dropFirst().joined(separator: "\r\n\r\n"))
    }

    /// Where each failure was reported alike, the second one was "Nothing has changed", with new HSMs in use.
    @Test func aReloadThatFailedHalfWayIsNotToldAsNothing() {
        let whole = ReloadFailure(changed: [], cause: "line 3 is no TOML")
        #expect(whole.answer == .refused("Nothing has changed. line 3 is no TOML"))
        let half = ReloadFailure(changed: ["the certificate of [xks]", "HSMs"], cause: "it holds one prefix twice")
        guard case .failed(let text) = half.answer else {
            Issue.record("\(half.answer)")
            return
        }
        #expect(!text.contains("Nothing has changed"))
        for part in ["the certificate of [xks], HSMs", "as before", "one prefix twice"] { #expect(text.contains(part)) }
    }

    @Test func aClusterIsBegun() async throws {
        let node = ScriptedNode(.done("the cluster begins"))
        try await withNode(node) { ask in
            let answer = try await ask("POST /cluster/bootstrap", #"{"user":"anna"}"#)
            #expect(answer.status == "200" && answer.body == "{\"message\":\"the cluster begins\"}\n")
            #expect(try await ask("GET /cluster/bootstrap", "").status == "405")
            for body in ["", "{}", #"{"user":""}"#, #"{"user":"a","force":true}"#] {
                #expect(try await ask("POST /cluster/bootstrap", body).status == "400", "\(body)")
            }
        }
        #expect(node.commands == ["bootstrap by \(recorded("anna"))"])
    }

    @Test(
        arguments: [
            (
                #"{"key":"payments","reason":"stolen","user":"anna"}"#,
                BlockOrder(key: "payments", reason: "stolen", user: "anna")
            ),
            (
                #"{"keyStore":"/a/b","reason":"r","user":"u","expiresInSeconds":7200,"key":null}"#,
                BlockOrder(keyStore: "/a/b", reason: "r", expiresInSeconds: 7200, user: "u")
            ),
            (
                #"{"principal":"arn:aws:iam::1:role/*","reason":"é \" ü","user":"u"}"#,
                BlockOrder(principal: "arn:aws:iam::1:role/*", reason: "é \" ü", user: "u")
            ),
            (#"{"everything":true,"reason":"r","user":"u"}"#, BlockOrder(everything: true, reason: "r", user: "u")),
        ] as [(String, BlockOrder)])
    func aBlockReachesTheNode(body: String, order: BlockOrder) async throws {
        let node = ScriptedNode(.done("it is blocked"))
        try await withNode(node) { ask in
            let answer = try await ask("POST /blocks", body)
            #expect(answer.status == "200")
            #expect(answer.body == "{\"durable\":true,\"message\":\"it is blocked\",\"order\":7}\n")
        }
        var taken = order
        taken.user = recorded(order.user)
        #expect(node.commands == ["\(taken)"])
    }

    @Test func whatIsToBeKnownOfAnOrderIsToldAndNothingIsDone() async throws {
        let node = ScriptedNode()
        try await withNode(node) { ask in
            let plain = try await ask("POST /blocks/outlook", #"{"key":"k","reason":"r","user":"u"}"#)
            #expect(plain.status == "200" && plain.body == "{\"unable\":[]}\n")
            let body = #"{"key":"k","reason":"r","expiresInSeconds":60,"user":"u"}"#
            let reported = try await ask("POST /blocks/outlook", body)
            #expect(
                reported.body == #"{"coarser":"without --expires","unable":[{"node":"old","version":"0.1"}]}"# + "\n")
            #expect(try await ask("POST /blocks/outlook", #"{"key":"k"}"#).status == "400")
            #expect(try await ask("GET /blocks/outlook", "").status == "405")
        }
        #expect(node.commands.isEmpty)
    }

    @Test(
        arguments: [
            (#"{"id":"0123","user":"anna"}"#, LiftOrder(id: "0123", user: "anna")),
            (#"{"key":"payments","user":"u"}"#, LiftOrder(key: "payments", user: "u")),
            (#"{"keyStore":"/a","user":"u"}"#, LiftOrder(keyStore: "/a", user: "u")),
            (#"{"principal":"*","user":"u"}"#, LiftOrder(principal: "*", user: "u")),
            (#"{"everything":true,"user":"u"}"#, LiftOrder(everything: true, user: "u")),
            (#"{"confirmUnknown":true,"user":"u"}"#, LiftOrder(confirmUnknown: true, user: "u")),
        ] as [(String, LiftOrder)])
    func aLiftReachesTheNode(body: String, order: LiftOrder) async throws {
        let node = ScriptedNode()
        try await withNode(node) { ask in
            let answer = try await ask("POST /blocks/lift", body)
            #expect(answer.status == "200" && answer.body.contains("\"order\":7"))
        }
        var taken = order
        taken.user = recorded(order.user)
        #expect(node.commands == ["\(taken)"])
    }

    /// Path, body, and what the answer must say.
    static let mistakes: [(String, String, String)] = [
        ("/blocks", "", "the body is empty: give a JSON object with everything, keyStore, key, principal, reason"),
        ("/blocks", "{", "the body is no JSON object"), ("/blocks", "[]", "the body is no JSON object"),
        ("/blocks", "7", "the body is no JSON object"), ("/blocks", "\u{0}", "the body is no JSON object"),
        ("/blocks", "{} {}", "the body is no JSON object"), ("/blocks", "{}", "reason is missing"),
        ("/blocks", #"{"principle":"x","reason":"r","user":"u"}"#, "there is no field principle: it may be everything"),
        ("/blocks", #"{"id":"x","reason":"r","user":"u"}"#, "there is no field id"),
        ("/blocks", #"{"key":"x","user":"u"}"#, "reason is missing"),
        ("/blocks", #"{"key":"x","reason":"r"}"#, "user is missing"),
        ("/blocks", #"{"key":"x","reason":null,"user":"u"}"#, "reason"),
        ("/blocks", #"{"key":"x","reason":" \t ","user":"u"}"#, "reason is empty: say"),
        (
            "/blocks", #"{"reason":"r","user":"u"}"#,
            "what is to be blocked is missing: give one of everything, keyStore"
        ),
        (
            "/blocks", #"{"key":"k","principal":"p","reason":"r","user":"u"}"#,
            "key and principal are given: give one of"
        ),
        ("/blocks", #"{"everything":true,"key":"p","reason":"r","user":"u"}"#, "everything and key are given"),
        (
            "/blocks", #"{"everything":false,"reason":"r","user":"u"}"#,
            "everything is false: give true, or leave it out"
        ),
        ("/blocks", #"{"everything":"yes","reason":"r","user":"u"}"#, "everything must be true or left out"),
        ("/blocks", #"{"key":7,"reason":"r","user":"u"}"#, "key must be a string"),
        ("/blocks", #"{"key":"","reason":"r","user":"u"}"#, "key is empty"),
        (
            "/blocks", #"{"key":"k","reason":"r","user":"u","expiresInSeconds":0}"#,
            "expiresInSeconds is 0: give 1 or more"
        ),
        ("/blocks", #"{"key":"k","reason":"r","user":"u","expiresInSeconds":-5}"#, "expiresInSeconds is -5"),
        ("/blocks", #"{"key":"k","reason":"r","user":"u","expiresInSeconds":1.5}"#, "must be a whole number"),
        (
            "/blocks", #"{"key":"k","reason":"r","user":"u","expiresInSeconds":99999999999999999999}"#,
            "must be a whole number"
        ),
        ("/blocks", #"{"key":"k","reason":"r","user":"u","expiresInSeconds":"2h"}"#, "must be a whole number"),
        ("/blocks", #"{"key":"k","reason":"r","user":""}"#, "user must be a user's name"),
        ("/blocks", #"{"key":"k","reason":"r","user":"a b"}"#, "user must be a user's name"),
        ("/blocks", String(repeating: "[", count: 60_000), "the body is no JSON object"),
        ("/blocks", String(repeating: "{\"key\":", count: 8_000), "the body is no JSON object"),
        ("/blocks/lift", "{}", "user is missing"),
        ("/blocks/lift", #"{"user":"u"}"#, "what is to be lifted is missing: give one of id, everything"),
        ("/blocks/lift", #"{"id":"x","key":"k","user":"u"}"#, "id and key are given: give one of"),
        ("/blocks/lift", #"{"confirmUnknown":false,"user":"u"}"#, "confirmUnknown is false"),
        ("/blocks/lift", #"{"everything":true,"confirmUnknown":true,"user":"u"}"#, "everything and confirmUnknown"),
        ("/blocks/lift", #"{"id":"","user":"u"}"#, "id is empty"),
        ("/blocks/lift", #"{"id":"x","user":"u","reason":"r"}"#, "there is no field reason"),
    ]

    @Test func whatIsNotUnderstoodReachesNothing() async throws {
        let node = ScriptedNode()
        try await withNode(node) { ask in
            for (path, body, text) in Self.mistakes {
                let answer = try await ask("POST \(path)", body)
                #expect(answer.status == "400" && answer.body.hasPrefix("{\"error\":\""), "\(body): \(answer)")
                #expect(answer.body.contains(text), "\(body): \(answer.body)")
            }
        }
        #expect(node.commands.isEmpty)
    }

    @Test func aBodyHasABound() async throws {
        let node = ScriptedNode()
        try await withNode(node) { ask in
            let frame = #"{"key":"k","user":"u","reason":""}"#.utf8.count
            let longest = String(repeating: "r", count: 65_536 - frame)
            let fits = try await ask("POST /blocks", #"{"key":"k","user":"u","reason":"\#(longest)"}"#)
            #expect(fits.status == "200")
            let tooLong = try await ask("POST /blocks", #"{"key":"k","user":"u","reason":"\#(longest)r"}"#)
            #expect(tooLong.status == "413" && tooLong.body.contains("longer than 65536 bytes"))
            let next = try await ask("GET /blocks", "")
            #expect(next.status == "200", "the server goes on")
        }
        #expect(node.commands.count == 1)
    }

    @Test(
        arguments: [
            (.unknown("no such block", known: []), "404", "{\"error\":\"no such block\"}\n"),
            (.refused("the path is wrong"), "400", "{\"error\":\"the path is wrong\"}\n"),
        ] as [(AdminAnswer, String, String)])
    func whatTheNodeRefusesHasItsStatus(answer: AdminAnswer, status: String, body: String) async throws {
        try await withNode(ScriptedNode(answer)) { ask in
            let block = try await ask("POST /blocks", #"{"key":"k","reason":"r","user":"u"}"#)
            #expect(block.status == status && block.body == body)
            let lift = try await ask("POST /blocks/lift", #"{"key":"k","user":"u"}"#)
            #expect(lift.status == status && lift.body == body)
        }
    }

    @Test func whatIsAskedForIsTold() async throws {
        let node = ScriptedNode()
        try await withNode(node) { ask in
            let progress = try await ask("GET /blocks/orders/7", "")
            #expect(
                progress.body
                    == "{\"isFinished\":true,\"nodes\":[{\"node\":\"fra-1\",\"state\":\"confirmed\"}]}\n")
            let missing = try await ask("GET /blocks/orders/8", "")
            #expect(missing.status == "404" && missing.body.contains("no order of the number 8"))
            let blocks = try await ask("GET /blocks", "")
            #expect(try JSONDecoder().decode(BlockListing.self, from: Data(blocks.body.utf8)) == Scene.blocks)
            let cluster = try await ask("GET /cluster", "")
            let health = try JSONDecoder().decode(ClusterHealth.self, from: Data(cluster.body.utf8))
            #expect(health == node.clusterHealth() && health.nodes.last?.unservedKeys == ["secret-plans"])
        }
    }
}
