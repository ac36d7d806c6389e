// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import NIOCore
import XKSProtocol

/// One client's connection, as limits and logs know it. Belongs to its event loop.
final class ClientConnection {
    /// How often the address of requests that authenticate is noted: nanoseconds.
    private static let noticeInterval: UInt64 = 1_000_000_000

    /// Address and port, for logs.
    private(set) var peer: String
    /// What limits and counts are kept by; nil where it is not known.
    private(set) var address: AddressPrefix?
    /// Of the certificates and names by which it was let in.
    let generation: Int
    let presence = CallerPresence()
    /// One of its requests was authenticated.
    private(set) var isAuthenticated = false
    /// This side has closed it; what comes of it then is not the client's doing.
    private(set) var isCut = false
    /// The handler nearest to the socket of those that take their time to close: TLS waits for the client's word.
    var slowToClose: (any ChannelHandler)?

    private let channel: any Channel
    private let admission: Admission
    private var budget: ConnectionBudget { admission.budget }
    private var id: ConnectionID?
    private var nextNotice: UInt64 = 0

    /// nil: there is no room, and the connection has to be closed.
    init?(
        channel: any Channel, address: NetworkAddress?, peer: String, isBalancer: Bool, generation: Int,
        admission: Admission
    ) {
        self.channel = channel
        self.address = address?.prefix
        self.peer = peer
        self.generation = generation
        self.admission = admission
        let client = NIOLoopBound(self, eventLoop: channel.eventLoop)
        // A balancer's address is that of all its clients: the limit of one address does not fit it.
        id = admission.budget.opened(from: isBalancer ? nil : self.address) {
            client.eventLoop.execute { client.value.cut() }
        }
        guard id != nil else { return nil }
        admission.opened()
        channel.closeFuture.whenComplete { _ in client.value.left() }
    }

    /// It came by way of a balancer, which has said who it is.
    func moved(to address: NetworkAddress, peer: String) {
        self.address = address.prefix
        self.peer = peer
        if let id { budget.moved(id, to: self.address) }
    }

    /// The first bytes have come.
    func spoke() {
        if let id { budget.spoke(id) }
    }

    /// Before each answer that does not come from the listener itself. `now` is CLOCK_MONOTONIC in nanoseconds, and may
    /// be as old as the answer before.
    @inline(__always)
    func answered(_ response: borrowing ProxyResponse, now: UInt64) {
        if response.isAuthenticated, now >= nextNotice { noteAuthentication(now: now) }
    }

    private func noteAuthentication(now: UInt64) {
        isAuthenticated = true
        nextNotice = now &+ Self.noticeInterval
        if let id { budget.authenticated(id) }
    }

    func count(_ kind: RefusalKind, detail: String? = nil) {
        admission.refusals.count(kind, at: .xks, from: address, detail: detail)
    }

    /// Counts bytes that it makes the node hold, as long as it has not authenticated; false when there is no room.
    @inline(__always)
    func charge(bytes: Int) -> Bool {
        guard !isAuthenticated else { return true }
        return id.map { budget.charge($0, bytes: bytes) } ?? false
    }

    /// Pairs with `charge`.
    @inline(__always)
    func release(bytes: Int) {
        guard !isAuthenticated, let id else { return }
        budget.release(id, bytes: bytes)
    }

    /// Closes in order: TLS says that it ends, and a handshake that failed lingers.
    func close() { channel.close(promise: nil) }

    /// Closes the socket now: no word of TLS, no waiting for the client.
    func cut() {
        isCut = true
        guard let slowToClose, let context = try? channel.pipeline.syncOperations.context(handler: slowToClose) else {
            channel.close(promise: nil)
            return
        }
        context.close(promise: nil)
    }

    private func left() {
        presence.leave()
        slowToClose = nil
        if let id { budget.closed(id) }
        id = nil
        admission.closed()
    }
}
