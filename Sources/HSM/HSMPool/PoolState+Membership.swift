// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing

// Whose the positions of the pool are. An HSM keeps its position for its life: what names it elsewhere, in key stores
// and in operations, must not come to mean another. So a position is given to an HSM of another name only when the HSMs
// have been given anew twice since it was left: whoever keeps positions has asked for them again by then.

/// What an HSM is to the pool. A name of the configuration has one position, or two while its settings change.
enum HSMRole {
    case member
    /// Has the new settings of the HSM at `old`, and takes over when it serves, at the latest at `until`.
    case incoming(old: Int, until: UInt64)
    /// Serves until its successor at `new` does.
    case outgoing(new: Int)
    /// Gets nothing new, and goes when nobody waits for it any more. `successor` begins in the same position
    /// afterwards.
    case retired(successor: PoolMember?)
    /// Nobody's since that generation.
    case vacant(since: UInt64)

    /// True while it belongs to the configuration, and may be given requests.
    var isMember: Bool {
        switch self {
        case .member, .incoming, .outgoing: true
        case .retired, .vacant: false
        }
    }

    var isRetired: Bool { if case .retired = self { true } else { false } }
    var isVacant: Bool { if case .vacant = self { true } else { false } }
    var isIncoming: Bool { if case .incoming = self { true } else { false } }
}

extension PoolState {
    // MARK: Names

    /// The position that a name of the configuration is shown by: the HSM that serves, until its successor does.
    func position(of name: String) -> Int? {
        let positions = hsms.indices.filter { hsms[$0].settings.name == name && !hsms[$0].role.isVacant }
        if let member = positions.first(where: { hsms[$0].role.isMember && !hsms[$0].role.isIncoming }) {
            return member
        }
        return positions.first { hsms[$0].role.isIncoming } ?? positions.first { hsms[$0].successor != nil }
    }

    /// The positions of all HSMs of the configuration, in its order.
    var shown: [Int] { names.compactMap { position(of: $0) } }

    /// Every position of the HSMs of these names; of all that are in the configuration when there are none.
    func positions(of wanted: [String]?) -> HSMSet {
        HSMSet(
            hsms.indices.filter { hsm in
                let belongs = hsms[hsm].role.isMember || hsms[hsm].successor != nil
                return belongs && wanted?.contains(hsms[hsm].settings.name) ?? true
            })
    }

    /// Positions that an HSM may be given whose name none of the earlier ones had.
    private var freePositions: HSMSet {
        HSMSet(
            (0..<HSMSet.capacity).filter { position in
                guard hsms.indices.contains(position) else { return true }
                guard case .vacant(let since) = hsms[position].role else { return false }
                return generation >= since &+ 2
            })
    }

    // MARK: Coming

    /// Gives an HSM a position, and returns it; its worker is still to be started.
    mutating func add(
        _ member: PoolMember, as role: HSMRole, to positions: HSMSet, isDrained: Bool, now: UInt64
    ) -> Int? {
        guard let hsm = machine.add(member.traits, to: positions) else { return nil }
        var entry = HSMEntry(settings: member)
        entry.role = role
        if hsms.indices.contains(hsm) {
            entry.epoch = hsms[hsm].epoch &+ 1
            hsms[hsm] = entry
        } else {
            hsms.append(entry)
        }
        proof.joined(hsm: hsm, name: member.name)
        _ = machine.drain(hsm, isDrained, now: now)
        return hsm
    }

    /// An HSM of a name that has no position.
    mutating func add(new member: PoolMember, isDrained: Bool, now: UInt64) -> Int? {
        add(member, as: .member, to: freePositions, isDrained: isDrained, now: now)
    }

    /// An HSM with other settings than the one at `old`, beside it; `nil` when there is no position for it.
    mutating func add(successor member: PoolMember, of old: Int, until: UInt64, now: UInt64) -> Int? {
        let role = HSMRole.incoming(old: old, until: until)
        guard let new = add(member, as: role, to: freePositions, isDrained: machine.isDrained(old), now: now) else {
            return nil
        }
        hsms[old].role = .outgoing(new: new)
        return new
    }

