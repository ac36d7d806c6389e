// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// What operators order about keys: which one is right, and which one is gone for good.
extension KeyProof {
    /// An operator says that this HSM holds the right key. It makes a new canary, which decides; until then nothing
    /// serves the key. The order replaces those on the key that this node knows.
    package mutating func trust(_ label: KeyLabel, hsm: Int, now: UInt64) -> Result<ProofActions, TrustRefusal> {
        guard isThere(hsm) else { return .failure(.unknownHSM) }
        guard let record = positions[label], records[record].slots[hsm].isPresent else { return .failure(.notListed) }
        guard records[record].slots[hsm].others.isEmpty else {
            return .failure(.ambiguous(records[record].slots[hsm].others.count + 1))
        }
        guard records[record].slots[hsm].canMake else { return .failure(.usageNotPermitted) }
        var actions = ProofActions()
        for other in names.indices {
            records[record].slots[other].work = .idle
            due.clear(check(of: record, other))
        }
        records[record].slots[hsm].failures = 0
        records[record].draft = nil
        records[record].trying = nil
        records[record].trusting = hsm
        assess(record, now: now, into: &actions)
        issueChecks(now: now, into: &actions)
        return .success(actions)
    }

    /// Ids of the orders on a key that are known here; the ones in force first.
    func knownOrders(_ record: Int) -> [[UInt8]] {
        var orders: [[UInt8]] = []
        var canaries = records[record].claims.values.map(\.canary).sorted { $0.isBetter(than: $1) }
        if let ours = records[record].canary { canaries.insert(ours, at: 0) }
        for canary in canaries where canary.isTrusted { orders.append(canary.digest) }
        for canary in canaries { orders += canary.history.rivals }
        for canary in canaries where canary.isTrusted { orders += canary.history.replaces }
        var seen: Set<[UInt8]> = []
        return Array(orders.filter { seen.insert($0).inserted }.prefix(CanaryHistory.mostEntries))
    }

    // MARK: Forgetting

    /// Most labels for which orders to forget are kept, and most orders of one label.
    private static let mostForgottenLabels = 4_096
    private static let mostForgets = 16

    /// An operator says that a key is gone for good: its canaries, as far as this node knows them, prove nothing any
    /// more, and who asks for it is informed that it is absent.
    package mutating func forget(
        _ label: KeyLabel, author: String, now: UInt64, unixSeconds: Int64
    ) -> Result<ProofActions, ForgetRefusal> {
        guard let record = positions[label] else { return .failure(.unknownKey) }
        var canaries = records[record].claims.values.map(\.canary)
        if let ours = records[record].canary { canaries.append(ours) }
        guard !canaries.isEmpty else { return .failure(.unknownKey) }
        if let hsm = records[record].proven.member(after: 0) { return .failure(.isHeld(hsm: names[hsm])) }
        // It must be later than those that one of them has outlived.
        let outlived = canaries.compactMap(\.history.outlived).max() ?? .min
        let order = ForgetOrder(
            label: label,
            canaries: Array(Set(canaries.map(\.digest))).sorted { $0.lexicographicallyPrecedes($1) },
            givenAt: max(unixSeconds, outlived &+ 1),
            author: String(decoding: author.utf8.prefix(ForgetOrder.longestAuthor), as: UTF8.self))
        return .success(forget([order], now: now))
    }

    /// Peers have sent orders to forget. What is malformed or known is passed over.
    package mutating func forget(_ orders: [ForgetOrder], now: UInt64) -> ProofActions {
        var actions = ProofActions()
        for order in orders where remember(order) {
            actions.forgets.append(order)
            sharedVersion &+= 1
            if let record = positions[order.label] { carryOut(order, record, now: now, into: &actions) }
        }
        issueChecks(now: now, into: &actions)
        return actions
    }

    /// Orders that are known, in an order that is the same on all nodes.
    package func forgetOrders() -> [ForgetOrder] {
        forgets.sorted { $0.key < $1.key }.flatMap(\.value)
    }

    /// True where an order names the canary that it has not outlived.
    func isForgotten(_ canary: Canary) -> Bool {
        guard let orders = forgets[canary.label] else { return false }
        return orders.contains { order in
            order.canaries.contains(canary.digest) && canary.history.outlived.map { $0 < order.givenAt } ?? true
        }
    }

    /// Returns whether it is new.
    @discardableResult
    mutating func remember(_ order: ForgetOrder) -> Bool {
        guard order.isWellFormed, forgets[order.label] != nil || forgets.count < Self.mostForgottenLabels else {
            return false
        }
        var known = forgets[order.label] ?? []
        guard !known.contains(order), known.count < Self.mostForgets else { return false }
        known.append(order)
        forgets[order.label] = known.sorted { ($0.givenAt, $0.author) < ($1.givenAt, $1.author) }
        return true
    }

    private mutating func carryOut(
        _ order: ForgetOrder, _ record: Int, now: UInt64, into actions: inout ProofActions
    ) {
        for (node, claim) in records[record].claims where isForgotten(claim.canary) {
            records[record].claims[node] = nil
        }
        if let ours = records[record].canary, isForgotten(ours) {
            if records[record].proven.isEmpty, records[record].trusting == nil {
                replaceCanary(record, with: nil)
                due.clear(timer(of: record))
                for hsm in names.indices where records[record].slots[hsm].isPresent { forget(record, hsm: hsm) }
                records[record].stage = .unseen
                actions.dropped.append(order.label)
                actions.news.append(.forgotten(label: order.label, author: order.author))
            } else {
                records[record].canary?.history.outlived = order.givenAt
                store(record, into: &actions)
            }
        }
        assess(record, now: now, into: &actions)
        dropIfEmpty(record)
    }
}

extension ForgetOrder {
    var isWellFormed: Bool {
        (1...255).contains(label.text.utf8.count) && (1...CanaryHistory.mostEntries).contains(canaries.count)
            && canaries.allSatisfy { $0.count == 32 } && author.utf8.count <= Self.longestAuthor + 8
    }
}
