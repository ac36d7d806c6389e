// SPDX-License-Identifier: Apache-2.0
import AccessControl
import KeyProof
import LaneProtocol

// What goes wrong, and how it ends.

extension World {
    /// Puts the whole plan on its way.
    func begin() {
        for fault in plan.faults where fault.kind == .foreignNode { makeForeign(fault) }
        for step in plan.steps where step.at == 0 { step.act(self) }
        for node in nodes { node.start() }
        for step in plan.steps where step.at > 0 { at(step.at) { [self] in step.act(self) } }
        // The guides and `claviger dev` give it once, when a cluster begins.
        at(1_000_000_000) { [self] in for node in nodes { node.bootstrap() } }
        for fault in plan.faults {
            at(fault.from) { [self] in
                note("\(fault.kind.rawValue) begins: \(target(of: fault))")
                checks.began(fault, now: now)
                let undo = begin(fault)
                at(max(fault.until, now)) { [self] in
                    note("\(fault.kind.rawValue) ends: \(target(of: fault))")
                    undo()
                    checks.ended(fault, now: now)
                }
            }
        }
        at(6_000_000_000) { [self] in for node in nodes { early[node.index] = node.store.disk } }
        if let blockAt = plan.blockAt { at(blockAt) { [self] in orderBlock() } }
        askAll()
        at(plan.length) { [self] in judgeLists() }
    }

    private func makeForeign(_ fault: Fault) {
        let label = Self.labels[fault.target / 7 % Self.labels.count]
        let value = random.next()
        checks.taint(label)
        foreign[label] = value
        for token in node(of: fault).tokens { token.exchange(KeyLabel(label), for: value, underOldHandle: true) }
    }

    private func target(of fault: Fault) -> String {
        switch fault.kind {
        case .hang, .slow, .serial, .failing, .lying, .swapped, .keysAway, .tokenGone: token(of: fault).name
        default: node(of: fault).name
        }
    }

    private func token(of fault: Fault) -> SimulatedToken { tokens[fault.target % tokens.count] }
    private func node(of fault: Fault) -> SimulatedNode { nodes[fault.target % nodes.count] }

    /// Begins a trouble; returns what ends it.
    private func begin(_ fault: Fault) -> () -> Void {
        switch fault.kind {
        case .hang, .slow, .serial, .failing, .lying, .swapped, .keysAway, .tokenGone:
            return begin(fault, token: token(of: fault))
        case .workerKilled, .workersKilled, .nodePaused, .nodeKilled, .storeLost, .storeRestored, .storeLate,
            .storeUnreadable, .storeFull, .clockJumps:
            return begin(fault, node: node(of: fault))
        case .linkOneWay, .nodeCutOff: return cut(fault)
        case .thief: return steal(fault)
        case .overload: return overload(fault)
        // It is so from before the beginning to after the end.
        case .foreignNode: return {}
        }
    }

    private func begin(_ fault: Fault, token: SimulatedToken) -> () -> Void {
        let label = Self.labels[fault.target / 7 % Self.labels.count]
        let share = 0.1 + fault.degree * 0.9
        let before = value(of: label, on: token)
        let trouble: TokenTrouble
        switch fault.kind {
        case .hang: trouble = .hangs(until: fault.until)
        case .slow: trouble = .isSlower(by: 5_000_000 + UInt64(fault.degree * 150e6))
        case .serial: trouble = .isSerial
        case .failing: trouble = .fails(share: share)
        case .lying: trouble = .denies(share: share)
        case .keysAway: trouble = .showsNoKeys
        case .tokenGone: trouble = .isGone
        default:
            trouble = .holdsAnother
            checks.taint(label)
            swappedAt[label] = now
            token.exchange(KeyLabel(label), for: random.next(), underOldHandle: fault.degree < 0.5)
        }
        let number = token.begin(trouble)
        return { [self] in
            if case .holdsAnother = trouble {
                token.exchange(KeyLabel(label), for: before, underOldHandle: fault.degree < 0.5)
            }
            token.end(number, now: now)
        }
    }

    /// The key that a token has under the label when nothing is wrong with it.
    private func value(of label: String, on token: SimulatedToken) -> UInt64 {
        let isForeign = plan.faults.contains {
            $0.kind == .foreignNode && node(of: $0).tokens.contains { $0 === token }
        }
        return isForeign ? foreign[label] ?? values[label] ?? 0 : values[label] ?? 0
    }

