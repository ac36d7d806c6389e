// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import XKSProtocol

/// What must always be true, whatever goes wrong. docs/internals/simulation.md has the reasons and the bounds.
enum Check: String, CaseIterable {
    /// A ciphertext that some HSM opens is never called invalid.
    case truth
    /// A ciphertext that was altered is never opened, and is called invalid where everything is well.
    case forgery
    /// What comes back is what was encrypted.
    case plaintext
    /// Nobody encrypts under another key than the label's for longer than it takes to find out.
    case oneKey
    /// A block that is on a disk which the node has read, or can have heard of, is enforced.
    case block
    /// A key that an HSM was proven to hold is never called absent; one that nobody has is, where everything is well.
    case absence
    /// While one HSM of the cluster answers that holds the key, a request is answered.
    case service
    /// When all is well again everything is served everywhere.
    case recovery
}

/// What is looked at in one run, what was found, and how often each trouble met each check.
struct Checks {
    /// Troubles count as there for so long after their end, nanoseconds.
    static let aftermath: UInt64 = 5_000_000_000
    /// All is well again so long after the last trouble's end.
    static let recovery: UInt64 = 15_000_000_000
    /// How long it may take until a key that has been exchanged under a label is not used any more; and until nodes that
    /// hold different keys know it, from the moment at which they can talk.
    static let discovery: UInt64 = 12_000_000_000
    /// How long a block may take to a node that can be reached.
    static let spreading: UInt64 = 12_000_000_000

    private(set) var findings: [String] = []
    private(set) var counts: [Check: [FaultKind: Int]] = [:]
    /// Without any trouble about.
    private(set) var quietCounts: [Check: Int] = [:]
    private var active: [FaultKind: Int] = [:]
    private var lastEnd: [FaultKind: UInt64] = [:]
    private(set) var troubledUntil: UInt64 = 0
    private(set) var tainted: Set<String> = []
    private(set) var blockLabel: String?
    private var givenAt: [Int: UInt64] = [:]
    /// Nodes whose disk has the order, as they have said, and has not been lost or put back since.
    private var confirmed: Set<Int> = []

    mutating func began(_ fault: Fault, now: UInt64) { active[fault.kind, default: 0] += 1 }

    mutating func ended(_ fault: Fault, now: UInt64) {
        active[fault.kind, default: 0] -= 1
        lastEnd[fault.kind] = now
        troubledUntil = now
    }

    mutating func taint(_ label: String) { tainted.insert(label) }

    mutating func killed(_ node: Int) { givenAt[node] = nil }
    mutating func lostStore(of node: Int) {
        givenAt[node] = nil
        confirmed.remove(node)
    }

    mutating func gave(blockOf label: String, at node: Int, now: UInt64) {
        blockLabel = label
        givenAt[node] = now
    }

    mutating func confirmed(at node: Int) { confirmed.insert(node) }

    /// The node has said that the order is on its disk, and still has that disk.
    func wasConfirmed(at node: Int) -> Bool { confirmed.contains(node) }

    /// The order was given at this node, which has not ended since.
    func wasGiven(at node: Int) -> Bool { givenAt[node] != nil }

    func isCalm(_ now: UInt64) -> Bool {
        active.values.allSatisfy { $0 == 0 } && now >= troubledUntil + Self.recovery
    }

    /// Troubles that are there, or have just ended.
    private func about(_ now: UInt64) -> [FaultKind] {
        FaultKind.allCases.filter { kind in
            active[kind, default: 0] > 0 || lastEnd[kind].map { now < $0 + Self.aftermath } ?? false
        }
    }

    /// A check is made; where it fails, that is a finding.
    mutating func expect(_ isTrue: Bool, _ check: Check, now: UInt64, _ text: @autoclosure () -> String) {
        let kinds = about(now)
        for kind in kinds { counts[check, default: [:]][kind, default: 0] += 1 }
        if kinds.isEmpty { quietCounts[check, default: 0] += 1 }
        guard !isTrue, findings.count < 20 else { return }
        findings.append("\(check.rawValue): at \(Double(now / 1_000_000) / 1_000) s \(text())")
    }
}

/// What was true when a request came in.
struct Circumstances {
    /// The node is well, and an HSM of it is.
    var isServed: Bool
    /// The node is well, and one that it can reach has an HSM that is.
    var isServedElsewhere: Bool
    var isCalm: Bool
    var mustBlock: Bool
    let life: Int

