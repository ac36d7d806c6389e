// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Somebody who has the certificate and the key of a node, and says to other nodes what they like
/// (docs/internals/cluster-protocol.md).
final class Thief {
    private let trio: Trio
    private let name: String
    private let scratch: Scratch
    private var sequence = 1
    /// Greater than that of the node itself: what that says meanwhile is of an earlier life.
    private let incarnation = Int(Date().timeIntervalSince1970) + 1_000

    init(of name: String, in trio: Trio) throws {
        self.trio = trio
        self.name = name
        scratch = try Scratch()
    }

    /// POSTs JSON to a path of a node's cluster listener; returns the HTTP status.
    @discardableResult
    func post(_ path: String, _ body: [String: Any], to node: String) throws -> Int {
        try post(path, [body], to: node)[0]
    }

    /// The same for several, over one connection.
    private func post(_ path: String, _ bodies: [[String: Any]], to node: String) throws -> [Int] {
        let identity = trio.identity(name)
        let url = "https://\(try trio.clusterAddress(node))\(path)"
        var arguments: [String] = []
        for (number, body) in bodies.enumerated() {
            let file = scratch.file("body-\(number)")
            try JSONSerialization.data(withJSONObject: body).write(to: URL(fileURLWithPath: file))
            arguments += arguments.isEmpty ? [] : ["--next"]
            arguments += [
                "--silent", "--show-error", "--max-time", "10", "--output", "/dev/null", "--write-out",
                "%{http_code}\n", "--cacert", identity.ca, "--cert", identity.certificate, "--key", identity.key,
                "--data-binary", "@" + file, url,
            ]
        }
        let result = try run(["/usr/bin/env", "curl"] + arguments)
        let statuses = result.output.split(separator: "\n").compactMap { Int($0) }
        guard result.isSuccess, statuses.count == bodies.count else { throw HarnessError("curl: \(result.errors)") }
        return statuses
    }

    /// Says this in gossip, as if the node did; returns the HTTP status.
    @discardableResult
    func gossip(
        to node: String, kind: String = "ping", hsms: [[String: Any]] = [], updates: [[String: Any]]
    ) throws -> Int {
        let message = try message(to: node, kind: kind, hsms: hsms, updates: updates)
        return try post("/cluster/v1/gossip", [message], to: node)[0]
    }

    /// Says of a node that it has left, in one life after the other up to the last one that there can be: each is not
    /// too far from the one before for a node that believes what it receives, and after the last there is none in which
    /// the node could contradict.
    func bury(_ victim: String, to node: String) throws {
        let (step, highest) = (1 << 40, 1 << 53)
        let lives = Array(stride(from: incarnation, to: highest, by: step)) + [highest]
        let messages = try stride(from: 0, to: lives.count, by: 64).map { start in
            try message(
                to: node, kind: "exchange", hsms: [],
                updates: lives[start..<min(start + 64, lives.count)].map { life in
                    ["identity": try identity(of: victim, incarnation: life), "liveness": "left"]
                })
        }
        let statuses = try post("/cluster/v1/gossip", messages, to: node)
        guard statuses.allSatisfy({ $0 == 200 }) else { throw HarnessError("the thief is refused: \(statuses)") }
    }

    private func message(
        to node: String, kind: String, hsms: [[String: Any]], updates: [[String: Any]]
    ) throws -> [String: Any] {
        sequence += 1
        let facts: [String: Any] = [
            "revision": sequence, "isDraining": false, "version": "9", "configuration": "", "canaries": "",
            "blocks": "", "inFlight": 0, "encrypts": 0, "decrypts": 0, "hsms": hsms, "unservedKeys": [String](),
        ]
        return [
            "version": 1, "kind": kind, "sender": try identity(of: name, incarnation: incarnation), "receiver": node,
            "sequence": sequence, "facts": facts, "updates": updates,
        ]
    }

    func identity(of node: String, incarnation: Int) throws -> [String: Any] {
        ["name": node, "address": try trio.clusterAddress(node), "site": "dev", "incarnation": incarnation]
    }

    /// An id as orders have it.
    static func randomID() -> String { randomBytes(16).map { String(format: "%02x", $0) }.joined() }
}
