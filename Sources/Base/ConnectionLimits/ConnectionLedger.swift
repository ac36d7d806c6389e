// SPDX-License-Identifier: Apache-2.0

/// What a listener may hold.
package struct ListenerShare: Sendable, Equatable {
    /// Connections open at a time, at least 1.
    package var connections: Int
    /// Bytes that all connections which have not authenticated may hold together, at least `connectionBytes`.
    package var bytes: Int
    /// Bytes that such a connection is counted for as long as it is open: socket, TLS, header.
    package var connectionBytes: Int
    /// Such connections of one address, at least 1; nil: any number.
    package var perAddress: Int?

    package init(connections: Int, bytes: Int, connectionBytes: Int, perAddress: Int? = nil) {
        self.connections = max(connections, 1)
        self.bytes = max(bytes, connectionBytes)
        self.connectionBytes = max(connectionBytes, 1)
        self.perAddress = perAddress.map { max($0, 1) }
    }
}

/// Names one connection; never used again for another one.
package struct ConnectionID: Sendable, Hashable {
    let slot: Int
    let generation: UInt64
}

/// The connections of one listener, and who has to go when there is no room: one that has been silent for longer than a
/// client needs for its first word; else, of those that are silent and those that speak and have not authenticated, the
/// oldest of whichever are more. Those that have authenticated stay. Pure; times are nanoseconds of a clock that is never
/// set back.
///
/// So a flood pushes out its own: one of silent connections nobody who has begun to speak, and one of connections that
/// speak at once no newcomer before its first word.
///
/// The newcomer is let in: refusing it would let whoever came first keep everybody else out. Only a listener all of
/// whose connections have authenticated refuses one.
///
/// One address has a limit of its own for connections that have not authenticated; there, too, the oldest goes. It does
/// not hold for an address from which a request was authenticated in the last minute: behind a balancer that does not
/// tell its clients' addresses, everybody has the same one.
package struct ConnectionLedger: Sendable {
    /// How long an authenticated request lifts the limit of its address.
    package static let trustTime: UInt64 = 60_000_000_000
    /// How long a client, far away, may need for its first word. A connection that is silent for longer goes before all
    /// that are not.
    package static let firstWordTime: UInt64 = 250_000_000
    /// Most addresses whose limit is lifted. Each has signed a request.
    static let trustCapacity = 4_096

    /// A connection that has to be closed now. It is counted no more.
    package struct Evicted: Sendable, Equatable {
        package let id: ConnectionID
        package let address: AddressPrefix?
    }

    /// What became of a newcomer.
    package enum Opening: Sendable {
        case admitted(ConnectionID, evicting: [Evicted])
        case refused
    }

    private enum Standing {
        /// Nobody's.
        case free
        /// Not a byte has come. To `speaking`, `authenticated`, `free`.
        case silent
        /// Bytes have come, and no request was authenticated. To `authenticated`, `free`.
        case speaking
        /// To `free`.
        case authenticated
    }

    private struct Entry {
        var generation: UInt64 = 0
        var standing = Standing.free
        var address: AddressPrefix?
        var bytes = 0
        var openedAt: UInt64 = 0
    }

    private struct AddressQueues {
        var silent = SlotQueue()
        var speaking = SlotQueue()
        var count: Int { silent.count + speaking.count }
        var oldest: Int? { silent.oldest ?? speaking.oldest }
    }

    package let share: ListenerShare
    private var entries: [Entry] = []
    private var free: [Int] = []
    private var silent = SlotQueue()
    private var speaking = SlotQueue()
    private var order = SlotLinks()
    private var addresses: [AddressPrefix: AddressQueues] = [:]
    private var addressOrder = SlotLinks()
    /// When the limit of an address holds again.
    private var trusted: [AddressPrefix: UInt64] = [:]

    /// Connections that are open.
    package private(set) var connections = 0
    /// Held by those that have not authenticated.
    package private(set) var bytes = 0
    /// Since the start.
    package private(set) var evictions = 0
    package private(set) var refusals = 0

    package init(share: ListenerShare) {
        self.share = share
    }

    package var silentConnections: Int { silent.count }
    package var unauthenticatedConnections: Int { silent.count + speaking.count }
    package var authenticatedConnections: Int { connections - unauthenticatedConnections }

    // MARK: Connections

    /// A connection has come.
    package mutating func opened(from address: AddressPrefix?, now: UInt64) -> Opening {
        if connections >= share.connections, unauthenticatedConnections == 0 {
            refusals += 1
            return .refused
        }
        var evicted: [Evicted] = []
        keepLimit(of: address, now: now, evicting: &evicted)
        if connections >= share.connections, let next = next(now: now) { evict(next, into: &evicted) }
        // Only such connections hold bytes, and a share has room for one.
        while bytes + share.connectionBytes > share.bytes, let next = next(now: now) { evict(next, into: &evicted) }
        let slot = free.popLast() ?? newSlot()
        connections += 1
        bytes += share.connectionBytes
        entries[slot].standing = .silent
        entries[slot].address = address
        entries[slot].bytes = share.connectionBytes
        entries[slot].openedAt = now
        enqueue(slot)
        return .admitted(ConnectionID(slot: slot, generation: entries[slot].generation), evicting: evicted)
    }

    /// It has turned out that the connection, which came by way of a balancer, is one of `address`.
    package mutating func moved(_ id: ConnectionID, to address: AddressPrefix?, now: UInt64) -> [Evicted] {
        guard let slot = slot(of: id) else { return [] }
        var evicted: [Evicted] = []
        if entries[slot].standing != .authenticated {
            dequeue(slot)
            keepLimit(of: address, now: now, evicting: &evicted)
            entries[slot].address = address
            enqueue(slot)
        } else {
            entries[slot].address = address
        }
        return evicted
    }

    /// Its first bytes have come.
    package mutating func spoke(_ id: ConnectionID) {
        guard let slot = slot(of: id), entries[slot].standing == .silent else { return }
        dequeue(slot)
        entries[slot].standing = .speaking
        enqueue(slot)
    }

    /// One of its requests was authenticated. Worth saying again for later ones, at most once a second: the limit of
    /// its address is lifted for a minute.
    package mutating func authenticated(_ id: ConnectionID, now: UInt64) {
        guard let slot = slot(of: id) else { return }
        if entries[slot].standing != .authenticated {
            dequeue(slot)
            entries[slot].standing = .authenticated
            bytes -= entries[slot].bytes
            entries[slot].bytes = 0
        }
        if let address = entries[slot].address { trust(address, now: now) }
    }

    /// It is closed. Also after an eviction; then it is known already.
    package mutating func closed(_ id: ConnectionID) {
        guard let slot = slot(of: id) else { return }
        remove(slot)
    }

    // MARK: Bytes

    /// Counts more bytes to a connection; false when there is no room for them, and they may not be taken. Those of
    /// authenticated connections are not counted.
    package mutating func charge(
        _ id: ConnectionID, bytes more: Int, now: UInt64
    ) -> (hasRoom: Bool, evicting: [Evicted]) {
        guard let slot = slot(of: id) else { return (false, []) }
        guard entries[slot].standing != .authenticated else { return (true, []) }
        var evicted: [Evicted] = []
        while bytes + more > share.bytes, let other = next(except: slot, now: now) {
            evict(other, into: &evicted)
        }
        guard bytes + more <= share.bytes else { return (false, evicted) }
        bytes += more
        entries[slot].bytes += more
        return (true, evicted)
    }

    /// Takes back what was counted by `charge`.
    package mutating func release(_ id: ConnectionID, bytes less: Int) {
        guard let slot = slot(of: id), entries[slot].standing != .authenticated else { return }
        let less = min(less, entries[slot].bytes)
        bytes -= less
        entries[slot].bytes -= less
    }

    // MARK: Making room

    private mutating func keepLimit(of address: AddressPrefix?, now: UInt64, evicting: inout [Evicted]) {
        guard let limit = share.perAddress, let address, let queues = addresses[address], queues.count >= limit,
            trusted[address].map({ $0 <= now }) ?? true, let slot = queues.oldest
        else { return }
        evict(slot, into: &evicting)
    }

    /// The one that has to go next.
    private func next(except slot: Int? = nil, now: UInt64) -> Int? {
        guard let quiet = oldest(of: silent, except: slot) else { return oldest(of: speaking, except: slot) }
        guard let other = oldest(of: speaking, except: slot), now &- entries[quiet].openedAt < Self.firstWordTime
        else { return quiet }
        return silent.count > speaking.count ? quiet : other
    }

    private func oldest(of queue: SlotQueue, except slot: Int?) -> Int? {
        guard let oldest = queue.oldest else { return nil }
        return oldest == slot ? order.newer(than: oldest) : oldest
    }

    private mutating func evict(_ slot: Int, into evicted: inout [Evicted]) {
        evictions += 1
        evicted.append(
            Evicted(
                id: ConnectionID(slot: slot, generation: entries[slot].generation), address: entries[slot].address))
        remove(slot)
    }

    private mutating func trust(_ address: AddressPrefix, now: UInt64) {
        if trusted[address] == nil, trusted.count >= Self.trustCapacity {
            trusted = trusted.filter { $0.value > now }
            guard trusted.count < Self.trustCapacity else { return }
        }
        trusted[address] = now &+ Self.trustTime
    }

    // MARK: Slots

    private func slot(of id: ConnectionID) -> Int? {
        guard entries.indices.contains(id.slot), entries[id.slot].generation == id.generation,
            entries[id.slot].standing != .free
        else { return nil }
        return id.slot
    }

    private mutating func newSlot() -> Int {
        entries.append(Entry())
        order.addSlot()
        addressOrder.addSlot()
        return entries.count - 1
    }

    private mutating func remove(_ slot: Int) {
        if entries[slot].standing != .authenticated { dequeue(slot) }
        connections -= 1
        bytes -= entries[slot].bytes
        entries[slot] = Entry(generation: entries[slot].generation &+ 1)
        free.append(slot)
    }

    private mutating func enqueue(_ slot: Int) {
        let isSilent = entries[slot].standing == .silent
        if isSilent { order.append(slot, to: &silent) } else { order.append(slot, to: &speaking) }
        guard let address = entries[slot].address else { return }
        var queues = addresses[address] ?? AddressQueues()
        if isSilent {
            addressOrder.append(slot, to: &queues.silent)
        } else {
            addressOrder.append(slot, to: &queues.speaking)
        }
        addresses[address] = queues
    }

    private mutating func dequeue(_ slot: Int) {
        let isSilent = entries[slot].standing == .silent
        if isSilent { order.remove(slot, from: &silent) } else { order.remove(slot, from: &speaking) }
        guard let address = entries[slot].address, var queues = addresses[address] else { return }
        if isSilent {
            addressOrder.remove(slot, from: &queues.silent)
        } else {
            addressOrder.remove(slot, from: &queues.speaking)
        }
        addresses[address] = queues.count > 0 ? queues : nil
    }
}

/// A queue of slots, by age. Its links stand in `SlotLinks`, so that any slot is taken out in constant time.
private struct SlotQueue {
    var oldest: Int?
    var newest: Int?
    var count = 0
}

private struct SlotLinks {
    private struct Link {
        var older: Int?
        var newer: Int?
    }

    private var links: [Link] = []

    mutating func addSlot() { links.append(Link()) }

    func newer(than slot: Int) -> Int? { links[slot].newer }

    mutating func append(_ slot: Int, to queue: inout SlotQueue) {
        links[slot] = Link(older: queue.newest, newer: nil)
        if let newest = queue.newest { links[newest].newer = slot } else { queue.oldest = slot }
        queue.newest = slot
        queue.count += 1
    }

    mutating func remove(_ slot: Int, from queue: inout SlotQueue) {
        let link = links[slot]
        if let older = link.older { links[older].newer = link.newer } else { queue.oldest = link.newer }
        if let newer = link.newer { links[newer].older = link.older } else { queue.newest = link.older }
        links[slot] = Link()
        queue.count -= 1
    }
}
