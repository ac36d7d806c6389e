// SPDX-License-Identifier: Apache-2.0
import AccessControl
import AdminProtocol
import Cluster

/// How far an order to block or to lift has come: which node goes by it, and which has it on its disk.
struct OrderProgress: Sendable {
    private var nodes: [BlockProgress.Node]
    private let begun: ContinuousClock.Instant
    /// Names of nodes that do not enforce the order as it is meant.
    private let unable: Set<String>
    private var isHereDone = false
    private var areOthersDone: Bool

    /// - Parameters:
    ///   - here: name of this node, which goes by the order already.
    ///   - others: names of the nodes that it goes to.
    ///   - twins: names that two nodes bear, with an address of one of them: an order reaches one of the two, and which
    ///     one cannot be known.
    ///   - hits: how much a block hits here.
    ///   - unable: names of nodes that do not enforce the order as it is meant.
    init(
        here: String, others: [String], twins: [String: String] = [:], hits: BlockHits? = nil, unable: [String] = [],
        begun: ContinuousClock.Instant
    ) {
        self.begun = begun
        self.unable = Set(unable)
        nodes = [
            BlockProgress.Node(
                node: here, state: .effective, afterMilliseconds: 0, hits: hits.map(BlockProgress.Hits.init))
        ]
        nodes += others.sorted().map { BlockProgress.Node(node: $0, state: .waiting) }
        nodes += twins.sorted { $0.key < $1.key }.map { name, address in
            BlockProgress.Node(
                node: "\(name) (\(address))", state: .unreachable,
                detail: "two nodes bear this name, and only one of them can be told")
        }
        areOthersDone = others.isEmpty
    }

    /// This node's disk has it, or cannot be written.
    mutating func noteHere(durable: Bool, now: ContinuousClock.Instant) {
        nodes[0].state = durable ? .confirmed : .unwritten
        nodes[0].afterMilliseconds = Self.milliseconds(since: begun, now: now)
        nodes[0].detail = durable ? nil : "its store could not be written"
        isHereDone = true
    }

    mutating func note(_ delivery: BlockDelivery, now: ContinuousClock.Instant) {
        var view = BlockProgress.Node(
            node: delivery.node, state: .confirmed, afterMilliseconds: Self.milliseconds(since: begun, now: now),
            detail: unable.contains(delivery.node) ? "it ends it by its own clock" : nil,
            hits: delivery.hits.map(BlockProgress.Hits.init))
        switch delivery.outcome {
        case .confirmed: break
        case .effective: view.state = .effective
        case .ineffective:
            view.state = .ineffective
            view.detail = "it has ended there, or somebody has given another order"
        case .unwritten:
            view.state = .unwritten
            view.detail = "its store could not be written"
        case .unreachable(let reason):
            // It is tried again.
            view = .init(node: delivery.node, state: .unreachable, detail: reason)
        }
        if let index = nodes.firstIndex(where: { $0.node == delivery.node }) {
            nodes[index] = view
        } else if case .unreachable = delivery.outcome {
            // Others report it, and it has never answered: nobody waits for it.
            return
        } else {
            nodes.append(view)
        }
        areOthersDone = nodes.dropFirst().allSatisfy { $0.state == .confirmed || $0.state == .unwritten }
    }

    /// Nothing more will come of other nodes: who has not answered could not be reached.
    mutating func end() {
        for index in nodes.indices where nodes[index].state == .waiting {
            nodes[index].state = .unreachable
            nodes[index].detail = "no answer in time"
        }
        areOthersDone = true
    }

    var view: BlockProgress { BlockProgress(nodes: nodes, isFinished: isHereDone && areOthersDone) }

    private static func milliseconds(since begun: ContinuousClock.Instant, now: ContinuousClock.Instant) -> Int64 {
        let (seconds, attoseconds) = (now - begun).components
        return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }
}

extension BlockProgress.Hits {
    fileprivate init(_ hits: BlockHits) { self.init(keyStores: hits.keyStores, keys: hits.keys) }
}