    init(_ world: World, _ node: SimulatedNode, _ question: Question) {
        let now = world.now
        life = node.life
        let isWell = node.isSteady(at: now)
        isServed = isWell && node.hasSteadyHSM(at: now)
        isServedElsewhere =
            isWell
            && world.nodes.contains { peer in
                peer !== node && peer.isSteady(at: now) && peer.hasSteadyHSM(at: now)
                    && world.links.areOpen(
                        between: node.index, peer.index, since: max(now, Self.settling) - Self.settling)
            }
        isCalm = world.checks.isCalm(now) && world.nodes.allSatisfy { $0.isSteady(at: now) }
        mustBlock = world.checks.blockLabel == question.label && world.mustBlock(at: node)
    }

    static let settling: UInt64 = 8_000_000_000
}

extension SimulatedNode {
    /// It has been up for a while, and has not stood still lately.
    func isSteady(at now: UInt64) -> Bool {
        isUp && !isFrozen && now >= startedAt + Circumstances.settling
            && (thawedAt == 0 || now >= thawedAt + Circumstances.settling) && blocks.unknown == nil
            && abs(clockError) < 300
    }

    /// One of its HSMs has had nothing wrong for a while.
    func hasSteadyHSM(at now: UInt64) -> Bool {
        tokens.indices.contains { hsm in
            let token = tokens[hsm]
            guard token.isWell, token.wellSince == 0 || now >= token.wellSince + Circumstances.settling + 4_000_000_000,
                let worker = workers[hsm], !worker.isDead
            else { return false }
            return now >= worker.startedAt + Circumstances.settling
        }
    }
}

extension World {
    /// Whether a node has the block by now, whatever has happened to messages.
    func mustBlock(at node: SimulatedNode) -> Bool {
        guard let id = blockID else { return false }
        if checks.wasGiven(at: node.index) { return true }
        if node.isStoreOpen, checks.wasConfirmed(at: node.index) { return true }
        if node.isStoreOpen && node.store.disk.blocks?.list.blocks[id] != nil { return true }
        let moment = max(now, Checks.spreading) - Checks.spreading
        return nodes.contains { peer in
            peer !== node && peer.isSteady(at: now) && node.isSteady(at: now) && peer.blocks.blocks[id] != nil
                && links.areOpen(between: node.index, peer.index, since: moment)
                && (blockAt.map { $0 <= moment } ?? false) && peer.startedAt <= moment && node.startedAt <= moment
                && peer.thawedAt <= moment && node.thawedAt <= moment
        }
    }

    /// Whether some HSM holds the key that a ciphertext was made under, and nodes know that it is a key of the label: what
    /// an HSM encrypts whose key was exchanged is under a key that nobody knows of until that is found.
    private func isHeld(_ ciphertext: Ciphertext) -> Bool {
        let isKnown =
            ciphertext.value == values[ciphertext.label]
            || ciphertext.value == foreign[ciphertext.label] && isForeignNodeKnown
        return isKnown && tokens.contains { $0.holds(KeyLabel(ciphertext.label), value: ciphertext.value) }
    }

    /// All nodes have been able to hear for long enough from the node whose HSMs hold another key, which proves it all the
    /// time. One that has lost its memory takes over what others prove, and nobody knows of the other key any more.
    private var isForeignNodeKnown: Bool {
        guard now >= Checks.discovery else { return false }
        let moment = now - Checks.discovery
        let foreigners = plan.faults.filter { $0.kind == .foreignNode }.map { $0.target % plan.nodes }
        let areHeard = foreigners.allSatisfy { foreigner in
            nodes.allSatisfy { node in
                node.index == foreigner
                    || node.startedAt <= moment && node.thawedAt <= moment
                        && links.areOpen(between: node.index, foreigner, since: moment)
            } && nodes[foreigner].startedAt <= moment
        }
        return areHeard
            && !plan.faults.contains { fault in
                [.storeLost, .storeRestored, .storeUnreadable].contains(fault.kind)
                    && foreigners.contains(fault.target % plan.nodes)
            }
    }

    private func keyName(_ ciphertext: Ciphertext) -> String {
        ciphertext.value == values[ciphertext.label] ? "under the label's key" : "under that of the other node"
    }

    /// Whether an HSM refuses by chance what it opens by chance. In some orders of a check all refusals are one HSM's, and
    /// the other is asked for its canary only: what is found then is likely, and not certain.
    private var isChanceAbout: Bool {
        tokens.contains { $0.isLying || now < $0.wellSince + 1_000_000_000 }
    }

