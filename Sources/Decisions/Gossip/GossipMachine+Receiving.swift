// SPDX-License-Identifier: Apache-2.0

// What comes in: requests, answers, failures. Nothing in a message is believed before its form, its sender's certificate
// and its sequence have been checked.

extension GossipMachine {
    // MARK: Requests

    /// A request of a peer.
    ///
    /// - Parameters:
    ///   - certificateName: the node's name in the certificate with which the peer has connected.
    ///   - ticket: under which the reply is wanted. It comes in these actions; that to a `pingRequest` may come in the
    ///     actions of a later event, within `relayTimeout`.
    /// - Returns: or why the request is dropped, which has been counted; there is no reply then, but to one whose
    ///   number has been seen: its sender must know, or nothing that it says would count until its numbers are new
    ///   again.
    package mutating func received(
        _ message: GossipMessage, from certificateName: String, ticket: UInt64, now: UInt64
    ) -> Result<GossipActions, GossipRefusal> {
        var actions = GossipActions()
        let now = begin(now)
        if let refusal = admit(message, from: certificateName) {
            counters.refused[refusal, default: 0] += 1
            guard refusal == .replayed else { return .failure(refusal) }
            let kind: GossipMessage.Kind = message.kind == .exchange ? .exchange : .ack
            reply(kind, to: message, ticket: ticket, isNotice: true, isReplay: true, &actions)
            work(now, &actions)
            return .success(actions)
        }
        let name = message.sender.name
        let isUnknown = records[name] == nil
        if name == identity.name {
            meetOurName(message.sender, now, &actions)
            reply(.ack, to: message, ticket: ticket, &actions)
        } else if receiveDirect(message, now, &actions) {
            // Whoever has just been taken in has a window from now on, and this message in it.
            if isUnknown {
                _ = records[name]?.window.admit(incarnation: message.sender.incarnation, sequence: message.sequence)
            }
            learn(message.updates, from: name, now, &actions)
            answer(message, ticket: ticket, now, &actions)
        } else {
            reply(message.kind == .exchange ? .exchange : .ack, to: message, ticket: ticket, isNotice: true, &actions)
        }
        work(now, &actions)
        return .success(actions)
    }

    private mutating func admit(_ message: GossipMessage, from certificateName: String) -> GossipRefusal? {
        if let flaw = message.flaw { return flaw }
        guard message.sender.name == certificateName else { return .malformed }
        guard message.receiver == nil || message.receiver == identity.name else { return .foreign }
        guard message.kind != .ack, message.kind != .nack else { return .malformed }
        let (name, incarnation) = (message.sender.name, message.sender.incarnation)
        guard name != identity.name, let known = records[name]?.member.identity.incarnation else { return nil }
        // What is said in an earlier life is not taken in, so it does no harm; its sender is informed of what is known.
        guard incarnation >= known, incarnation - known <= GossipBounds.greatestJump else { return nil }
        let isNew = records[name]?.window.admit(incarnation: incarnation, sequence: message.sequence) ?? true
        return isNew ? nil : .replayed
    }

    /// A message that bears our own name: we have called our own address, or there is another node of that name.
    private mutating func meetOurName(_ sender: NodeIdentity, _ now: UInt64, _ actions: inout GossipActions) {
        let isOurs = sender.address == identity.address && sender.incarnation <= identity.incarnation
        if !isOurs { meetTwin(sender, isDirect: true, now, &actions) }
    }

    private mutating func answer(
        _ message: GossipMessage, ticket: UInt64, _ now: UInt64, _ actions: inout GossipActions
    ) {
        switch message.kind {
        case .ping, .ack, .nack, .other: reply(.ack, to: message, ticket: ticket, &actions)
        case .exchange: reply(.exchange, to: message, ticket: ticket, &actions)
        case .leave:
            if let member = records[message.sender.name]?.member, member.liveness != .left {
                let farewell = message.farewell.flatMap {
                    $0.name == member.identity.name && $0.incarnation == member.identity.incarnation ? $0 : nil
                }
                records[message.sender.name]?.farewell = farewell
                believe(member.identity, .left, by: nil, now, &actions)
            }
            reply(.ack, to: message, ticket: ticket, &actions)
        case .pingRequest: relay(message, ticket: ticket, now, &actions)
        }
    }

    private mutating func reply(
        _ kind: GossipMessage.Kind, to request: GossipMessage, ticket: UInt64, isNotice: Bool = false,
        isReplay: Bool = false, _ actions: inout GossipActions
    ) {
        var message = message(kind, to: request.sender.name, sequence: request.sequence, isNotice: isNotice)
        message.isReplay = isReplay
        actions.replies.append(GossipReply(ticket: ticket, message: message))
    }

    // MARK: Pings for others

    /// Only members are pinged, and at the address that is known here: nobody makes this node call elsewhere.
    private mutating func relay(
        _ request: GossipMessage, ticket: UInt64, _ now: UInt64, _ actions: inout GossipActions
    ) {
        guard let target = request.target else { return }
        if target.name == identity.name { return reply(.ack, to: request, ticket: ticket, &actions) }
        guard let member = records[target.name]?.member, relays.count < Self.mostRelays, relays[ticket] == nil,
            let requester = records[request.sender.name]?.member.identity
        else { return reply(.nack, to: request, ticket: ticket, &actions) }
        let patience = min(timing(member.identity).relayTimeout, timing(requester).relayTimeout)
        relays[ticket] = Relay(
            requester: requester.name, sequence: request.sequence, target: target.name, nackAt: now + patience)
        send(.ping, to: member, purpose: .relay(ticket: ticket), &actions)
    }

