// SPDX-License-Identifier: Apache-2.0
import AccessControl
import AdminProtocol
import Cluster
import ClusterCertificates
import Foundation
import Gossip
import Logging
import SecureMemory
import Synchronization
import Testing
import XKSProtocol

/// The other rooms of a node of today's version.
final class Rooms: ClusterDelegate {
    struct State {
        var facts = NodeFacts(
            version: "0.1.0", configuration: "e7043a465f8c7746079875401f16bcc3", canaries: "", blocks: "",
            hsms: [
                HSMFact(
                    name: "hsm-1", serial: "0001", manufacturer: "m", model: "m", firmware: "1", state: .active,
                    isDrained: false)
            ])
        var blocks = BlockList()
        var keys = SharedKeys()
        var offered: [SharedCanary] = []
        /// Peers with which block lists were exchanged completely, and whether theirs was known.
        var exchanged: [String: Bool] = [:]
        var forwarded: [ForwardedRequest] = []
        var answer = ProxyResponse(status: 500, body: SecretBytes(Data("{}".utf8)))
    }

    let state = Mutex(State())

    func set(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }
    func get<Value: Sendable>(_ read: (State) -> Value) -> Value { state.withLock { read($0) } }

    func facts() -> NodeFacts {
        get { state in
            var facts = state.facts
            facts.blocks = state.blocks.digest
            return facts
        }
    }
    func blocks() -> BlockList { get(\.blocks) }
    func hits(of target: BlockTarget) -> BlockHits { BlockHits(keyStores: 1, keys: 1) }
    func merge(blocks news: BlockNews, from peer: String) -> BlockList {
        state.withLock { state in
            state.blocks.merge(news.entries, strayLifts: news.strayLifts, now: Int64(Date().timeIntervalSince1970))
            return state.blocks
        }
    }
    func blocksOnDisk() async -> BlockPage.Disk { .written }
    func exchangedBlocks(with peer: String, isKnown: Bool) { set { $0.exchanged[peer] = isKnown } }
    func keys() -> SharedKeys { get(\.keys) }
    func keysVersion() -> UInt64 { 1 }
    func offered(_ keys: SharedKeys, by peer: String) { set { $0.offered += keys.canaries } }
    func auditHeads() -> [SignedAuditHead] { [] }
    func offered(_ heads: [SignedAuditHead], by peer: String) {}
    func exchangeBegan(with peer: String) -> UInt64 { 1 }
    func exchangeEnded(with peer: String, version: UInt64) {}
    func serve(
        _ forwarded: ForwardedRequest, by peer: String, deadline: UInt64,
        reply: @escaping @Sendable (ProxyResponse) -> Void
    ) {
        let answer = state.withLock { state in
            state.forwarded.append(forwarded)
            return state.answer
        }
        reply(answer)
    }
    func noted(_ event: GossipEvent) {}
    func noted(_ change: ClusterTLSChange) {}
}

/// A node of today's version with its cluster's CA: a peer with a certificate of any name can ask it, and it can ask one.
final class TodaysNode {
    let rooms = Rooms()
    let service: ClusterService
    private let directory: String
    private let authority: ClusterAuthority

    private init(
        directory: String, authority: ClusterAuthority, service: (Rooms) async throws -> ClusterService
    ) async throws {
        (self.directory, self.authority) = (directory, authority)
        self.service = try await service(rooms)
    }

