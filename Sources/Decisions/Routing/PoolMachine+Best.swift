// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// Which of several HSMs is best for one call, and whether waiting for a better one is.

extension PoolMachine {
    /// Takes the lane to use, if there is one that is worth it.
    ///
    /// The HSMs that serve are ranked: those that have not fallen silent first, then the lowest tier, then those with a
    /// free lane before those with room behind a call (`HSMTraits.depth`). Of the first rank, the one whose expected
    /// completion is least gets it; among those that are about as fast, chance decides by their weights, so that several
    /// nodes do not all choose the same one. On it, a lane of the caller's own group comes first.
    ///
    /// - Parameter mayWait: `nil` is an answer where waiting for a lane of a faster one, or of a lower tier, is better.
    mutating func choose(
        _ candidates: HSMSet, group: Int, mayWait: Bool = false, deadline: UInt64 = .max, now: UInt64
    ) -> LaneID? {
        guard let hsm = best(of: candidates, mayWait: mayWait, deadline: deadline, now: now),
            let lane = hsms[hsm].lanes.takeRoom(group: group, depth: hsms[hsm].depth)
        else { return nil }
        return LaneID(hsm: hsm, lane: lane)
    }

    private mutating func best(of candidates: HSMSet, mayWait: Bool, deadline: UInt64, now: UInt64) -> Int? {
        var rank: Rank?
        var least = Double.infinity
        var (count, last, full) = (0, 0, HSMSet())
        candidates.forEach { hsm in
            guard hsms.indices.contains(hsm), hsms[hsm].isServing else { return }
            guard hsms[hsm].hasRoom else { return full.insert(hsm) }
            let own = hsms[hsm].rank
            if let first = rank, first < own { return }
            if rank != own { (rank, least, count) = (own, .infinity, 0) }
            least = min(least, hsms[hsm].expected(now: now))
            (count, last) = (count + 1, hsm)
        }
        guard let rank else { return nil }
        if mayWait, !full.isEmpty {
            let found = Found(expected: least, tier: rank.tier, isSilent: rank.isSilent)
            let ahead = waiting.isEmpty ? 0 : waiting.count(sharing: full)
            // Weights say something of one that is found alone: of several, chance draws by theirs.
            let part = count == 1 ? hsms[last].part(now: now, limits: limits) : nil
            switch worth(of: full, than: found, part: part, ahead: ahead, deadline: deadline, now: now) {
            case .less: break
            case .more: return nil
            case .moreByWeight(let weight):
                let own = part ?? weight
                if random.fraction() * (own + weight) >= own { return nil }
            }
        }
        if count == 1 { return last }
        return draw(from: candidates, rank, least: least, now: now)
    }

    /// Of those of a rank that are about as fast as the fastest, one by chance. The part of one falls from its weight to
    /// nothing as it becomes slower, so that a small difference never moves everything at once.
    private mutating func draw(from candidates: HSMSet, _ rank: Rank, least: Double, now: UInt64) -> Int? {
        var chosen: Int?
        var sum = 0.0
        candidates.forEach { hsm in
            guard hsms.indices.contains(hsm), hsms[hsm].isServing, hsms[hsm].hasRoom, hsms[hsm].rank == rank
            else { return }
            let over = hsms[hsm].expected(now: now) - least
            let margin = max(Self.margin * least, Self.leastMargin)
            let part = hsms[hsm].part(now: now, limits: limits) * min(max(2 - 2 * over / margin, 0), 1)
            guard part > 0 else { return }
            sum += part
            if random.fraction() * sum < part { chosen = hsm }
        }
        return chosen
    }

    /// How much longer than its weight says an HSM may take: those that find it full by chance are to wait for it, too, or
    /// the lighter one gets more than its share.
    private static let weightMargin = 1.25
    /// By how much slower than the fastest an HSM may be and still be chosen, of the fastest one's time, …
    private static let margin = 0.3
    /// … and at least, nanoseconds.
    private static let leastMargin = 100_000.0

    /// Room that could be had now.
    private struct Found {
        var expected: Double
        var tier: Int
        var isSilent: Bool
    }

    /// What waiting for a lane is worth beside room that could be had now.
    private enum Waiting {
        case less
        case more
        /// It takes longer, and an HSM of this weight may take longer: it then has its share of the operations.
        case moreByWeight(Double)
    }

    /// Whether an operation with so many `ahead` of it in the line had better wait for a lane of one of these HSMs,
    /// which have none, than use the room that was found.
    ///
    /// For one of the same tier: when the wait and its call are over sooner than a call there. With weights, an
    /// HSM of twice the weight may take twice the time. For one of a lower tier: while its line is no longer than a
    /// line should be, and it can answer in time. Never for one that is silent.
    private func worth(
        of full: HSMSet, than found: Found, part: Double?, ahead: Int, deadline: UInt64, now: UInt64
    ) -> Waiting {
        var (rate, service, weight, isLower) = (0.0, Double.infinity, 0.0, false)
        full.forEach { hsm in
            let tier = hsms[hsm].traits.tier
            guard tier <= found.tier, !hsms[hsm].service.isSilent || found.isSilent, hsms[hsm].lively > 0,
                let pace = hsms[hsm].pace
            else { return }
            let own = hsms[hsm].service.centre
            let other = hsms[hsm].part(now: now, limits: limits)
            // One that is slower itself is not worth waiting for, unless its weight says so.
            guard tier < found.tier || own / other < found.expected / (part ?? other) else { return }
            isLower = isLower || tier < found.tier
            rate += pace
            (service, weight) = (min(service, own), max(weight, other))
        }
        guard rate > 0 else { return .less }
        let wait = Double(ahead + 1) / rate
        let left = deadline > now ? Double(deadline - now) : 0
        guard wait + service < left else { return .less }
        if isLower { return wait <= Double(WaitingLine.target) ? .more : .less }
        if found.expected > left || wait + service < found.expected { return .more }
        let isWithin = (wait + service) / weight < Self.weightMargin * found.expected / (part ?? weight)
        return isWithin ? .moreByWeight(weight) : .less
    }

    /// True when an operation, so many positions from the front, is not to have room of this HSM that has come free.
    func isWorthMore(_ operation: OperationRecord, than hsm: Int, ahead: Int, now: UInt64) -> Bool {
        var full = HSMSet()
        candidates(for: operation).forEach { other in
            if other != hsm, hsms.indices.contains(other), hsms[other].isServing, !hsms[other].hasRoom {
                full.insert(other)
            }
        }
        guard !full.isEmpty else { return false }
        let found = Found(
            expected: hsms[hsm].expected(now: now), tier: hsms[hsm].traits.tier, isSilent: hsms[hsm].service.isSilent)
        let part = hsms[hsm].part(now: now, limits: limits)
        if case .less = worth(
            of: full, than: found, part: part, ahead: ahead, deadline: operation.deadline, now: now)
        {
            return false
        }
        return true
    }
}

/// What comes before how fast an HSM is.
private struct Rank: Comparable {
    var isSilent: Bool
    var tier: Int
    var isFree: Bool

    static func < (one: Rank, other: Rank) -> Bool {
        if one.isSilent != other.isSilent { return other.isSilent }
        if one.tier != other.tier { return one.tier < other.tier }
        return one.isFree && !other.isFree
    }
}

extension HSMRecord {
    // Read in place: a record is too large to be handed on with each request.
    fileprivate var rank: Rank { Rank(isSilent: service.isSilent, tier: traits.tier, isFree: hasFreeLane) }
}
