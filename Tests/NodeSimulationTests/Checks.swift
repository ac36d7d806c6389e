// SPDX-License-Identifier: Apache-2.0

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
    /// Those that have met none.
    private(set) var quietCounts: [Check: Int] = [:]
    private var active: [FaultKind: Int] = [:]
    private var lastEnd: [FaultKind: UInt64] = [:]
    private(set) var troubledUntil: UInt64 = 0
    private(set) var tainted: Set<String> = []
    private(set) var blockLabel: String?
    private var givenAt: [Int: UInt64] = [:]
    /// Nodes whose disk has the order, as they have said, and has not been lost or put back since.
    private var confirmed: Set<Int> = []
    /// Nodes whose disk has been lost or put back.
    private var lostStores: Set<Int> = []

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
        lostStores.insert(node)
    }

    func hasLostStore(_ node: Int) -> Bool { lostStores.contains(node) }

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

    /// Troubles that a check has met: those that are there, or have just ended. All that there were in the run have met the
    /// check of recovery, which is made where none is there any more.
    private func met(_ check: Check, _ now: UInt64) -> [FaultKind] {
        FaultKind.allCases.filter { kind in
            guard check != .recovery else { return lastEnd[kind] != nil }
            return active[kind, default: 0] > 0 || lastEnd[kind].map { now < $0 + Self.aftermath } ?? false
        }
    }

    /// A check is made; where it fails, that is a finding.
    mutating func expect(_ isTrue: Bool, _ check: Check, now: UInt64, _ text: @autoclosure () -> String) {
        let kinds = met(check, now)
        for kind in kinds { counts[check, default: [:]][kind, default: 0] += 1 }
        if kinds.isEmpty { quietCounts[check, default: 0] += 1 }
        guard !isTrue, findings.count < 20 else { return }
        findings.append("\(check.rawValue): at \(Double(now / 1_000_000) / 1_000) s \(text())")
    }
}

/// What was true when a request came in.
struct Circumstances {
    /// Nanoseconds.
    let askedAt: UInt64
    /// The node is well, and an HSM of it is.
    var isServed: Bool
    /// The node is well, and one that it can reach has an HSM that is.
    var isServedElsewhere: Bool
    var isCalm: Bool
    var mustBlock: Bool
    let life: Int

    init(_ world: World, _ node: SimulatedNode, _ question: Question) {
        let now = world.now
        askedAt = now
        life = node.life
        let isWell = node.isSteady(at: now)
        let peers = world.nodes.filter { peer in
            peer !== node && peer.isSteady(at: now)
                && world.links.areOpen(
                    between: node.index, peer.index, since: max(now, Self.settling) - Self.settling)
        }
        // Without canaries and without a peer to hear, a node waits for 10 s before it decides on a key alone: the key of
        // its HSMs may be another than that of the cluster.
        let knowsKeys =
            !node.beganWithoutCanaries || !peers.isEmpty || now >= node.startedAt + Checks.discovery
        isServed = isWell && knowsKeys && node.hasSteadyHSM(at: now)
        isServedElsewhere = isWell && peers.contains { $0.hasSteadyHSM(at: now) }
        isCalm = world.checks.isCalm(now) && world.nodes.allSatisfy { $0.isSteady(at: now) }
        mustBlock = world.checks.blockLabel == question.label && world.mustBlock(at: node)
    }

    static let settling: UInt64 = 8_000_000_000
}

extension SimulatedNode {
    /// It has neither begun nor stood still after that moment.
    func hasRun(since moment: UInt64) -> Bool { startedAt <= moment && thawedAt <= moment }

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
