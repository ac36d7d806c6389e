// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Glibc
import HSMPool
import NodeStore
import Routing

/// Does what an operator asks for on the admin socket.
struct PoolAdministration: NodeAdministration {
    let pool: HSMPool
    let store: NodeStore
    let source: PoolStatusSource
    let hsmNames: [String]

    func status() -> AdminStatus {
        let transitions = store.transitions(limit: AdminStatus.transitionLimit).reversed().map { stored in
            AdminProtocol.HSMTransition(
                atUnixSeconds: Int64(stored.atUnixMilliseconds / 1_000), hsm: stored.hsm,
                from: AdminProtocol.HSMStatus.State(rawValue: stored.from) ?? .unavailable,
                to: AdminProtocol.HSMStatus.State(rawValue: stored.to) ?? .unavailable,
                reason: stored.reason.isEmpty ? nil : stored.reason)
        }
        return AdminStatus(
            status: source.status(), transitions: Array(transitions), asOfUnixSeconds: Int64(time(nil)))
    }

    func drain(_ hsm: String) async -> AdminAnswer {
        guard pool.drain(hsm, true) else { return unknown(hsm) }
        let rest = source.status()
        let durable = await store.saved()
        var words = ["\(hsm) is drained: it gets no new requests."]
        if !rest.hsms.contains(where: \.canServe) {
            words.append("No other HSM can serve: every request fails until one can, or this one is undrained.")
        }
        if !durable { words.append("The store could not be written: a restart will forget it.") }
        return .done(words.joined(separator: " "))
    }

    func undrain(_ hsm: String) async -> AdminAnswer {
        guard pool.drain(hsm, false) else { return unknown(hsm) }
        let durable = await store.saved()
        return .done(
            "\(hsm) is back in use."
                + (durable ? "" : " The store could not be written: a restart will drain it again."))
    }

    func trust(key: String, hsm: String) async -> AdminAnswer {
        switch pool.trust(key: key, hsm: hsm) {
        case nil:
            .done("\(key): what \(hsm) holds is taken for the key. The other HSMs are compared with it now.")
        case .unknownHSM: unknown(hsm)
        case .notListed:
            .unknown(
                "\(hsm) lists no key of label \(key)", name: key, known: pool.keys().map(\.label).prefix(100).map { $0 }
            )
        case .usageNotPermitted:
            .refused(
                "\(key) on \(hsm) may not both encrypt and decrypt (CKA_ENCRYPT, CKA_DECRYPT), so it can prove nothing")
        }
    }

    private func unknown(_ hsm: String) -> AdminAnswer {
        .unknown("there is no HSM of the name \(hsm)", name: hsm, known: hsmNames)
    }
}
