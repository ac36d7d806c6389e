// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Cluster

/// How far an order to block or to lift has come: which node has it on its disk.
struct OrderProgress: Sendable {
    private var nodes: [BlockProgress.Node]
    private let begun: ContinuousClock.Instant
    private var isFinished: Bool

    /// - Parameters:
    ///   - here: name of this node, which has the order in memory.
    ///   - others: names of the nodes that it goes to.
    ///   - twins: names that two nodes bear, with an address of one of them: an order reaches one of the two, and which
    ///     one cannot be known.
    init(
        here: String, durable: Bool, others: [String], twins: [String: String] = [:], begun: ContinuousClock.Instant
    ) {
        self.begun = begun
        nodes = [
            BlockProgress.Node(
                node: here, state: durable ? .confirmed : .unwritten,
                afterMilliseconds: Self.milliseconds(since: begun, now: .now),
                detail: durable ? nil : "its store could not be written")
        ]
        nodes += others.sorted().map { BlockProgress.Node(node: $0, state: .waiting) }
        nodes += twins.sorted { $0.key < $1.key }.map { name, address in
            BlockProgress.Node(
                node: "\(name) (\(address))", state: .unreachable,
                detail: "two nodes bear this name, and only one of them can be told")
        }
        isFinished = others.isEmpty
    }

    mutating func note(_ delivery: BlockDelivery, now: ContinuousClock.Instant) {
        let view: BlockProgress.Node
        let after = Self.milliseconds(since: begun, now: now)
        switch delivery.outcome {
        case .confirmed: view = .init(node: delivery.node, state: .confirmed, afterMilliseconds: after)
        case .unwritten:
            view = .init(
                node: delivery.node, state: .unwritten, afterMilliseconds: after,
                detail: "its store could not be written")
        case .unreachable(let reason): view = .init(node: delivery.node, state: .unreachable, detail: reason)
        }
        if let place = nodes.firstIndex(where: { $0.node == delivery.node }) {
            nodes[place] = view
        } else {
            nodes.append(view)
        }
    }

    /// Nothing more will be heard: who has not answered could not be reached.
    mutating func end() {
        for place in nodes.indices where nodes[place].state == .waiting {
            nodes[place].state = .unreachable
            nodes[place].detail = "no answer in time"
        }
        isFinished = true
    }

    var view: BlockProgress { BlockProgress(nodes: nodes, isFinished: isFinished) }

    private static func milliseconds(since begun: ContinuousClock.Instant, now: ContinuousClock.Instant) -> Int64 {
        let (seconds, attoseconds) = (now - begun).components
        return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }
}
