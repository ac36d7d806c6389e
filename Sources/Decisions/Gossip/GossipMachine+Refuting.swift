// SPDX-License-Identifier: Apache-2.0

// What others say of this node: it refutes what is not so by a higher incarnation (SWIM section 4.2), and finds out when
// another node bears its name.

extension GossipMachine {
    mutating func learnOfOurselves(
        _ update: MemberUpdate, from reporter: String, _ now: UInt64, _ actions: inout GossipActions
    ) {
        let claimed = update.identity.incarnation
        guard !hasLeft, claimed >= identity.incarnation,
            claimed - identity.incarnation <= GossipBounds.greatestJump
        else { return }
        if update.liveness == .alive {
            guard claimed > identity.incarnation || update.identity.address != identity.address else { return }
            guard !hasReclaimed else { return meetTwin(update.identity, isDirect: false, now, &actions) }
            // An earlier life of this node, of which its store knows nothing. That is so once.
            hasReclaimed = true
        } else if claimed > identity.incarnation {
            // Others hold us to what we have said ourselves. After an earlier life of ours has been found, a greater
            // number is made up.
            guard !hasReclaimed else { return }
            hasReclaimed = true
        }
        refute(claimed, accuser: update.accuser ?? reporter, now, &actions)
        if update.liveness == .dead || update.liveness == .left {
            // So we were cut off, and what we hold against others comes from that time.
            let accused = suspects.union(dead)
            news.drop { accused.contains($0.name) }
        }
    }

    /// SWIM section 4.2: only we can raise our incarnation, and nothing but that contradicts.
    mutating func refute(_ claimed: UInt64, accuser: String, _ now: UInt64, _ actions: inout GossipActions) {
        let raised = min(max(claimed, identity.incarnation) + 1, GossipBounds.highestNumber)
        guard raised > identity.incarnation else { return }
        identity.incarnation = raised
        counters.refutations += 1
        worsenHealth()
        actions.events.append(.refuted(incarnation: raised, accuser: accuser))
        callCouriers(now)
    }

    /// A request of ours was refused because its number has been used before in our incarnation: an earlier life has had
    /// the same, for its store was put back or could not be written. A greater one ends that.
    mutating func learnOfReplay(
        _ answer: GossipMessage, of request: Pending, _ now: UInt64, _ actions: inout GossipActions
    ) {
        guard answer.isReplay, !hasLeft, request.incarnation == identity.incarnation else { return }
        if let raised = replayRaisedAt, now - raised < Self.twinGap { return }
        replayRaisedAt = now
        refute(identity.incarnation, accuser: answer.sender.name, now, &actions)
    }

    /// Two nodes with one name. The incarnation is raised now and then only: two who outdo each other find no end.
    ///
    /// - Parameter isDirect: its certificate bears our name. What others report may be made up, and raises ours a
    ///   little only.
    mutating func meetTwin(_ twin: NodeIdentity, isDirect: Bool, _ now: UInt64, _ actions: inout GossipActions) {
        if twin.address != identity.address {
            ownTwin = (twin.address, now)
            noteTwin()
        }
        if let reported = twinReportedAt, now - reported < Self.twinGap { return }
        twinReportedAt = now
        actions.events.append(.twin(address: twin.address))
        guard twin.incarnation >= identity.incarnation,
            isDirect || twin.incarnation - identity.incarnation <= Self.greatestHearsayJump
        else { return }
        refute(twin.incarnation, accuser: twin.name, now, &actions)
    }

    static let twinGap: UInt64 = 5_000 * ms
    static let greatestHearsayJump: UInt64 = 1 << 20

    /// Others are informed of our twin, for none of them may notice it.
    mutating func noteTwin() {
        let address = ownTwin.flatMap { lastCall - $0.at < Self.twinMemory ? $0.address : nil } ?? ""
        guard facts.twinAddress != address else { return }
        facts.twinAddress = address
        facts.revision = min(facts.revision + 1, GossipBounds.highestNumber)
        edition &+= 1
        callCouriers(lastCall)
    }
}