    static let mostRelays = 64

    /// Lifeguard, section IV-A: "I have received nothing either" shows the asker that it is not itself at fault.
    mutating func endRelays(_ now: UInt64, _ actions: inout GossipActions) {
        guard !relays.isEmpty else { return }
        for (ticket, relay) in relays.sorted(by: { $0.key < $1.key }) where now >= relay.nackAt {
            endRelay(ticket, .nack, &actions)
        }
    }

    private mutating func endRelay(_ ticket: UInt64, _ kind: GossipMessage.Kind, _ actions: inout GossipActions) {
        guard let relay = relays.removeValue(forKey: ticket) else { return }
        let message = message(kind, to: relay.requester, sequence: relay.sequence)
        actions.replies.append(GossipReply(ticket: ticket, message: message))
    }

    // MARK: Answers

    /// What came back for a `GossipSend`. An answer that does not fit is counted, and taken for a failure.
    ///
    /// - Parameters:
    ///   - certificateName: the node's name in the certificate of the peer that was reached.
    ///   - roundTrip: nanoseconds from sending to the answer.
    package mutating func answered(
        ticket: UInt64, message: GossipMessage, from certificateName: String, roundTrip: UInt64, now: UInt64
    ) -> GossipActions {
        var actions = GossipActions()
        let now = begin(now)
        guard let request = pending.removeValue(forKey: ticket) else { return actions }
        if let refusal = check(message, for: request, from: certificateName) {
            counters.refused[refusal, default: 0] += 1
            fail(request, &actions)
        } else if message.sender.name == identity.name {
            owners[request.destination.address] = identity.name
            meetOurName(message.sender, now, &actions)
            fail(request, &actions)
        } else {
            take(message, for: request, roundTrip: roundTrip, now, &actions)
        }
        work(now, &actions)
        return actions
    }

    private func check(
        _ message: GossipMessage, for request: Pending, from certificateName: String
    ) -> GossipRefusal? {
        if let flaw = message.flaw { return flaw }
        guard message.sender.name == certificateName, message.sequence == request.sequence,
            request.destination.name == nil || message.sender.name == request.destination.name
        else { return .malformed }
        guard message.receiver == identity.name else { return .foreign }
        // A node that meets its own name answers any request with an ack.
        let isOwn = message.sender.name == identity.name
        let isFit =
            switch (request.kind, message.kind) {
            case (.ping, .ack), (.leave, .ack), (.pingRequest, .ack), (.pingRequest, .nack): true
            case (.exchange, .exchange): true
            case (.exchange, .ack): isOwn
            default: false
            }
        return isFit ? nil : .malformed
    }

    private mutating func take(
        _ message: GossipMessage, for request: Pending, roundTrip: UInt64, _ now: UInt64,
        _ actions: inout GossipActions
    ) {
        let name = message.sender.name
        learnOfReplay(message, of: request, now, &actions)
        let known = records.count
        let isCurrent = receiveDirect(message, now, &actions)
        if isCurrent {
            let isPage = message.kind == .exchange && isYoung(now)
            learn(message.updates, from: name, isNews: !isPage, now, &actions)
        } else {
            learnOnlyOfUs(message, now, &actions)
        }
        if request.kind == .ping, isCurrent {
            measure(name, roundTrip)
            noteReached(name, now, &actions)
        }
        switch request.purpose {
        case .probe, .courier: break
        case .help(let target, let number, let owesNack):
            guard probes[target]?.number == number else { break }
            if message.kind == .ack {
                // Somebody has reached it just now.
                records[target]?.suspicion?.startedAt = now
                return passProbe(target)
            }
            probes[target]?.open -= 1
            if owesNack { probes[target]?.nacksDue -= 1 }
        case .relay(let ticket): endRelay(ticket, .ack, &actions)
        case .contact:
            if request.destination.address != message.sender.address {
                owners[request.destination.address] = name
            }
            continueExchange(with: name, hasLearnt: records.count > known, now)
        case .exchange: continueExchange(with: name, hasLearnt: records.count > known, now)
        }
    }

    /// One of an earlier life can still inform us that we are held for dead.
    private mutating func learnOnlyOfUs(_ message: GossipMessage, _ now: UInt64, _ actions: inout GossipActions) {
        learn(message.updates.filter { $0.identity.name == identity.name }, from: message.sender.name, now, &actions)
    }

    /// As TCP smooths it (RFC 6298, section 2): each measurement weighs an eighth.
    private mutating func measure(_ name: String, _ roundTrip: UInt64) {
        let measured = UInt32(min(roundTrip / 1_000, UInt64(UInt32.max)))
        guard let old = records[name]?.member.roundTrip else {
            records[name]?.member.roundTrip = measured
            return
        }
        records[name]?.member.roundTrip = UInt32((UInt64(old) * 7 + UInt64(measured)) / 8)
    }

    // MARK: Failures

    /// Nothing came back in time, or there was no connection.
    package mutating func failed(ticket: UInt64, now: UInt64) -> GossipActions {
        var actions = GossipActions()
        let now = begin(now)
        guard let request = pending.removeValue(forKey: ticket) else { return actions }
        fail(request, &actions)
        work(now, &actions)
        return actions
    }

    private mutating func fail(_ request: Pending, _ actions: inout GossipActions) {
        switch request.purpose {
        case .probe(let target, let number), .help(let target, let number, _):
            guard let probe = probes[target], probe.number == number else { return }
            probes[target]?.open = max(probe.open - 1, 0)
        case .relay(let ticket): endRelay(ticket, .nack, &actions)
        case .exchange, .courier, .contact: break
        }
    }
}
