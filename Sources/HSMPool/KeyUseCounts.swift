// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// How often each HSM has used each key since the node started. Pure.
struct KeyUseCounts {
    private struct Counts {
        var encrypts: [UInt64]
        var decrypts: [UInt64]

        init(_ hsmCount: Int) {
            encrypts = Array(repeating: 0, count: hsmCount)
            decrypts = encrypts
        }
    }

    private let hsmCount: Int
    private var keys: [String: Counts] = [:]

    init(hsmCount: Int) { self.hsmCount = hsmCount }

    /// An HSM has done an operation with a key.
    mutating func count(_ operation: LaneOperation, label: String, hsm: Int) {
        guard hsm >= 0, hsm < hsmCount else { return }
        switch operation {
        case .encrypt: keys[label, default: Counts(hsmCount)].encrypts[hsm] &+= 1
        case .decrypt: keys[label, default: Counts(hsmCount)].decrypts[hsm] &+= 1
        case .openSession, .closeSession: return
        }
    }

    func counts(of label: String, hsm: Int) -> (encrypts: UInt64, decrypts: UInt64) {
        guard let counts = keys[label], counts.encrypts.indices.contains(hsm) else { return (0, 0) }
        return (counts.encrypts[hsm], counts.decrypts[hsm])
    }
}
