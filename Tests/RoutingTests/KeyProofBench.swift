// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

/// HSMs whose keys are numbers, and a driver that carries checks to them. A canary's ciphertext is the key's number and
/// a running one; whoever holds that number opens it.
struct ProofBench {
    struct Key: Equatable {
        var value: UInt8
        var reference: UInt32
        var usage: KeyUsage = [.encrypt, .decrypt]
    }

    static let second: UInt64 = 1_000_000_000
    var proof: KeyProof
    var now: UInt64 = 1_000 * Self.second
    var unixSeconds: Int64 = 1_800_000_000
    var keys: [[KeyLabel: Key]]
    var checks: [ProofCheck] = []
    var log: [ProofNews] = []
    var stored: [KeyLabel: Canary] = [:]
    var storedTimes = 0
    var granted: Set<KeyPlacement> = []
    /// Every ticket ever issued.
    var tickets: Set<UInt64> = []
    var lastNonce: UInt32 = 0
    private var lastReference: UInt32 = 0

    init(_ names: [String], canaries: [Canary] = [], limits: ProofLimits = ProofLimits(), seed: UInt64 = 1) {
        keys = names.map { _ in [:] }
        proof = KeyProof(
            hsms: names, canaries: canaries, limits: limits, now: now, unixSeconds: unixSeconds, seed: seed)
    }

    mutating func put(_ label: KeyLabel, _ value: UInt8, on hsm: Int, usage: KeyUsage = [.encrypt, .decrypt]) {
        lastReference += 1
        keys[hsm][label] = Key(value: value, reference: lastReference, usage: usage)
    }

    mutating func take(_ actions: ProofActions) {
        checks += actions.checks
        log += actions.news
        for check in actions.checks { #expect(tickets.insert(check.ticket).inserted, "a ticket was used twice") }
        for canary in actions.canaries {
            stored[canary.label] = canary
            storedTimes += 1
        }
        for placement in actions.granted { #expect(granted.insert(placement).inserted) }
        for placement in actions.revoked { #expect(granted.remove(placement) != nil) }
    }

    mutating func list(_ hsm: Int) {
        let entries = keys[hsm].sorted { $0.key < $1.key }.map {
            CatalogueEntry(reference: $0.value.reference, label: $0.key, usage: $0.value.usage)
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
        guard let key = keys[check.hsm][check.label], key.reference == check.key else {
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
    mutating func run(failing sick: Set<Int> = []) {
        var rounds = 0
        while !checks.isEmpty, rounds < 100_000 {
            rounds += 1
            let check = checks.removeFirst()
            if sick.contains(check.hsm) { fail(check) } else { answer(check) }
        }
        #expect(checks.isEmpty)
    }

    /// An HSM without keys comes to a place.
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

    /// A peer tells canaries.
    mutating func offer(_ canaries: [Canary], by node: String) {
        take(proof.offered(canaries, by: node, now: now, unixSeconds: unixSeconds))
    }

    /// Everybody lists, every check is done.
    mutating func settle() {
        for hsm in keys.indices { list(hsm) }
        run()
    }

    func verdicts(_ label: KeyLabel) -> [KeyVerdict?] { proof.matrix().first { $0.label == label }?.verdicts ?? [] }
    func holders(_ label: KeyLabel) -> [Int] { keys.indices.filter { proof.holders(of: label).contains($0) } }
    var alarms: [ProofNews] { log.filter(\.isAlarm) }
}

/// A canary made long ago by `maker` with the key `value`.
func oldCanary(
    _ label: KeyLabel, _ value: UInt8, maker: String, age: Int64 = 3_600, nonce: UInt32 = .max, isTrusted: Bool = false,
    dispute: String? = nil
) -> Canary {
    let sealed = ProofBench.sealed(value, nonce: nonce)
    return Canary(
        label: label, sealed: sealed, digest: ProofBench.digest(of: sealed), maker: maker,
        madeAt: 1_800_000_000 - age, isTrusted: isTrusted, dispute: dispute)
}
