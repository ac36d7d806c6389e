// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import SeededRandom

// The other side: workers and HSMs, and what goes wrong with them.

extension Simulation {
    // MARK: Faults

    mutating func begin(_ fault: Fault, index: Int) {
        trace.note(.faultBegins, at: now, index, fault.hsm)
        queue.add(.faultEnds(index), at: fault.until)
        let hsm = fault.hsm
        hsms[hsm].faults.append(fault.kind)
        switch fault.kind {
        case .crash, .crashLoop:
            if hsms[hsm].worker == .up { die(hsm) }
        case .keyLost(let key):
            queue.add(
                .keyFoundLost(hsm: hsm, key: key), at: now + UInt64(dice.between(10, 300)) * millisecond)
        case .laneLost: closeLane(of: hsm)
        case .drained: drain(hsm)
        case .allowance(let lanes): step(.allowance) { $0.allow(hsm, lanes: lanes, now: $1) }
        case .hostKills:
            for hsm in hsms.indices where hsms[hsm].worker == .up { die(hsm) }
        case .hang, .softErrors, .hardErrors, .busy, .sessionsLost, .sickDecryption, .slow, .sessionLimit: break
        }
        noteTroubles()
    }

    mutating func end(_ fault: Fault, index: Int) {
        trace.note(.faultEnds, at: now, index, fault.hsm)
        let hsm = fault.hsm
        noteTroubles()
        guard let position = hsms[hsm].faults.firstIndex(of: fault.kind) else { return }
        hsms[hsm].faults.remove(at: position)
        switch fault.kind {
        case .hang where !hsms[hsm].isHanging:
            let stalled = hsms[hsm].stalled
            hsms[hsm].stalled = []
            for event in stalled { queue.add(event, at: now + hsms[hsm].latency(&dice)) }
        case .keyLost(let key):
            queue.add(.keyProven(hsm: hsm, life: hsms[hsm].life, key: key), at: now + millisecond)
        case .drained: drain(hsm)
        case .allowance: step(.allowance) { $0.allow(hsm, lanes: .max, now: $1) }
        default: break
        }
    }

    private mutating func drain(_ hsm: Int) {
        let isDrained = hsms[hsm].faults.contains(.drained)
        hsms[hsm].isDrained = isDrained
        step(.allowance) { $0.drain(hsm, isDrained, now: $1) }
    }

    private mutating func closeLane(of hsm: Int) {
        guard hsms[hsm].worker == .up, !hsms[hsm].lanes.isEmpty else { return }
        let lane = dice.below(hsms[hsm].lanes.count)
        trace.note(.laneClosed, at: now, hsm, lane)
        let call = hsms[hsm].lanes[lane].frames.first
        lose(hsms[hsm].lanes[lane], of: hsm)
        hsms[hsm].lanes[lane] = .closed
        step(.allowance) { $0.laneClosed(LaneID(hsm: hsm, lane: lane), now: $1) }
        if let call { endedDuring(call, of: hsm) }
    }

    /// The worker ended, or closed the lane, while it was at a call.
    mutating func endedDuring(_ call: SimulatedFrame, of hsm: Int) {
        requests[call.operation]?.workersLost += 1
        step(.ended(hsm: hsm)) { $0.endedDuring(generation: call.generation, now: $1) }
    }

    /// A worker dies; the node notices a little later, and may send frames to nobody until then.
    mutating func die(_ hsm: Int) {
        trace.note(.dies, at: now, hsm)
        hsms[hsm].lastCalls = hsms[hsm].lanes.compactMap(\.frames.first)
        kill(hsm)
    }

    // MARK: Workers

    mutating func workerReady(_ hsm: Int, _ event: SimulationEvent) {
        guard !hsms[hsm].isHanging else { return hsms[hsm].stalled.append(event) }
        guard !hsms[hsm].refusesToStart else { return kill(hsm) }
        let character = hsms[hsm].character
        let open = min(character.openAtStart, hsms[hsm].sessionLimit)
        hsms[hsm].worker = .up
        hsms[hsm].lastReceived = now
        hsms[hsm].softInARow = 0
        hsms[hsm].failedProbes = 0
        hsms[hsm].wrongRefusals = 0
        hsms[hsm].lanes = (0..<character.lanes).map { $0 < open ? .idle : .parked }
        trace.note(.ready, at: now, hsm, open, character.lanes)
        step(.ready(hsm: hsm)) { $0.ready(hsm, openLanes: open, lanes: character.lanes, now: $1) }
        let life = hsms[hsm].life
        queue.add(.selfProbe(hsm: hsm, life: life), at: now)
        for key in 0..<Scenario.keys {
            queue.add(
                .keyProven(hsm: hsm, life: life, key: key), at: now + UInt64(dice.between(1, 10)) * millisecond)
        }
        if hsms[hsm].faults.contains(.crashLoop) {
            queue.add(.workerDies(hsm: hsm, life: life), at: now + UInt64(dice.between(1, 80)) * millisecond)
        }
    }

    mutating func startProbe(_ hsm: Int) {
        guard hsms[hsm].worker == .up else { return }
        let duration = hsms[hsm].latency(&dice) + hsms[hsm].latency(&dice)
        queue.add(.probeReturns(hsm: hsm, life: hsms[hsm].life), at: now + duration)
    }

