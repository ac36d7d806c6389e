// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import XKSProtocol

// Whether an answer is right, from what the simulation knows and no node does.

extension World {
    /// Whether a node has the block by now, whatever has happened to messages.
    func mustBlock(at node: SimulatedNode) -> Bool {
        guard let id = blockID else { return false }
        if checks.wasGiven(at: node.index) { return true }
        if node.store.state != .hidden {
            if checks.wasConfirmed(at: node.index) { return true }
            if node.store.disk.blocks?.list.blocks[id] != nil { return true }
        }
        let moment = max(now, Checks.spreading) - Checks.spreading
        return nodes.contains { peer in
            peer !== node && peer.isSteady(at: now) && node.isSteady(at: now) && peer.blocks.blocks[id] != nil
                && links.areOpen(between: node.index, peer.index, since: moment)
                && (blockAt.map { $0 <= moment } ?? false) && peer.hasRun(since: moment) && node.hasRun(since: moment)
        }
    }

    /// What a full disk holds is known as soon as the node has started.
    func judgeFullDisk(of node: SimulatedNode) {
        guard node.store.disk.blocks?.list.knowledge == .known, !checks.hasLostStore(node.index) else { return }
        checks.expect(
            node.blocks.unknown == nil, .service, now: now,
            "\(node.name) refuses everything, though its disk has its list: \(node.blocks.unknown ?? "")")
    }

    /// Where all is well again, no node refuses everything for want of its list: neither one that had it soon after the
    /// beginning and has not lost its disk since, nor one that can hear from another that knows it.
    func judgeLists() {
        guard checks.isCalm(now) else { return }
        let moment = now - Checks.spreading
        for node in nodes where node.isUp && node.hasRun(since: moment) {
            let isHelped = nodes.contains { peer in
                peer !== node && peer.isUp && peer.blocks.unknown == nil
                    && links.areOpen(between: node.index, peer.index, since: moment)
            }
            let hadIt = early[node.index]?.blocks?.list.knowledge == .known && !checks.hasLostStore(node.index)
            guard isHelped || hadIt else { continue }
            checks.expect(
                node.blocks.unknown == nil, .recovery, now: now,
                "\(node.name) still refuses everything: \(node.blocks.unknown ?? "")")
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
                    || node.hasRun(since: moment)
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

    /// Whether the node has no HSM that is well beside one that refuses by chance what it opens by chance. There is nobody
    /// then who could contradict it: what a check finds is likely, and not certain.
    private func hasOnlyChance(_ node: SimulatedNode) -> Bool {
        node.tokens.contains { $0.isLying || now < $0.wellSince + 1_000_000_000 } && !node.hasSteadyHSM(at: now)
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
                !answer.has(.invalidCiphertext) || !isHeld(one) || hasOnlyChance(node), .truth, now: now,
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
        if isServed || then.isServedElsewhere && node.isSteady(at: now) && !isTurning(from: then.askedAt) {
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

    /// A trouble has begun while the request was under way, or in the three seconds before it came. An HSM that nobody has
    /// asked since then is not known to be silent: a request waits for its patience, too, and what is left is less than
    /// the way to a peer.
    private func isTurning(from askedAt: UInt64) -> Bool {
        plan.faults.contains { $0.from <= now && askedAt <= $0.from + 3_000_000_000 }
    }

    /// Where nodes hold two keys only one side encrypts. The side may change as nodes come and go, and does not change to
    /// and fro.
    private func judgeSides(_ label: String, _ one: Ciphertext, _ node: SimulatedNode) {
        let own = lastEncryptions[label]?[node.index]
        for (other, last) in lastEncryptions[label] ?? [:] where other != node.index && last.value != one.value {
            let peer = nodes[other]
            // Both must have been able to know it when the earlier one encrypted.
            let moment = max(last.at, Checks.discovery) - Checks.discovery
            guard foreign[label] != nil, now <= last.at + 3_000_000_000, last.at >= Checks.discovery,
                [values[label], foreign[label]].contains(one.value),
                [values[label], foreign[label]].contains(last.value), peer.isSteady(at: now), node.isSteady(at: now),
                !isImpersonated(node, since: moment), !isImpersonated(peer, since: moment),
                links.areOpen(between: node.index, other, since: moment), node.hasRun(since: moment),
                peer.hasRun(since: moment)
            else { continue }
            let isToAndFro =
                own.map { $0.value == one.value && $0.at < last.at && now <= $0.at + 3_000_000_000 } ?? false
            checks.expect(
                !isToAndFro && !isSettled(since: moment), .oneKey, now: now,
                "\(node.name) and \(peer.name) encrypt under two keys of label \(label)")
        }
    }

    /// A thief has told in this node's name on which side it is: others cannot know better.
    private func isImpersonated(_ node: SimulatedNode, since moment: UInt64) -> Bool {
        plan.faults.contains {
            $0.kind == .thief && $0.target % nodes.count == node.index && $0.from <= now && moment <= $0.until
        }
    }

    /// All nodes have been up since then, and have been able to talk with each other.
    private func isSettled(since moment: UInt64) -> Bool {
        nodes.allSatisfy { node in
            node.isUp && !node.isFrozen && node.hasRun(since: moment)
                && nodes.allSatisfy { peer in
                    peer === node || links.areOpen(between: node.index, peer.index, since: moment)
                }
        }
    }

    private func judgeEncryption(_ label: String, _ plaintext: String, _ answer: Answer, _ node: SimulatedNode) {
        guard answer.status == 200, let one = kept(answer, label: label, plaintext: plaintext) else { return }
        let isRight = one.value == values[label] || one.value == foreign[label]
        let isOld = swappedAt[label].map { now >= $0 + Checks.discovery } ?? true
        checks.expect(
            isRight || !isOld, .oneKey, now: now, "\(node.name) still encrypts under another key of label \(label)")
        judgeSides(label, one, node)
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
