// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import CPlatform
import Glibc
import HSMPool
import LaneProtocol
import NodeConfig
import NodeStore
import Routing
import XKSService

/// Does what an operator asks for on the admin socket.
struct Administration: NodeAdministration {
    let components: NodeComponents
    let reloader: NodeReloader
    let signals: NodeSignals

    /// How long the disk may take before an answer goes out without it: less than who asks waits.
    private static let diskTime = Duration.seconds(2)

    // MARK: Showing

    func status() -> AdminStatus {
        let transitions = components.store.transitions(limit: AdminStatus.transitionLimit).reversed().map(
            HSMTransition.init)
        return AdminStatus(
            status: components.status.status(), transitions: transitions, asOfUnixSeconds: Int64(time(nil)))
    }

    func requests() -> RequestsReport {
        let (now, milliseconds) = (claviger_monotonic_nanoseconds(), Int64(UnixTime.milliseconds()))
        let operations = components.pool.operationsUnderWay(limit: RequestsReport.mostUnderWay)
        let underWay = components.service.requestsUnderWay(operations).prefix(RequestsReport.mostUnderWay)
        return RequestsReport(
            node: components.status.name, inFlight: components.service.requestsInFlight,
            underWay: underWay.map { .init($0, now: now, unixMilliseconds: milliseconds) },
            slowest: components.slowest.slowest(now: now))
    }

    func clusterHealth() -> ClusterHealth { components.status.clusterHealth() }

    func metrics() -> String { components.status.metrics() }

    func beginDiagnosis() -> String {
        var generator = SystemRandomNumberGenerator()
        return components.service.diagnostics.begin(
            now: claviger_monotonic_nanoseconds(), chance: (generator.next(), generator.next()))
    }

    func logTail() -> [String] { components.logTail }

    func forget(node: String, user: String) async -> AdminAnswer {
        guard let cluster = components.neighbours.cluster else {
            return .refused("this node is no part of a cluster: [cluster] is not configured")
        }
        let author = "\(user)@\(components.neighbours.node.id)"
        switch await cluster.forget(node, by: author, unixSeconds: Int64(time(nil))) {
        case nil:
            components.neighbours.remember()
            components.logger.notice("node of the cluster forgotten", metadata: ["node": "\(node)", "by": "\(author)"])
            let rest =
                switch await components.store.saved(within: Self.diskTime, done: { _ in }) {
                case true?: ""
                case false?: " The store could not be written: a restart will forget this order."
                case nil: " It is not on the disk yet: a restart before it is will forget this order."
                }
            return .done(
                "\(node) is forgotten: orders no longer wait for it, and the other nodes are told. If it still runs "
                    + "somewhere, it does not know of orders that were given meanwhile; it is counted on again when it "
                    + "speaks." + rest)
        case .unknown(let known):
            return .unknown("the cluster has no node of the name \(node)", name: node, known: known)
        case .isLive:
            return .refused("\(node) answers: end it there (claviger drain), and it says goodbye by itself")
        case .isHere: return .refused("\(node) is this node")
        case .hasLeft: return .refused("\(node) has left, or is forgotten already: no order waits for it")
        }
    }

    // MARK: HSMs and keys

    func drain(_ hsm: String) async -> AdminAnswer {
        guard components.pool.drain(hsm, true) else { return unknown(hsm) }
        components.neighbours.factsChanged()
        let rest = components.status.status()
        let durable = await components.store.saved(within: Self.diskTime) { _ in }
        var words = ["\(hsm) is drained: it gets no new requests."]
        if !rest.hasUsableHSM {
            words.append(
                rest.canForward
                    ? "No other HSM of this node can serve: requests are passed on to other nodes."
                    : "No other HSM can serve: every request fails until one can, or this one is undrained.")
        }
        if durable == false { words.append("The store could not be written: a restart will forget it.") }
        if durable == nil { words.append("It is not on the disk yet: a restart before it is will forget it.") }
        return .done(words.joined(separator: " "))
    }

    func drain(_ hsm: String, seconds: Int) async -> AdminAnswer {
        let status = components.status.status()
        guard status.hsms.contains(where: { $0.name == hsm }) else { return unknown(hsm) }
        if let reason = status.reason(toKeep: hsm) { return .refused("\(hsm) stays in use: \(reason)") }
        switch components.pool.drain(hsm, seconds: seconds) {
        case .unknownHSM: return unknown(hsm)
        case .isDrained: return .refused("\(hsm) is drained already")
        case .isOver, .done: break
        }
        components.neighbours.factsChanged()
        return .done("\(hsm) is drained for \(seconds) s, unless that is prolonged: then it is put back by itself.")
    }

    func prolongDrain(of hsm: String, seconds: Int) async -> AdminAnswer {
        switch components.pool.prolongDrain(of: hsm, seconds: seconds) {
        case .unknownHSM: unknown(hsm)
        case .isOver, .isDrained: .refused("\(hsm) is not drained for a time: it is over, or somebody has put it back")
        case .done: .done("\(hsm) is drained for \(seconds) s from now.")
        }
    }

