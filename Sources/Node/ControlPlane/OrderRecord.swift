// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import AuditChain

/// Keeps a record of orders, done and refused ones.
package protocol OrderRecorder: Sendable {
    /// Whether orders that weaken are refused, because no record of them can be written. Never waits.
    var isRefusing: Bool { get }

    /// Gives the kernel the order's record. Never waits.
    func record(_ order: AuditedOrder)
}

extension AdminRequest {
    /// Lifts what an operator has forbidden, or makes the node trust or forget: refused where no record of it can be
    /// written. Whatever forbids, ends or mends is not.
    var isWeakening: Bool {
        switch self {
        case .lift, .bootstrap, .trust, .forget, .forgetNode: true
        case .status, .requests, .metrics, .cluster, .drain, .drainFor, .undrain, .block, .outlook, .blocks, .progress,
            .reload, .logLevel,
            .logTail, .auditHeads, .drainNode, .diagnosis:
            false
        }
    }

    /// The record of an order by this user of the host.
    func audited(by user: String, _ peer: AdminPeer, status: Int) -> AuditedOrder {
        let (words, target) = auditedWords
        var order = AuditedOrder(
            words: words, target: target, user: user, uid: peer.user,
            claimedUser: claimedUser.flatMap { $0 == user || $0.isEmpty ? nil : $0 }, pid: peer.process, status: status)
        if case .block(let given) = self {
            order.reason = given.reason
            order.expiresInSeconds = given.expiresInSeconds
        }
        return order
    }

    /// The command, and what it is about.
    private var auditedWords: (words: String, target: String?) {
        switch self {
        case .status, .requests, .metrics, .cluster, .blocks, .progress, .outlook, .logTail, .auditHeads, .diagnosis:
            ("read", nil)
        case .drain(let hsm): ("hsm drain", hsm)
        case .drainFor(let hsm, let seconds, _): ("hsm drain", "\(hsm) for \(seconds) s")
        case .undrain(let hsm): ("hsm undrain", hsm)
        case .trust(let key, let hsm): ("key trust", "\(key) --hsm \(hsm)")
        case .forget(let key): ("key forget", key)
        case .forgetNode(let node, _): ("cluster forget", node)
        case .block(let order):
            ("block", Self.target(order.everything, order.keyStore, order.key, order.principal))
        case .lift(let order):
            (
                "unblock",
                order.confirmUnknown == true
                    ? "--confirm-unknown"
                    : order.id ?? Self.target(order.everything, order.keyStore, order.key, order.principal)
            )
        case .bootstrap: ("cluster bootstrap", nil)
        case .reload(let isForced): ("reload", isForced ? "--force" : nil)
        case .logLevel(let level): ("log level", level)
        case .drainNode: ("drain", nil)
        }
    }

    private static func target(
        _ everything: Bool?, _ keyStore: String?, _ key: String?, _ principal: String?
    ) -> String? {
        if everything == true { return "--all" }
        return keyStore.map { "--keystore \($0)" } ?? key.map { "--key \($0)" } ?? principal.map { "--principal \($0)" }
    }
}
