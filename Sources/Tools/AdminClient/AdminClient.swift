// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix

/// Why a node could not be asked, or did not do what it was asked.
package enum AdminClientError: Error, Sendable, Equatable {
    /// Nobody listens at the socket, or there is none.
    case notRunning(socket: String)
    /// The socket may not be opened by this user.
    case forbidden(socket: String)
    /// The node does not know what was named (`name`, if it says so); `known` are the names that it does.
    case unknown(String, name: String?, known: [String])
    /// The node said no, and why.
    case refused(String)
    /// No answer in time, or one that makes no sense.
    case unusable(String)
}

/// Asks a running node of this host through its admin socket.
package struct AdminClient: Sendable {
    /// The socket's name in the state directory.
    package static let socketName = "admin.sock"
    /// A status of 64 HSMs and thousands of keys stays well below it.
    private static let longestAnswer = 16 * 1024 * 1024

    /// Path of the socket.
    package let socket: String
    private let timeout: TimeAmount

    /// - Parameter timeout: for one question, from connecting to the last byte.
    package init(socket: String, timeout: Duration = .seconds(30)) {
        self.socket = socket
        self.timeout = TimeAmount(timeout)
    }

    package init(stateDirectory: String, timeout: Duration = .seconds(30)) {
        self.init(socket: "\(stateDirectory)/\(Self.socketName)", timeout: timeout)
    }

    package func status() async throws(AdminClientError) -> AdminStatus {
        try await get("/status")
    }

    /// What the node is at, and what took longest lately.
    package func requests() async throws(AdminClientError) -> RequestsReport {
        try await get("/requests")
    }

    /// The node's metrics, in the text format of Prometheus.
    package func metrics() async throws(AdminClientError) -> String {
        let (code, body) = try await ask(.GET, "/metrics")
        guard code == 200 else {
            if code == 404 { throw .refused("the node is of an earlier version, which shows no metrics here") }
            throw try Self.refusal(code, body)
        }
        return String(decoding: body.readableBytesView, as: UTF8.self)
    }

    /// What the node says about it, for people.
    package func drain(_ hsm: String) async throws(AdminClientError) -> String {
        try await perform("/hsm/\(Self.encoded(hsm))/drain")
    }

    /// For a time: the node puts the HSM back when it is over and has not been prolonged.
    ///
    /// - Parameter seconds: 1 to 300.
    package func drain(_ hsm: String, seconds: Int) async throws(AdminClientError) -> String {
        do {
            return try await perform("/hsm/\(Self.encoded(hsm))/drain-for?seconds=\(seconds)")
        } catch AdminClientError.unknown(_, name: nil, _) {
            // What is not known is the path, and not the HSM.
            throw .refused("the node is of an earlier version, which drains no HSM for a time")
        }
    }

    /// From now on so many seconds.
    package func prolongDrain(of hsm: String, seconds: Int) async throws(AdminClientError) -> String {
        try await perform("/hsm/\(Self.encoded(hsm))/drain-for?prolong=\(seconds)")
    }

    package func undrain(_ hsm: String) async throws(AdminClientError) -> String {
        try await perform("/hsm/\(Self.encoded(hsm))/undrain")
    }

    package func trust(key: String, hsm: String) async throws(AdminClientError) -> String {
        try await perform("/key/\(Self.encoded(key))/trust?hsm=\(Self.encoded(hsm))")
    }

    package func forget(key: String) async throws(AdminClientError) -> String {
        try await perform("/key/\(Self.encoded(key))/forget")
    }

    package func forget(node: String, user: String) async throws(AdminClientError) -> String {
        try await perform("/cluster/\(Self.encoded(node))/forget?user=\(Self.encoded(user))")
    }

    /// Returns when the node has it on its disk, or is known not to be able to.
    package func block(_ order: BlockOrder) async throws(AdminClientError) -> BlockReceipt {
        try await send(order, to: "/blocks")
    }

    /// What is to be known of an order before it is given.
    package func outlook(on order: BlockOrder) async throws(AdminClientError) -> BlockOutlook {
        try await send(order, to: "/blocks/outlook")
    }

    package func lift(_ order: LiftOrder) async throws(AdminClientError) -> BlockReceipt {
        try await send(order, to: "/blocks/lift")
    }

    /// Returns when the node has decided, for people: at most some seconds.
    package func bootstrap(_ order: BootstrapOrder) async throws(AdminClientError) -> String {
        let reply: AdminReply = try await send(order, to: "/cluster/bootstrap")
        guard let message = reply.message else { throw .unusable("the node's answer says nothing") }
        return message
    }

    /// - Parameter number: of the receipt.
    package func progress(ofOrder number: UInt64) async throws(AdminClientError) -> BlockProgress {
        try await get("/blocks/orders/\(number)")
    }

    package func blocks() async throws(AdminClientError) -> BlockListing {
        try await get("/blocks")
    }

    package func clusterHealth() async throws(AdminClientError) -> ClusterHealth {
        try await get("/cluster")
    }

    /// What has changed, for people.
    ///
    /// - Parameter isForced: also where the file has lost a key store or a credential that has just been used.
    ///
    /// - Returns: besides, what the node has taken over all the same, and should be mended: a line each.
    package func reload(
        isForced: Bool = false
    ) async throws(AdminClientError) -> (message: String, warnings: [String]) {
        let reply = try await reply(to: isForced ? "/reload/force" : "/reload")
        return (reply.message, reply.warnings)
    }

    /// - Parameter level: `trace`, `debug`, `info` or `notice`.
    package func setLogLevel(_ level: String) async throws(AdminClientError) -> String {
        try await perform("/log/level/\(Self.encoded(level))")
    }

    /// The last lines of the node's log, the oldest first.
    package func logTail() async throws(AdminClientError) -> [String] {
        let tail: LogTail = try await get("/log/tail")
        return tail.lines
    }

    /// The heads of audit logs that the node keeps: of the node of this name, or of all.
    package func auditHeads(of node: String?) async throws(AdminClientError) -> AuditHeads {
        try await get("/audit/heads" + (node.map { "?node=\(Self.encoded($0))" } ?? ""))
    }

    /// The `kmsRequestId` for requests by which a command looks whether the node answers.
    package func beginDiagnosis() async throws(AdminClientError) -> String {
        try await perform("/diagnosis")
    }

    /// Has the node end as on SIGTERM; returns before it has.
    package func drainNode() async throws(AdminClientError) -> String {
        try await perform("/drain")
    }

    // MARK: -

    private func get<Value: Decodable>(_ path: String) async throws(AdminClientError) -> Value {
        let (code, body) = try await ask(.GET, path)
        guard code == 200 else { throw try Self.refusal(code, body) }
        return try Self.decoded(Value.self, body)
    }

    private func send<Value: Decodable>(
        _ order: some Encodable, to path: String
    ) async throws(AdminClientError) -> Value {
        guard let text = try? JSONEncoder().encode(order) else { throw .unusable("the order cannot be written") }
        let (code, body) = try await ask(.POST, path, body: text)
        guard code == 200 else { throw try Self.refusal(code, body) }
        return try Self.decoded(Value.self, body)
    }

    private func perform(_ path: String) async throws(AdminClientError) -> String { try await reply(to: path).message }

    private func reply(to path: String) async throws(AdminClientError) -> (message: String, warnings: [String]) {
        let (code, body) = try await ask(.POST, path)
        guard code == 200 else { throw try Self.refusal(code, body) }
        let reply = try Self.decoded(AdminReply.self, body)
        guard let message = reply.message else { throw .unusable("the node's answer says nothing") }
        return (message, reply.warnings ?? [])
    }

    private func ask(
        _ method: HTTPMethod, _ path: String, body: Data? = nil
    ) async throws(AdminClientError) -> (UInt, ByteBuffer) {
        try requireOwner()
        guard let url = URL(httpURLWithSocketPath: socket, uri: path) else {
            throw .unusable("\(socket) is no path of a socket")
        }
        var request = HTTPClientRequest(url: url.absoluteString)
        request.method = method
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: body))
        }
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        // An error is reported at once: the node runs, or it does not.
        configuration.connectionPool.retryConnectionEstablishment = false
        let deadline = NIODeadline.now() + timeout
        do {
            return try await HTTPClient.withHTTPClient(
                eventLoopGroup: MultiThreadedEventLoopGroup.singleton, configuration: configuration
            ) { [request] client in
                let response = try await client.execute(request, deadline: deadline)
                return (response.status.code, try await response.body.collect(upTo: Self.longestAnswer))
            }
        } catch {
            throw failure(error)
        }
    }

    private func failure(_ error: any Error) -> AdminClientError {
        // Nobody can listen there.
        if case SocketAddressError.unixDomainSocketPathTooLong = error { return .notRunning(socket: socket) }
        return answerless(error)
    }

    private func answerless(_ error: any Error) -> AdminClientError {
        switch (error as? IOError)?.errnoCode {
        case ENOENT, ECONNREFUSED, ENOTDIR: .notRunning(socket: socket)
        case EACCES, EPERM: .forbidden(socket: socket)
        default:
            if let error = error as? HTTPClientError, error == .deadlineExceeded || error == .readTimeout {
                .unusable("\(socket): no answer within \(timeout.nanoseconds / 1_000_000_000) s")
            } else {
                .unusable("\(socket): \(Self.words(error))")
            }
        }
    }

    /// What a library or the system says, for people.
    private static func words(_ error: any Error) -> String {
        if let error = error as? IOError { return String(cString: strerror(error.errnoCode)) }
        switch error as? HTTPClientError {
        case .remoteConnectionClosed?, .uncleanShutdown?: return "the connection was closed before the answer was whole"
        case .connectTimeout?: return "no connection in time"
        default: break
        }
        if error is HTTPParserError { return "what came is no HTTP" }
        return error is NIOTooManyBytesError ? "the answer is longer than a node's can be" : "\(error)"
    }

    /// Percent-encodes everything but the unreserved characters of RFC 3986, 2.3; full stops too, since `..` in a path
    /// means something else.
    private static func encoded(_ name: String) -> String {
        name.utf8.reduce(into: "") { text, byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F, 0x7E: text.unicodeScalars.append(.init(byte))
            default: text += "%" + String(byte >> 4, radix: 16) + String(byte & 0xF, radix: 16)
            }
        }
    }

    private static func decoded<Value: Decodable>(
        _ type: Value.Type, _ body: ByteBuffer
    ) throws(AdminClientError) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(body.readableBytesView))
        } catch {
            throw .unusable("the node's answer cannot be read: it may be of another version")
        }
    }

    private static func refusal(_ code: UInt, _ body: ByteBuffer) throws(AdminClientError) -> AdminClientError {
        let reply = try decoded(AdminReply.self, body)
        guard let error = reply.error else { return .unusable("the node answered with status \(code)") }
        return code == 404 ? .unknown(error, name: reply.name, known: reply.known ?? []) : .refused(error)
    }
}
