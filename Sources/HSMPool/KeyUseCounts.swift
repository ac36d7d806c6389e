// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing

/// How often each HSM has used each key since the node started. Pure.
struct KeyUseCounts {
    private struct Counts {
        var encrypts: UInt64 = 0
        var decrypts: UInt64 = 0
    }

    /// By label, then by the HSM's place.
    private var keys: [KeyLabel: [Counts]] = [:]
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
        case .openSession, .closeSession: return
        }
    }

    func counts(of label: KeyLabel, hsm: Int) -> (encrypts: UInt64, decrypts: UInt64) {
        guard let counts = keys[label], counts.indices.contains(hsm) else { return (0, 0) }
        return (counts[hsm].encrypts, counts[hsm].decrypts)
    }

    /// An HSM has left its place; `heir` is the place of the HSM of the same name that goes on, if there is one.
    mutating func vacate(_ hsm: Int, heir: Int?) {
        guard heir != hsm else { return }
        for (label, counts) in keys where counts.indices.contains(hsm) {
            let left = counts[hsm]
            update(label, hsm) { $0 = Counts() }
            guard let heir else { continue }
            update(label, heir) {
                $0.encrypts &+= left.encrypts
                $0.decrypts &+= left.decrypts
            }
        }
    }

    private mutating func update(_ label: KeyLabel, _ hsm: Int, _ change: (inout Counts) -> Void) {
        guard hsm >= 0, hsm < HSMSet.capacity else { return }
        Self.change(&keys[label, default: []], hsm, change)
    }

    private static func change(_ counts: inout [Counts], _ hsm: Int, _ change: (inout Counts) -> Void) {
        while counts.count <= hsm { counts.append(Counts()) }
        change(&counts[hsm])
    }
}
