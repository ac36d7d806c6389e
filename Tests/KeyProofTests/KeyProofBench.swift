// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import StatusVocabulary
import Testing

/// HSMs whose keys are numbers, and a driver that carries checks to them. A canary's ciphertext is the key's number and
/// a running one; whoever holds that number opens it.
struct ProofBench {
    struct Key: Equatable {
        var value: UInt8
        var reference: UInt32
        var usage: KeyUsage = [.encrypt, .decrypt]
        var identity: KeyIdentity?
    }

    static let second: UInt64 = 1_000_000_000
    var proof: KeyProof
    var now: UInt64 = 1_000 * Self.second
    var unixSeconds: Int64 = 1_800_000_000
    var keys: [[KeyLabel: Key]]
    /// Further objects of these labels.
    var further: [Int: [KeyLabel: [Key]]] = [:]
    var checks: [ProofCheck] = []
    var log: [ProofNews] = []
    var stored: [KeyLabel: Canary] = [:]
    var storedTimes = 0
    var forgets: [ForgetOrder] = []
    /// Names of the HSMs to begin with.
    let names: [String]
    /// Nodes that have ever spoken to this one; kept by the node's store.
    var hasKnown: Set<String> = []
    var granted: Set<KeyHolding> = []
    /// Every ticket ever issued.
    var tickets: Set<UInt64> = []
    var lastNonce: UInt32 = 0
    var lastReference: UInt32 = 0

    init(
        _ names: [String], canaries: [Canary] = [], forgets: [ForgetOrder] = [], limits: ProofLimits = ProofLimits(),
        ran: Int64 = 0, seed: UInt64 = 1
    ) {
        self.names = names
        keys = names.map { _ in [:] }
        proof = KeyProof(
            hsms: names, canaries: canaries, forgets: forgets, limits: limits, now: now, ran: ran,
            unixSeconds: unixSeconds, seed: seed)
    }

    mutating func put(_ label: KeyLabel, _ value: UInt8, on hsm: Int, usage: KeyUsage = [.encrypt, .decrypt]) {
        lastReference += 1
        keys[hsm][label] = Key(value: value, reference: lastReference, usage: usage)
    }

    /// One object more of the label; the only one where there is none.
    mutating func add(_ label: KeyLabel, _ value: UInt8, on hsm: Int) {
        guard keys[hsm][label] != nil else { return put(label, value, on: hsm) }
        lastReference += 1
        further[hsm, default: [:]][label, default: []].append(Key(value: value, reference: lastReference))
    }

    /// The object of this value is deleted.
    mutating func remove(_ label: KeyLabel, _ value: UInt8, on hsm: Int) {
        var rest = objects(label, hsm).filter { $0.value != value }
        keys[hsm][label] = rest.isEmpty ? nil : rest.removeFirst()
        further[hsm, default: [:]][label] = rest
    }

    func objects(_ label: KeyLabel, _ hsm: Int) -> [Key] {
        (keys[hsm][label].map { [$0] } ?? []) + (further[hsm]?[label] ?? [])
    }

    func reference(_ label: KeyLabel, _ value: UInt8, _ hsm: Int) -> UInt32? {
        objects(label, hsm).first { $0.value == value }?.reference
    }

