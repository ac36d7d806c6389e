// SPDX-License-Identifier: Apache-2.0
import Gossip

/// What must never happen.
enum ClusterViolation: String, CaseIterable {
    /// A node was called dead although it was up, and nothing had gone wrong for a while.
    case falseDeath
    /// A node that was held for dead contradicted twice with one incarnation.
    case refutedTwice
    /// After quiet somebody still holds the wrong nodes for live.
    case notConverged
    /// After quiet block lists differ.
    case blocksDiffer
    /// A block, or its lifting, that a node had and that no lost store took away is gone.
    case blockLost
    /// A death was not known everywhere in time.
    case late
}

/// What the checkers have seen.
struct ClusterChecks {
    var violations: [(violation: ClusterViolation, text: String)] = []
    /// When something last went wrong, or was mended.
    var lastTrouble: UInt64 = 0
    /// So long after it nothing excuses a false death any more.
    static let excuse: UInt64 = 8 * second

    /// All deaths of nodes that were up.
    var falseDeaths = 0
    var suspicions = 0
    var twins = 0
    var refusals: [GossipRefusal: Int] = [:]
    /// Of each subject: who holds it for dead, since when.
    var deaths: [Int: [Int: UInt64]] = [:]
    /// Ids of blocks and lifts that must never be lost.
    var blocks: Set<String> = []
    var lifts: Set<String> = []
    private var refuted: Set<[UInt64]> = []

    mutating func note(_ liveness: Liveness, from: Liveness?, of subject: Int, by observer: Int, at time: UInt64) {
        switch liveness {
        case .dead, .left: deaths[subject, default: [:]][observer] = time
        case .suspect:
            suspicions += 1
            fallthrough
        case .alive: deaths[subject]?[observer] = nil
        }
    }

    /// Returns false when it has been before.
    mutating func isFirstRefutation(_ node: Int, store: Int, incarnation: UInt64) -> Bool {
        refuted.insert([UInt64(node), UInt64(store), incarnation]).inserted
    }

    mutating func fail(_ violation: ClusterViolation, _ text: String) { violations.append((violation, text)) }
}

extension ClusterSimulation {
    mutating func checkDeath(of subject: Int, by observer: Int) {
        guard nodes[subject].isUp, nodes[observer].isUp else { return }
        check.falseDeaths += 1
        guard network.isWhole, now > check.lastTrouble + ClusterChecks.excuse, nodes.allSatisfy({ $0.slowness == 0 })
        else { return }
        check.fail(
            .falseDeath, "\(nodes[observer].name) calls \(nodes[subject].name) dead after \(time) of which is quiet")
    }

    private var time: String { "\((now - ClusterScenario.start) / millisecond) ms" }

    mutating func checkRefutation(of node: Int, _ incarnation: UInt64) {
        guard !check.isFirstRefutation(node, store: nodes[node].stores, incarnation: incarnation) else { return }
        check.fail(.refutedTwice, "\(nodes[node].name) refutes again with incarnation \(incarnation) at \(time)")
    }

    mutating func checkConvergence() {
        let up = nodes.filter(\.isUp)
        let names = Set(up.map(\.name))
        for node in up {
            let seen = Set(node.machine.members.filter(\.isLive).map(\.identity.name) + [node.name])
            guard seen != names else { continue }
            let (missing, extra) = (names.subtracting(seen).sorted(), seen.subtracting(names).sorted())
            check.fail(.notConverged, "\(node.name) misses \(missing), and holds \(extra) for live")
        }
        for node in up where node.blocks.digest != up.first?.blocks.digest {
            check.fail(.blocksDiffer, "\(node.name) has another block list than \(up.first?.name ?? "")")
        }
        for node in up {
            let (blocks, lifts) = (Set(node.blocks.blocks.keys), Set(node.blocks.lifts.keys))
            // What is stored only on nodes that are down comes back with them.
            let held = nodes.filter { !$0.isUp && ($0.blocks.digest != node.blocks.digest) }
            let away = Set(held.flatMap { $0.blocks.blocks.keys }),
                awayLifts = Set(held.flatMap { $0.blocks.lifts.keys })
            let lost = check.blocks.subtracting(blocks).subtracting(away)
            let lostLifts = check.lifts.subtracting(lifts).subtracting(awayLifts)
            if !lost.isEmpty || !lostLifts.isEmpty {
                check.fail(.blockLost, "\(node.name) lacks \(lost.sorted()), lifts \(lostLifts.sorted())")
            }
        }
    }

    /// From now on a node is gone; looks how soon the others know.
    ///
    /// - Returns: until the first one knew, and until all did, nanoseconds; `nil` when that took longer than `limit`.
    mutating func detect(
        _ fault: (Int) -> ClusterFault, of victim: Int, limit: UInt64
    ) -> (first: UInt64, all: UInt64)? {
        let began = now
        let others = nodes.indices.filter { $0 != victim && nodes[$0].isUp }
        check.deaths[victim] = nil
        begin(fault(victim), 0)
        advance(to: began + limit) { simulation in
            (simulation.check.deaths[victim]?.count ?? 0) >= others.count
        }
        guard let times = check.deaths[victim], others.allSatisfy({ times[$0] != nil }),
            let first = times.values.min(), let all = times.values.max()
        else {
            let known = check.deaths[victim]?.count ?? 0
            check.fail(.late, "\(known) of \(others.count) know of \(nodes[victim].name)'s end after \(limit)")
            return nil
        }
        return (first - began, all - began)
    }
}
