// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import Routing

/// How often each HSM has used each key since the node started. Pure.
struct KeyUseCounts {
    /// By label, then by the HSM's position.
    private var keys: [KeyLabel: [KeyUses]] = [:]
    /// Uses by HSMs that are gone.
    private var departed: [KeyLabel: KeyUses] = [:]
    /// Of all keys and HSMs, those that are gone included.
    private(set) var encrypts: UInt64 = 0
    private(set) var decrypts: UInt64 = 0

    /// An HSM has done an operation with a key.
    mutating func count(_ operation: LaneOperation, label: KeyLabel, hsm: Int) {
        switch operation {
        case .encrypt:
            encrypts &+= 1
            update(label, hsm) { $0.encrypts &+= 1 }
        case .decrypt:
            decrypts &+= 1
            update(label, hsm) { $0.decrypts &+= 1 }
        case .openSession, .closeSession, .knownAnswer: return
        }
    }

    func counts(of label: KeyLabel, hsm: Int) -> KeyUses {
        guard let counts = keys[label], counts.indices.contains(hsm) else { return KeyUses() }
        return counts[hsm]
    }

    /// By label, those of all HSMs together.
    var totals: [KeyLabel: KeyUses] {
        var totals = departed
        for (label, counts) in keys {
            for count in counts where !count.isEmpty { totals[label, default: KeyUses()] += count }
        }
        return totals
    }

    /// An HSM has left its position; `heir` is the position of the HSM of the same name that goes on, if there is one.
    mutating func vacate(_ hsm: Int, heir: Int?) {
        guard heir != hsm else { return }
        for (label, counts) in keys where counts.indices.contains(hsm) && !counts[hsm].isEmpty {
            let left = counts[hsm]
            update(label, hsm) { $0 = KeyUses() }
            if let heir { update(label, heir) { $0 += left } } else { departed[label, default: KeyUses()] += left }
        }
    }

    private mutating func update(_ label: KeyLabel, _ hsm: Int, _ change: (inout KeyUses) -> Void) {
        guard hsm >= 0, hsm < HSMSet.capacity else { return }
        Self.change(&keys[label, default: []], hsm, change)
    }

    private static func change(_ counts: inout [KeyUses], _ hsm: Int, _ change: (inout KeyUses) -> Void) {
        while counts.count <= hsm { counts.append(KeyUses()) }
        change(&counts[hsm])
    }
}

/// What the journal knows of the uses of keys, and what it lacks. Pure.
package struct NotedUses: Sendable {
    /// When the node started, from earlier processes.
    private let earlier: [KeyLabel: KeyUses]
    /// Of this process, as far as the journal has them.
    private var reported: [KeyLabel: KeyUses] = [:]

    package init(earlier: [KeyLabel: KeyUses]) { self.earlier = earlier }

    /// All uses of a key that are known, once the process has counted `own`.
    package func total(of label: KeyLabel, own: KeyUses) -> KeyUses {
        var total = earlier[label] ?? KeyUses()
        total += own
        return total
    }

    /// Takes in what the process has counted by now. Returns what has come since the last time, and the keys that have
    /// reached another quarter of the limit by it, with all their encryptions.
    package mutating func note(
        _ totals: [KeyLabel: KeyUses]
    ) -> (new: [KeyLabel: KeyUses], reached: [(label: KeyLabel, encrypts: UInt64)]) {
        var new: [KeyLabel: KeyUses] = [:]
        var reached: [(label: KeyLabel, encrypts: UInt64)] = []
        for (label, own) in totals {
            let before = reported[label] ?? KeyUses()
            guard own != before else { continue }
            new[label] = KeyUses(
                encrypts: own.encrypts &- before.encrypts, decrypts: own.decrypts &- before.decrypts)
            let encrypts = total(of: label, own: own).encrypts
            // The first time counts as a step from nothing: people are informed again after each start.
            let known = reported[label] == nil ? 0 : total(of: label, own: before).encrypts
            if KeyUseLimit.quarters(of: encrypts) > KeyUseLimit.quarters(of: known) {
                reached.append((label, encrypts))
            }
        }
        reported = totals
        return (new, reached.sorted { $0.label < $1.label })
    }
}

extension KeyUses {
    static func += (sum: inout KeyUses, more: KeyUses) {
        sum.encrypts &+= more.encrypts
        sum.decrypts &+= more.decrypts
    }
}