    /// Settings that take effect while the worker goes on.
    mutating func change(_ hsm: Int, to member: PoolMember, now: UInt64) -> [PoolEffect] {
        let isOfferAnother = hsms[hsm].settings.offered != member.offered
        hsms[hsm].settings = member
        machine.change(hsm, to: member.traits)
        guard isOfferAnother else { return [] }
        hsms[hsm].absence.keepOnly(member.offered.contains)
        let effects = effects(of: proof.withdrawn(hsm: hsm, except: member.offered.contains, now: now), now: now)
        return effects + (hsms[hsm].worker.map { [.sendToWorker($0.control, .offer(member.offered))] } ?? [])
    }

    // MARK: Going

    /// An HSM gets no more requests.
    mutating func retire(_ hsm: Int, successor: PoolMember? = nil, now: UInt64) -> [PoolEffect] {
        hsms[hsm].role = .retired(successor: successor)
        return effects(of: machine.retire(hsm, now: now), now: now)
    }

    /// HSMs with new settings whose predecessors are not needed any more, with those.
    func fulfilled(now: UInt64) -> [(old: Int, new: Int, inTime: Bool)] {
        hsms.indices.compactMap { new in
            guard case .incoming(let old, let until) = hsms[new].role else { return nil }
            let isReady = machine.phase(of: new) == .serving && !proof.isUndecided(hsm: new)
            return isReady || until <= now && !hasGivenUp(new) ? (old, new, isReady) : nil
        }
    }

    /// Its worker has given up for a reason that only a person can mend: a PIN that was refused, for example. While that
    /// is so the HSM goes on by its former settings.
    func hasGivenUp(_ hsm: Int) -> Bool {
        machine.phase(of: hsm) == .down && hsms[hsm].failure?.kind.isPermanent == true
    }

    /// Why the new settings of an HSM are not in force, where that is for a person to mend.
    func refusedSettings(of hsm: Int) -> String? {
        guard case .outgoing(let new) = hsms[hsm].role, hasGivenUp(new) else { return nil }
        return hsms[new].failure?.message
    }

    /// The HSM at `new` stands for both from now on.
    mutating func handOver(from old: Int, to new: Int, now: UInt64) -> [PoolEffect] {
        hsms[new].role = .member
        // People are shown one HSM: what it was like until now is what they know.
        (hsms[new].state, hsms[new].stateSince) = (hsms[old].state, hsms[old].stateSince)
        return retire(old, now: now)
    }

    /// Retired HSMs that nobody waits for.
    func finished() -> [Int] {
        hsms.indices.filter { hsms[$0].role.isRetired && !hsms[$0].isLeaving && !machine.isNeeded($0) }
    }

    /// The worker of a retired HSM is gone, or there was none: its position is left. Returns what follows, and whether
    /// its successor has begun in it.
    mutating func vacate(_ hsm: Int, now: UInt64) -> (effects: [PoolEffect], isTaken: Bool) {
        guard case .retired(let successor) = hsms[hsm].role else { return ([], false) }
        let name = hsms[hsm].settings.name
        let isDrained = machine.isDrained(hsm)
        hsms[hsm].role = .vacant(since: generation)
        hsms[hsm].epoch &+= 1
        hsms[hsm].isLeaving = false
        var effects = effects(of: proof.removed(hsm: hsm, now: now), now: now)
        effects += self.effects(of: machine.free(hsm, now: now), now: now)
        hsms[hsm].complaints = []
        guard let successor, !isStopping else {
            useCounts.vacate(hsm, heir: position(of: name))
            for id in operations.keys { operations[id]?.permitted.remove(hsm) }
            return (effects, false)
        }
        let position = add(successor, as: .member, to: [hsm], isDrained: isDrained, now: now)
        return (effects, position != nil)
    }
}

extension HSMEntry {
    /// True where people know the HSM by this position.
    var isShown: Bool { role.isMember && !role.isIncoming || successor != nil }

    /// What begins in its position when it has gone.
    var successor: PoolMember? { if case .retired(let successor) = role { successor } else { nil } }
}
