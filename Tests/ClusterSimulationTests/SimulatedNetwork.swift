// SPDX-License-Identifier: Apache-2.0
import Chance
import Gossip
import SeededRandom

/// What lies between the nodes: TCP with keep-alive connections that are made when none is free. A lost packet is not a
/// lost message, but a delay: 200 ms, doubling, for data; 1 s, doubling, for the first packet of a connection (RFC 6298).
/// A request that is given up closes its connection.
struct SimulatedNetwork {
    /// Packets lost, per mille.
    var loss = 0
    /// Between nodes of one site, one way, nanoseconds.
    var near: ClosedRange<UInt64> = 100_000...700_000
    /// Between sites.
    var far: ClosedRange<UInt64> = (20 * millisecond)...(60 * millisecond)
    /// One of so many messages comes ten times as late; 0: none.
    var stragglers = 50
    /// Packets of the first to the second get lost. Indices of nodes.
    var cuts: Set<[Int]> = []
    /// Which side of a partition a node is on; those without an entry are on side 0.
    var sides: [Int: Int] = [:]

    /// Idle connections by client and server.
    private var idle: [Int: Int] = [:]

    func passes(from: Int, to: Int) -> Bool {
        (sides.isEmpty || sides[from, default: 0] == sides[to, default: 0])
            && (cuts.isEmpty || !cuts.contains([from, to]))
    }

    var isWhole: Bool { cuts.isEmpty && sides.isEmpty }

    private func pair(_ client: Int, _ server: Int) -> Int { client << 16 | server }

    /// When a request arrives after it was sent; `nil` when it does not.
    mutating func request(from client: Int, to server: Int, isFar: Bool, _ dice: inout RandomChoice) -> UInt64? {
        if let free = idle[pair(client, server)], free > 0 {
            idle[pair(client, server)] = free - 1
            return passes(from: client, to: server) ? leg(isFar, &dice) : nil
        }
        guard passes(from: client, to: server), passes(from: server, to: client) else { return nil }
        // Three-way handshake and TLS 1.3: two round trips before the request.
        let handshake = leg(isFar, first: second, &dice) + leg(isFar, &dice)
        let tls = leg(isFar, &dice) + leg(isFar, &dice)
        return handshake + tls + leg(isFar, &dice)
    }

    mutating func keep(from client: Int, to server: Int) {
        let free = idle[pair(client, server), default: 0]
        if free < 8 { idle[pair(client, server)] = free + 1 }
    }

    /// A node's process has ended: its connections with it.
    mutating func dropConnections(of node: Int) {
        for key in idle.keys where key >> 16 == node || key & 0xFFFF == node { idle[key] = nil }
    }

    /// One way, with repeats of what is lost. `first` is TCP's first wait.
    func leg(_ isFar: Bool, first: UInt64 = 200 * millisecond, _ dice: inout RandomChoice) -> UInt64 {
        let range = isFar ? far : near
        var delay = dice.between(range.lowerBound, range.upperBound)
        if stragglers > 0, dice.below(stragglers) == 0 { delay *= 10 }
        guard loss > 0 else { return delay }
        var wait = first
        while dice.chance(loss), delay < 60 * second {
            delay += wait
            wait *= 2
        }
        return delay
    }
}
