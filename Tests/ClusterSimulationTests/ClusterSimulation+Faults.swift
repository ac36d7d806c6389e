// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Gossip
import SeededRandom

// What goes wrong, and how it ends.

extension ClusterSimulation {
    mutating func begin(_ fault: ClusterFault, _ index: Int) {
        if isPrinting { print("\((now - ClusterScenario.start) / millisecond) ms FAULT \(fault)") }
        check.lastTrouble = now
        switch fault {
        case .kill(let node): stop(node, .killed)
        case .powerOff(let node): stop(node, .gone)
        case .leave(let node):
            step(node) { $0.leave(farewell: nil, now: $1) }
            stop(node, .left)
        case .freeze(let node, let duration), .suspend(let node, let duration):
            guard nodes[node].isUp else { return }
            nodes[node].state = .frozen
            queue.add(.faultEnds(index), at: now + duration)
        case .clockJump(let node, let jump):
            guard nodes[node].isUp else { return }
            nodes[node].clock &+= jump
            step(node) { $0.tick(now: $1) }
        case .slow(let node, let slowness, let duration):
            nodes[node].slowness = slowness
            queue.add(.faultEnds(index), at: now + duration)
        case .restart(let node, let remembers): restart(node, remembers: remembers)
        case .partition(let side, let duration):
            for node in side { network.sides[node] = 1 }
            queue.add(.faultEnds(index), at: now + duration)
        case .oneWay(let from, let to, let duration):
            network.cuts.insert([from, to])
            queue.add(.faultEnds(index), at: now + duration)
        case .deaf(let node, let duration), .mute(let node, let duration):
            for pair in cut(fault, node) { network.cuts.insert(pair) }
            queue.add(.faultEnds(index), at: now + duration)
        case .join: addNode()
        case .block(let node): block(at: node)
        case .lift(let node): lift(at: node)
        }
    }

    private func cut(_ fault: ClusterFault, _ node: Int) -> [[Int]] {
        let others = nodes.indices.filter { $0 != node }
        if case .deaf = fault { return others.map { [$0, node] } }
        return others.map { [node, $0] }
    }

    mutating func end(_ fault: ClusterFault) {
        if isPrinting { print("\((now - ClusterScenario.start) / millisecond) ms OVER \(fault)") }
        check.lastTrouble = now
        switch fault {
        case .freeze(let node, _): thaw(node, clockStood: 0)
        case .suspend(let node, let duration): thaw(node, clockStood: duration)
        case .slow(let node, _, _): nodes[node].slowness = 0
        case .partition(let side, _): for node in side { network.sides[node] = nil }
        case .oneWay(let from, let to, _): network.cuts.remove([from, to])
        case .deaf(let node, _), .mute(let node, _): for pair in cut(fault, node) { network.cuts.remove(pair) }
        default: break
        }
    }

    private mutating func stop(_ node: Int, _ state: ProcessState) {
        guard nodes[node].isUp || nodes[node].state == .frozen else { return }
        nodes[node].state = state
        network.dropConnections(of: node)
    }

    private mutating func thaw(_ node: Int, clockStood: UInt64) {
        guard nodes[node].state == .frozen else { return }
        nodes[node].state = .up
        nodes[node].clock &-= clockStood
        nodes[node].wellSince = now
        let inbox = nodes[node].inbox
        nodes[node].inbox = []
        for event in inbox { handle(event) }
        step(node) { $0.tick(now: $1) }
    }

    private mutating func restart(_ node: Int, remembers: Bool) {
        switch nodes[node].state {
        case .killed, .gone, .left: break
        case .up, .frozen: return
        }
        let old = nodes[node].machine
        if !remembers { loseStore(node) }
        nodes[node].start(
            incarnation: remembers ? (nodes[node].storedIncarnation ?? 0) + 1 : unstoredIncarnation(),
            remembered: remembers ? old.members.map(\.identity) : [], settings: settings, seed: dice.next(), now: now)
        nodes[node].wellSince = now
        discoverSeeds(node)
    }

    /// Seconds by the host's clock, which is wrong at times: then others know a later life.
    private mutating func unstoredIncarnation() -> UInt64 { dice.chance(500) ? 0 : now / second }

    // MARK: Blocks

    /// Its blocks are lost with it, unless others have them.
    private mutating func loseStore(_ node: Int) {
        nodes[node].stores += 1
        nodes[node].storedIncarnation = nil
        nodes[node].blocks = .unknown("the store is lost")
        nodes[node].join = BlockListJoin(now: now)
        let elsewhere = nodes.indices.filter { $0 != node }
        let (blocks, lifts) = (check.blocks, check.lifts)
        check.blocks = blocks.filter { id in elsewhere.contains { nodes[$0].blocks.blocks[id] != nil } }
        check.lifts = lifts.filter { id in elsewhere.contains { nodes[$0].blocks.lifts[id] != nil } }
    }

    private mutating func block(at node: Int) {
        guard nodes[node].isUp else { return }
        let id = String(hexadecimal: dice.next()) + String(hexadecimal: dice.next())
        let block = try? nodes[node].blocks.block(
            .key("key-\(dice.below(3))"), id: id, reason: "simulated", madeBy: "someone@\(nodes[node].name)", now: 1)
        guard block != nil else { return }
        check.blocks.insert(id)
        sendBlocks(node)
    }

    private mutating func lift(at node: Int) {
        guard nodes[node].isUp, let block = nodes[node].blocks.inForce(now: 2).first else { return }
        guard (try? nodes[node].blocks.lift(id: block.id, by: "someone", now: 2)) != nil else { return }
        check.lifts.insert(block.id)
        sendBlocks(node)
    }
}

extension String {
    /// Sixteen lower-case digits.
    init(hexadecimal number: UInt64) {
        let digits = String(number, radix: 16)
        self = String(repeating: "0", count: 16 - digits.count) + digits
    }
}