    mutating func take(_ actions: ProofActions) {
        checks += actions.checks
        log += actions.news
        for check in actions.checks { #expect(tickets.insert(check.ticket).inserted, "a ticket was used twice") }
        for canary in actions.canaries {
            stored[canary.label] = canary
            storedTimes += 1
        }
        for label in actions.dropped { stored[label] = nil }
        forgets += actions.forgets
        // What is granted or revoked may be Encrypt only: what may be opened is what is kept here.
        for holding in actions.granted + actions.revoked {
            if proof.holders(of: holding.label).contains(holding.hsm) {
                granted.insert(holding)
            } else {
                granted.remove(holding)
            }
        }
    }

    mutating func list(_ hsm: Int) {
        let entries = keys[hsm].keys.sorted().flatMap { label in
            objects(label, hsm).map { key in
                CatalogueEntry(reference: key.reference, label: label, usage: key.usage, identity: key.identity)
            }
        }
        take(proof.listed(hsm: hsm, entries: entries, now: now))
    }

    mutating func end(_ hsm: Int) {
        checks.removeAll { $0.hsm == hsm }
        take(proof.workerEnded(hsm: hsm, now: now))
    }

    mutating func wait(_ seconds: Double) {
        now += UInt64((seconds * Double(Self.second)).rounded())
        unixSeconds += Int64(seconds)
        take(proof.tick(now: now))
    }

    /// As long as real ones, so that peers take them.
    static func sealed(_ value: UInt8, nonce: UInt32) -> SealedCanary {
        SealedCanary(
            initializationVector: Array(repeating: 1, count: 12),
            ciphertext: [value] + Array(repeating: 0, count: 43) + withUnsafeBytes(of: nonce) { Array($0) })
    }

    static func digest(of sealed: SealedCanary) -> [UInt8] {
        sealed.ciphertext.suffix(31) + sealed.ciphertext.prefix(1)
    }

    /// Does one check as an honest HSM would.
    mutating func answer(_ check: ProofCheck) {
        guard let key = objects(check.label, check.hsm).first(where: { $0.reference == check.key }) else {
            return take(proof.refused(ticket: check.ticket, .keyGone, reason: "gone", now: now))
        }
        switch check.kind {
        case .make:
            lastNonce += 1
            let sealed = Self.sealed(key.value, nonce: lastNonce)
            take(
                proof.made(
                    ticket: check.ticket, sealed, digest: Self.digest(of: sealed), now: now, unixSeconds: unixSeconds))
        case .open(let sealed) where sealed.ciphertext.first == key.value:
            take(proof.opened(ticket: check.ticket, digest: Self.digest(of: sealed), now: now))
        case .open:
            take(proof.refused(ticket: check.ticket, .wrongKey, reason: "wrong tag", now: now))
        }
    }

    mutating func fail(_ check: ProofCheck) {
        take(proof.refused(ticket: check.ticket, .failed, reason: "CKR_GENERAL_ERROR", now: now))
    }

    /// Does every check, and those that follow.
    mutating func run(failing sick: Set<Int> = [], unclear: Set<Int> = []) {
        var rounds = 0
        while !checks.isEmpty, rounds < 100_000 {
            rounds += 1
            let check = checks.removeFirst()
            if sick.contains(check.hsm) {
                fail(check)
            } else if unclear.contains(check.hsm), check.label == "k" {
                take(proof.refused(ticket: check.ticket, .unclear, reason: "CKR_FUNCTION_FAILED", now: now))
            } else {
                answer(check)
            }
        }
        #expect(checks.isEmpty)
    }

    /// An HSM without keys comes to a position.
    mutating func join(_ hsm: Int, name: String) {
        if hsm == keys.count { keys.append([:]) }
        proof.joined(hsm: hsm, name: name)
    }

    /// An HSM goes for good.
    mutating func remove(_ hsm: Int) {
        checks.removeAll { $0.hsm == hsm }
        take(proof.removed(hsm: hsm, now: now))
        keys[hsm] = [:]
    }

    /// A peer sends canaries.
    mutating func offer(_ canaries: [Canary], by node: String) {
        take(proof.offered(canaries, by: node, now: now))
    }

    /// These are the other nodes: those that are live, and that have exchanged all canaries with this one.
    mutating func know(_ names: [String], live: [String]? = nil, exchanged: [String]? = nil, isSought: Bool = true) {
        let version = proof.sharedVersion
        let peers = names.map { name in
            ProofPeer(
                name: name, isLive: live?.contains(name) ?? true,
                exchanged: exchanged?.contains(name) ?? true ? version : nil)
        }
        take(proof.cluster(ProofCluster(peers: peers, isSought: isSought), now: now))
    }

    /// A peer proves its keys as this node does.
    mutating func agree(with node: String) { take(proof.agreed(with: node, now: now)) }

    /// A peer sends all it knows in one exchange, both ways.
    mutating func exchange(_ canaries: [Canary], with node: String) {
        _ = proof.exchangeBegan(with: node)
        offer(canaries, by: node)
        take(proof.exchangeEnded(with: node, now: now))
    }

    /// Everybody lists, every check is done.
    mutating func settle() {
        for hsm in keys.indices { list(hsm) }
        run()
    }

    /// What is decided on a key, where every HSM answers that has listed its keys.
    func decision(
        _ label: KeyLabel, _ purpose: KeyPurpose, responding: HSMSet? = nil, doubtful: HSMSet = []
    ) -> KeyDecision {
        let all = HSMSet(keys.indices)
        return proof.decision(
            on: label, for: purpose, on: all,
            witnesses: KeyWitnesses(responding: responding ?? all, members: all, doubtful: doubtful))
    }

    /// True when this canary is stored for its label, whatever has become of it since it was made.
    func isStored(_ canary: Canary) -> Bool {
        guard var stored = stored[canary.label] else { return false }
        stored.history = canary.history
        return stored == canary
    }

    /// True when this canary decides.
    func isDeciding(_ canary: Canary) -> Bool {
        guard var deciding = proof.canary(of: canary.label) else { return false }
        deciding.history = canary.history
        return deciding == canary
    }

    func verdicts(_ label: KeyLabel) -> [KeyVerdict?] { proof.matrix().first { $0.label == label }?.verdicts ?? [] }
    func encrypting(_ label: KeyLabel) -> [Int] {
        keys.indices.filter { proof.servers(of: label, for: .encrypt).contains($0) }
    }
    func holders(_ label: KeyLabel) -> [Int] { keys.indices.filter { proof.holders(of: label).contains($0) } }
    var alarms: [ProofNews] { log.filter(\.isAlarm) }
}

/// A canary made long ago by `maker` with the key `value`.
func oldCanary(
    _ label: KeyLabel, _ value: UInt8, maker: String, age: Int64 = 3_600, nonce: UInt32 = .max, isTrusted: Bool = false,
    dispute: String? = nil, provers: [String]? = nil, isProvisional: Bool = false, replaces: [[UInt8]] = []
) -> Canary {
    let sealed = ProofBench.sealed(value, nonce: nonce)
    return Canary(
        label: label, sealed: sealed, digest: ProofBench.digest(of: sealed), maker: maker,
        madeAt: 1_800_000_000 - age, isTrusted: isTrusted, dispute: dispute,
        history: CanaryHistory(
            provers: provers ?? [maker], isProvisional: isProvisional, replaces: replaces))
}
