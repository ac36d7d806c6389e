// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Foundation
import Glibc
import NIOCore

/// Who is at the other end of a connection to the admin socket, by the kernel's word.
struct AdminPeer: Sendable, Equatable {
    var process: Int32
    var user: UInt32
    var right: CommandRight

    /// Linux's numbers of options that the system's headers may not have yet.
    private static let peerDescriptorOption: CInt = 77

    /// Asks the kernel; `nil` where it does not tell. The process is the one that has connected, whoever holds the socket
    /// now.
    static func of(_ channel: any Channel) async -> AdminPeer? {
        guard let options = channel as? any SocketOptionProvider else { return nil }
        let credentials: EventLoopFuture<claviger_credentials> = options.unsafeGetSocketOption(
            level: SocketOptionLevel(SOL_SOCKET), name: SocketOptionName(SO_PEERCRED))
        guard let peer = try? await credentials.get() else { return nil }
        let descriptor: EventLoopFuture<CInt> = options.unsafeGetSocketOption(
            level: SocketOptionLevel(SOL_SOCKET), name: SocketOptionName(peerDescriptorOption))
        let process = try? await descriptor.get()
        defer { if let process, process >= 0 { close(process) } }
        var descent = CommandRight.descent(of: peer.process, from: getpid(), parent: claviger_parent)
        // If it has ended, its number may have become another's while its line was followed. What cannot be looked at has
        // no descriptor either: before Linux 6.5.
        if descent == .other, let process, process >= 0, !claviger_lives(process) { descent = .unknown }
        return AdminPeer(
            process: peer.process, user: peer.user,
            right: .of(user: peer.user, own: geteuid(), descent: descent))
    }

    /// The name of a user, looked up on a thread of its own: a directory service that does not answer must not keep an order
    /// from being carried out. Without it the number stands for the name.
    static func name(of user: UInt32, on loop: any EventLoop) async -> String? {
        if user == 0 { return "root" }
        let promise = loop.makePromise(of: String?.self)
        Thread.detachNewThread { promise.succeed(lookedUp(user)) }
        loop.scheduleTask(in: nameTime) { promise.succeed(nil) }
        return try? await promise.futureResult.get()
    }

    private static let nameTime = TimeAmount.milliseconds(500)

    /// For the record of an order: the user's name, and beside it who the command says to be, where that is another:
    /// "root(claims:alice)". Without blanks, as names of users in records are.
    ///
    /// - Parameter longest: bytes; what is longer is cut.
    static func author(_ name: String?, user: UInt32, claimed: String?, longest: Int) -> String {
        let own = name ?? "uid-\(user)"
        guard let claimed, !claimed.isEmpty, claimed != own else { return cut(own, to: longest) }
        let beside = cut("\(own)(claims:\(claimed)", to: longest - 1)
        return beside + ")"
    }

    private static func cut(_ text: String, to length: Int) -> String {
        var result = ""
        for character in text {
            guard result.utf8.count + String(character).utf8.count <= length else { break }
            result.append(character)
        }
        return result
    }

    private static func lookedUp(_ user: UInt32) -> String? {
        var entry = passwd()
        var buffer = [CChar](repeating: 0, count: 16 * 1024)
        var found: UnsafeMutablePointer<passwd>?
        guard getpwuid_r(user, &entry, &buffer, buffer.count, &found) == 0, found != nil, let name = entry.pw_name
        else {
            return nil
        }
        let text = String(cString: name)
        let isPlain = text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7F }
        return isPlain && !text.isEmpty ? text : nil
    }
}

extension AdminRequest {
    /// Who the command says to be; `nil` where it says nothing of it.
    var claimedUser: String? {
        switch self {
        case .block(let order), .outlook(let order): order.user
        case .lift(let order): order.user
        case .bootstrap(let order): order.user
        case .forgetNode(_, let user): user
        default: nil
        }
    }

    /// The same request by this user.
    func by(_ user: String) -> AdminRequest {
        switch self {
        case .block(var order):
            order.user = user
            return .block(order)
        case .lift(var order):
            order.user = user
            return .lift(order)
        case .bootstrap(var order):
            order.user = user
            return .bootstrap(order)
        case .forgetNode(let node, _): return .forgetNode(node, user: user)
        default: return self
        }
    }

    /// Part of what `claviger block` asks.
    var isOfBlocking: Bool {
        switch self {
        case .block, .outlook, .progress: true
        default: false
        }
    }

    /// What is recorded of it; `nil` for what changes nothing.
    var orderWords: String? {
        switch self {
        case .status, .requests, .metrics, .cluster, .blocks, .progress, .outlook, .logTail, .auditHeads, .diagnosis:
            nil
        // Every few seconds: the order that it prolongs was recorded, and so is what ends it.
        case .drainFor(_, _, isProlonged: true): nil
        case .drainFor(let hsm, let seconds, isProlonged: false): "hsm drain \(hsm) for \(seconds) s"
        case .drain(let hsm): "hsm drain \(hsm)"
        case .undrain(let hsm): "hsm undrain \(hsm)"
        case .trust(let key, let hsm): "key trust \(key) --hsm \(hsm)"
        case .forget(let key): "key forget \(key)"
        case .forgetNode(let node, _): "cluster forget \(node)"
        case .block: "block"
        case .lift: "unblock"
        case .bootstrap: "cluster bootstrap"
        case .reload: "reload"
        case .logLevel(let level): "log level \(level)"
        case .drainNode: "drain"
        }
    }
}