    /// Runs a test with a node that ends with it.
    ///
    /// - Parameters:
    ///   - earlier: the name of a node of 16631be that the node is to find; the test gives its answers.
    static func with(
        _ name: String, change: (inout Rooms.State) -> Void = { _ in },
        finds earlier: (String, EarlierNode.Answer)? = nil,
        _ body: (TodaysNode, EarlierNode?) async throws -> Void
    ) async throws {
        let url = FileManager.default.temporaryDirectory
            .appendingPathComponent("claviger-versions-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: url) }
        let authority = try ClusterAuthority.create(in: url.path + "/ca", now: Date())
        var other: EarlierNode?
        if let (name, answer) = earlier {
            other = try await EarlierNode.start(Self.files(name, authority, url.path), name: name, answer: answer)
        }
        let seeds = other.map { [$0.address] } ?? []
        let node = try await TodaysNode(directory: url.path, authority: authority) { rooms in
            rooms.set(change)
            return try await ClusterService.start(
                settings: ClusterSettings(
                    node: name, site: "dev", listenHost: "127.0.0.1", listenPort: 0, advertise: "127.0.0.1:0",
                    seeds: seeds, tls: try Self.files(name, authority, url.path), maxForwardBytes: 65_536,
                    isForwarding: true),
                incarnation: 1_800_000_000, memory: ClusterMemory(peers: []), delegate: rooms,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }
        do {
            try await body(node, other)
        } catch {
            await node.service.stop()
            await other?.stop()
            throw error
        }
        await node.service.stop()
        await other?.stop()
    }

    private static func files(
        _ name: String, _ authority: ClusterAuthority, _ directory: String
    ) throws -> ClusterTLSFiles {
        let pair = try authority.issue(
            .init(node: name, hosts: ["127.0.0.1"]), into: directory, replacing: true, now: Date())
        return ClusterTLSFiles(ca: authority.files.certificate, certificate: pair.certificate, key: pair.key)
    }

    func liveness(of name: String) -> Liveness? {
        service.members.first { $0.identity.name == name }?.liveness
    }

    // MARK: Asking it

    struct Reply {
        var status: Int
        var fields: [String: String]
        var body: Data

        func read<Value: Decodable>(_ type: Value.Type) throws -> Value { try JSONDecoder().decode(type, from: body) }
    }

    /// Has the node of this name say what was recorded, by curl.
    ///
    /// - Parameter budget: microseconds in place of those that were recorded: a busy machine needs more.
    func receives(_ recording: Recording, from name: String, budget: String = "30000000") async throws -> Reply {
        let files = try Self.files(name, authority, directory)
        var words = [
            "--silent", "--include", "--max-time", "30", "--cacert", files.ca, "--cert", files.certificate, "--key",
            files.key, "--data-binary", "@-", "--header", "Expect:", "--header", "Content-Type: application/json",
        ]
        if recording.fields["claviger-budget-us"] != nil { words += ["--header", "claviger-budget-us: \(budget)"] }
        words.append("https://127.0.0.1:\(service.port)\(recording.path)")
        let bytes = try await Self.curl(words, recording.body)
        let end = try #require(bytes.range(of: Data("\r\n\r\n".utf8)), "no answer")
        let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        let fields = lines.dropFirst().map { line in
            let pieces = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            return (pieces[0].lowercased(), pieces.count > 1 ? pieces[1] : "")
        }
        return Reply(
            status: lines[0].split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0,
            fields: Dictionary(fields, uniquingKeysWith: { first, _ in first }), body: Data(bytes[end.upperBound...]))
    }

    /// What curl prints. It is waited for in a thread of its own: the node needs those of the tests to answer.
    private static func curl(_ words: [String], _ body: Data) async throws -> Data {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                let process = Process()
                process.executableURL = URL(fileURLWithPath: "/usr/bin/curl")
                process.arguments = words
                let (input, output) = (Pipe(), Pipe())
                process.standardInput = input
                process.standardOutput = output
                continuation.resume(
                    with: Result {
                        try process.run()
                        try input.fileHandleForWriting.write(contentsOf: body)
                        try input.fileHandleForWriting.close()
                        let bytes = output.fileHandleForReading.readDataToEndOfFile()
                        process.waitUntilExit()
                        return bytes
                    })
            }
        }
    }
}

/// Waits for something to become so.
func eventually(_ what: String, within limit: Duration = .seconds(20), _ isSo: () throws -> Bool) async throws {
    let end = ContinuousClock.now + limit
    while try !isSo() {
        try #require(ContinuousClock.now < end, "not within \(limit): \(what)")
        try await Task.sleep(for: .milliseconds(5))
    }
}