    mutating func probeReturns(_ hsm: Int, _ event: SimulationEvent) {
        guard !hsms[hsm].isHanging else { return hsms[hsm].stalled.append(event) }
        let passed = hsms[hsm].passesProbe(&dice)
        hsms[hsm].lastReceived = now
        trace.note(.probed, at: now, hsm, passed ? 1 : 0)
        step(.probe(hsm: hsm, passed: passed)) {
            $0.probed(hsm, passed: passed, latency: millisecond, now: $1)
        }
    }

    // MARK: Lanes

    mutating func callReturns(_ hsm: Int, _ event: SimulationEvent) {
        guard case .callReturns(_, _, let lane, let generation) = event else { return }
        guard !hsms[hsm].isHanging else { return hsms[hsm].stalled.append(event) }
        // A driver that ignores restarts has forgotten the lanes of a worker that lives.
        guard hsms[hsm].lanes.indices.contains(lane), let frame = hsms[hsm].lanes[lane].frames.first,
            frame.generation == generation
        else { return }
        let id = frame.operation
        // The worker skips what is late.
        let word = frame.deadline > frame.since ? hsms[hsm].answer(to: frame.work, &dice) : .tryElsewhere
        trace.note(.answer, at: now, hsm, lane, Int(id.number))
        if sabotage != .answersEarly || !dice.chance(50) { takeTurn(on: hsm, lane) }
        switch word {
        case .ambiguous, .callersFault(.ciphertextIsInvalid):
            if frame.question == .request { requests[id]?.refusals += 1 }
            if frame.question == .canary { requests[id]?.refusedCanaries += 1 }
            if !frame.work.isBad { hsms[hsm].wrongRefusals += 1 }
        case .done where frame.question == .canary: requests[id]?.openings += 1
        case .keyMissing: requests[id]?.missed.insert(hsm)
        default: break
        }
        if sabotage == .forgetsLateAnswers, requests[id] == nil { return }
        let reported = misunderstood(word)
        step(.answer(hsm: hsm, word)) {
            $0.answered(LaneID(hsm: hsm, lane: lane), generation: generation, disposition: reported, now: $1)
        }
    }

    /// A worker makes a call. What is sent to a dead one, whose end has not been noticed, is lost.
    mutating func call(_ frame: SimulatedFrame, on hsm: Int, _ lane: Int) {
        guard hsms[hsm].worker == .up, !isSabotaged(.dropsFrames, frame.operation) else { return }
        let duration = frame.deadline > now ? hsms[hsm].latency(&dice) : 0
        queue.add(
            .callReturns(hsm: hsm, life: hsms[hsm].life, lane: lane, generation: frame.generation), at: now + duration)
    }

    /// A lane's call is over: what lies behind it is next.
    private mutating func takeTurn(on hsm: Int, _ lane: Int) {
        var frames = hsms[hsm].lanes[lane].frames
        guard !frames.isEmpty else { return }
        land(frames.removeFirst(), on: hsm)
        guard !frames.isEmpty else {
            hsms[hsm].lanes[lane] = .idle
            return
        }
        frames[0].since = now
        hsms[hsm].lanes[lane] = .busy(frames)
        call(frames[0], on: hsm, lane)
    }

    /// What a broken driver makes of an HSM's word.
    private func misunderstood(_ word: Disposition) -> Disposition {
        switch (sabotage, word) {
        case (.slanders, .done): .hsmSuspect
        case (.believesOneMissing, .keyMissing): .callersFault(.keyIsGone)
        default: word
        }
    }

    mutating func sessionMoved(_ hsm: Int, _ event: SimulationEvent) {
        guard case .sessionMoved(_, _, let lane, let generation, let order) = event else { return }
        guard !hsms[hsm].isHanging else { return hsms[hsm].stalled.append(event) }
        guard case .moving(order, generation, _) = hsms[hsm].lanes[lane] else { return }
        var word = Disposition.done
        if order == .openSession, hsms[hsm].sessions > hsms[hsm].sessionLimit { word = .tryElsewhere }
        hsms[hsm].lanes[lane] = order == .openSession && word == .done ? .idle : .parked
        trace.note(.laneMoved, at: now, hsm, lane, word == .done ? 1 : 0)
        step(.session) {
            $0.answered(LaneID(hsm: hsm, lane: lane), generation: generation, disposition: word, now: $1)
        }
    }

    /// A frame is over, whatever became of it.
    private mutating func land(_ frame: SimulatedFrame, on hsm: Int) {
        guard let position = requests[frame.operation]?.flights.firstIndex(of: hsm) else { return }
        requests[frame.operation]?.flights.remove(at: position)
    }

    mutating func forgetLanes(of hsm: Int) {
        for lane in hsms[hsm].lanes { lose(lane, of: hsm) }
        hsms[hsm].lanes = []
    }

    private mutating func lose(_ lane: MirroredLane, of hsm: Int) {
        for frame in lane.frames {
            requests[frame.operation]?.framesLost += 1
            land(frame, on: hsm)
        }
    }
}