    func undrain(_ hsm: String) async -> AdminAnswer {
        guard components.pool.drain(hsm, false) else { return unknown(hsm) }
        components.neighbours.factsChanged()
        let durable = await components.store.saved(within: Self.diskTime) { _ in }
        let rest =
            switch durable {
            case true?: ""
            case false?: " The store could not be written: a restart will drain it again."
            case nil: " It is not on the disk yet: a restart before it is will drain it again."
            }
        return .done("\(hsm) is back in use." + rest)
    }

    func trust(key: String, hsm: String) async -> AdminAnswer {
        switch components.pool.trust(key: KeyLabel(key), hsm: hsm) {
        case nil:
            .done("\(key): what \(hsm) holds is taken for the key. The other HSMs are compared with it now.")
        case .unknownHSM: unknown(hsm)
        case .notListed:
            .unknown(
                "\(hsm) lists no key of label \(key)", name: key,
                known: components.pool.keys().prefix(100).map(\.label.text))
        case .usageNotPermitted:
            .refused(
                "\(key) on \(hsm) may not both encrypt and decrypt (CKA_ENCRYPT, CKA_DECRYPT), so it can prove nothing")
        case .ambiguous(let count):
            .refused(
                "\(count) keys of label \(key) lie on \(hsm), and it cannot be told which one is meant: give all but the "
                    + "right one another label (CKA_LABEL), then give this order again")
        }
    }

    func forget(key: String) async -> AdminAnswer {
        switch components.pool.forget(key: KeyLabel(key), author: "node \(components.neighbours.node.id)") {
        case .unknownKey:
            return .unknown(
                "nothing is known of a key of label \(key)", name: key,
                known: components.pool.keys().prefix(100).map(\.label.text))
        case .isHeld(let hsm):
            return .refused("\(hsm) holds \(key): there is nothing to forget while an HSM does")
        case nil: break
        }
        components.neighbours.factsChanged()
        let durable = await components.store.saved()
        return .done(
            "\(key) is forgotten: whoever asks for it is told that there is no such key. Other nodes are told."
                + (durable ? "" : " The store could not be written: a restart will remember the key again."))
    }

    private func unknown(_ hsm: String) -> AdminAnswer {
        .unknown(
            "there is no HSM of the name \(hsm)", name: hsm, known: components.pool.status().map(\.shown.name))
    }

    // MARK: Break glass

    func block(_ order: BlockOrder) async -> AdminResult<BlockReceipt> { await components.blocks.order(order) }
    func outlook(on order: BlockOrder) -> AdminResult<BlockOutlook> { components.blocks.outlook(on: order) }
    func lift(_ order: LiftOrder) async -> AdminResult<BlockReceipt> { await components.blocks.lift(order) }
    func bootstrap(user: String) async -> AdminAnswer { await components.blocks.bootstrap(by: user) }
    func progress(ofOrder number: UInt64) -> BlockProgress? { components.blocks.progress(of: number) }
    func blocks() -> BlockListing { components.blocks.listing() }

    // MARK: The node

    func reload(isForced: Bool) async -> AdminAnswer { await reloader.reload(isForced: isForced) }

    func setLogLevel(_ level: String) async -> AdminAnswer {
        guard NodeIdentitySettings.logLevels.contains(level) else {
            return .unknown(
                "there is no level \(level) of the log", name: level, known: NodeIdentitySettings.logLevels)
        }
        let before = components.setLogLevel(level)
        components.logger.notice("log level set", metadata: ["is": "\(level)", "was": "\(before)"])
        return .done(
            "The log begins at level \(level), until the next reload or restart; it was \(before). To keep it: log_level in "
                + "[node].")
    }

    func auditHeads(of node: String?) -> AuditHeads { components.neighbours.heads.all(of: node) }

    func drainNode() async -> AdminAnswer {
        signals.send(.stop)
        return .done("The node leaves, finishes what is in flight, and ends.")
    }
}

extension RequestsReport.UnderWay {
    fileprivate init(_ request: RequestUnderWay, now: UInt64, unixMilliseconds: Int64) {
        let age = now > request.receivedAt ? now - request.receivedAt : 0
        let (place, hsms, peer): (Place, [String], String?) =
            switch request.place {
            case .hsms(let names): (.hsm, names, nil)
            case .line: (.waiting, [], nil)
            case .check(let names): (.checking, names, nil)
            case .peer(let name): (.peer, [], name)
            }
        self.init(
            kmsRequestId: request.requestID, operation: request.operation?.rawValue, keyStore: request.keyStore,
            key: request.externalKeyID, sinceUnixMilliseconds: unixMilliseconds - Int64(clamping: age / 1_000_000),
            ageMicroseconds: age / 1_000, place: place, hsms: hsms, peer: peer, attempts: request.attempts,
            forwardedBy: request.forwardedBy)
    }
}