    private func begin(_ fault: Fault, node: SimulatedNode) -> () -> Void {
        switch fault.kind {
        case .workerKilled:
            node.workers.sorted { $0.key < $1.key }.first?.value.die()
            return {}
        case .workersKilled:
            for worker in node.workers.values { worker.die() }
            return {}
        case .nodePaused:
            node.freeze()
            return { node.thaw() }
        case .storeLate:
            node.store.delay = 500_000_000 + UInt64(fault.degree * 3e9)
            return { node.store.delay = 50_000 }
        case .clockJumps:
            node.clockError += fault.degree < 0.5 ? -120 : 120
            return { node.clockError = 0 }
        case .storeFull where fault.degree < 0.5:
            // It fills while the node runs.
            node.store.close(.full)
            return { node.findLateStore() }
        default:
            node.kill()
            checks.killed(node.index)
            switch fault.kind {
            case .storeUnreadable: node.store.close(.hidden)
            case .storeFull: node.store.close(.full)
            default: return { [self] in restart(node, after: fault) }
            }
            node.start()
            if fault.kind == .storeFull { judgeFullDisk(of: node) }
            return { node.findLateStore() }
        }
    }

    private func restart(_ node: SimulatedNode, after fault: Fault) {
        guard !node.isUp else { return }
        switch fault.kind {
        case .storeLost:
            checks.lostStore(of: node.index)
            var image = DiskImage()
            // The database alone, or all of it.
            if fault.degree < 0.5 { image.marker = node.store.disk.marker }
            node.store.replace(with: image)
        case .storeRestored:
            checks.lostStore(of: node.index)
            node.store.replace(with: early[node.index] ?? DiskImage())
        default: break
        }
        node.start()
    }

    private func cut(_ fault: Fault) -> () -> Void {
        let node = fault.target % nodes.count
        let others = nodes.indices.filter { $0 != node }
        let ways: [(Int, Int)] =
            fault.kind == .linkOneWay
            ? [fault.degree < 0.5 ? (node, others[0]) : (others[0], node)]
            : others.flatMap { [(node, $0), ($0, node)] }
        for (from, to) in ways { links.cut(from: from, to: to) }
        return { [self] in for (from, to) in ways { links.mend(from: from, to: to, now: now) } }
    }

    /// Somebody with a node's certificate tells the others of a canary that only they can open, and that keys are gone.
    private func steal(_ fault: Fault) -> () -> Void {
        let victim = nodes[fault.target % nodes.count]
        let label = Self.labels[fault.target / 7 % Self.labels.count]
        checks.taint(label)
        var isOver = false
        func tell() {
            guard !isOver else { return }
            let block = (0..<32).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let false_ = Canary(
                label: KeyLabel(label),
                sealed: SealedCanary(
                    initializationVector: Array(block.prefix(12)),
                    ciphertext: Array(repeating: 7, count: SealedCanary.sealedLength)),
                digest: block, maker: "hsm-x", madeAt: fault.degree < 0.5 ? 1 : wall,
                history: CanaryHistory(provers: ["serial-x", "serial-y"]))
            for node in nodes where node !== victim && node.isUp && !node.isFrozen {
                node.schedule(at: now) {
                    $0.offered(SharedKeyMessage(canaries: [false_]), by: victim.name)
                    $0.merge(BlockMessage(entries: [], isKnown: true), from: victim.name)
                }
            }
            at(now + 1_000_000_000, tell)
        }
        tell()
        return { isOver = true }
    }

    /// More is asked of a node than its HSMs can do.
    private func overload(_ fault: Fault) -> () -> Void {
        var isOver = false
        let node = nodes[fault.target % nodes.count]
        func burst() {
            guard !isOver else { return }
            for _ in 0..<10 { ask(node, .encrypt(Self.labels[0]), isJudged: false) }
            at(now + 20_000_000, burst)
        }
        let numbers = node.tokens.map { ($0, $0.begin(.isSlower(by: 20_000_000))) }
        burst()
        at(min(now + 1_000_000_000, fault.until)) { isOver = true }
        return { [self] in
            isOver = true
            for (token, number) in numbers { token.end(number, now: now) }
        }
    }
}