    func judge(
        _ question: Question, _ plaintext: String, _ answer: Answer, _ node: SimulatedNode, _ then: Circumstances
    ) {
        let label = question.label
        note("\(node.name) \(question.words): \(answer.status) \(answer.status == 200 ? "" : answer.body.prefix(220))")
        checks.expect(
            !answer.has(.keyNotFound) || label == Self.absent, .absence, now: now,
            "\(node.name) says that it has no key \(label)")
        if then.mustBlock {
            checks.expect(
                answer.status != 200, .block, now: now, "\(node.name) does \(question.words), which is blocked")
        }
        let mayBeBlocked = checks.blockLabel == label
        switch question {
        case .encrypt: judgeEncryption(label, plaintext, answer, node)
        case .decrypt(let one):
            if answer.status == 200 {
                checks.expect(
                    answer.member("plaintext") == one.plaintext, .plaintext, now: now,
                    "\(node.name) opens a ciphertext of \(label) to something else")
            }
            checks.expect(
                !answer.has(.invalidCiphertext) || !isHeld(one) || isChanceAbout, .truth, now: now,
                "\(node.name) calls a ciphertext of \(label) invalid that an HSM opens (\(keyName(one)))")
        case .decryptAltered:
            checks.expect(answer.status != 200, .forgery, now: now, "\(node.name) opens what was altered")
            if then.isCalm, !mayBeBlocked, !checks.tainted.contains(label) {
                checks.expect(
                    answer.has(.invalidCiphertext), .forgery, now: now,
                    "\(node.name) does not call altered ciphertext of \(label) invalid: \(answer.body)")
            }
            return
        case .metadata:
            if then.isCalm, checks.tainted.isEmpty {
                checks.expect(
                    answer.has(.keyNotFound), .absence, now: now,
                    "\(node.name) does not say that nobody has the key \(label): \(answer.body)")
            }
            return
        }
        guard !mayBeBlocked, !checks.tainted.contains(label), then.life == node.life else { return }
        let isServed = then.isServed && node.isSteady(at: now) && node.hasSteadyHSM(at: now)
        if isServed || then.isServedElsewhere && node.isSteady(at: now) && !isTurning(now) {
            checks.expect(
                answer.status == 200, .service, now: now,
                "\(node.name) does not \(question.words), though \(isServed ? "an HSM of it" : "a peer") could: \(answer.body)"
            )
        }
        if then.isCalm {
            checks.expect(
                answer.status == 200, .recovery, now: now,
                "\(node.name) does not \(question.words), though all is well again: \(answer.body)")
        }
    }

    /// A trouble has begun while the request was under way.
    private func isTurning(_ now: UInt64) -> Bool {
        plan.faults.contains { $0.from <= now && now <= $0.from + 3_000_000_000 }
    }

    private func judgeEncryption(_ label: String, _ plaintext: String, _ answer: Answer, _ node: SimulatedNode) {
        guard answer.status == 200, let one = kept(answer, label: label, plaintext: plaintext) else { return }
        let isRight = one.value == values[label] || one.value == foreign[label]
        let isOld = swappedAt[label].map { now >= $0 + Checks.discovery } ?? true
        checks.expect(
            isRight || !isOld, .oneKey, now: now, "\(node.name) still encrypts under another key of label \(label)")
        for (other, last) in lastEncryptions[label] ?? [:] where other != node.index && last.value != one.value {
            let peer = nodes[other]
            let moment = max(now, Checks.discovery) - Checks.discovery
            guard foreign[label] != nil, now <= last.at + 3_000_000_000,
                [values[label], foreign[label]].contains(last.value), peer.isSteady(at: now), node.isSteady(at: now),
                links.areOpen(between: node.index, other, since: moment), isRight, now >= Checks.discovery,
                node.startedAt <= moment, peer.startedAt <= moment, node.thawedAt <= moment, peer.thawedAt <= moment
            else { continue }
            checks.expect(
                false, .oneKey, now: now, "\(node.name) and \(peer.name) encrypt under two keys of label \(label)")
        }
        lastEncryptions[label, default: [:]][node.index] = (one.value, now)
        ciphertexts[label, default: []].append(one)
    }
}

extension Question {
    var words: String {
        switch self {
        case .encrypt(let label): "encrypt under \(label)"
        case .decrypt(let one): "decrypt with \(one.label)"
        case .decryptAltered(let one): "decrypt altered ciphertext of \(one.label)"
        case .metadata(let label): "tell of key \(label)"
        }
    }
}
