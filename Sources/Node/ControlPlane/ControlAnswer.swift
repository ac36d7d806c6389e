// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Foundation
import Hummingbird
import StatusVocabulary

/// What a listener answers to a request: the whole of it, without any network.
struct ControlAnswer: Equatable {
    /// HTTP status code.
    var status: Int
    var contentType: String
    var body: [UInt8]

    /// The paths of the control listener.
    ///
    /// - `/ping`: the process is up.
    /// - `/livez`: as `/ping`, in JSON; a supervisor that restarts the process asks this.
    /// - `/readyz`: 200 when the node can serve, by an HSM of its own or by another node, else 503; a load balancer
    ///   asks this.
    /// - `/health`: the status, with keys only as counts, always 200; people ask this.
    /// - `/metrics`: counters and gauges; Prometheus asks this.
    /// - `/cluster/health`: every node as this one sees it, always 200; people and monitoring ask this.
    static func make(method: String, path: String, source: some NodeStatusSource) -> ControlAnswer {
        let answer: ControlAnswer
        switch path {
        case "/ping":
            answer = ControlAnswer(status: 200, contentType: "text/plain; charset=utf-8", body: Array("pong\n".utf8))
        case "/livez":
            answer = json(200, Liveness(live: true))
        case "/readyz":
            let status = source.status()
            answer = json(status.isReady ? 200 : 503, Readiness(status))
        case "/health":
            answer = json(200, Health(source.status()))
        case "/cluster/health":
            answer = json(200, source.clusterHealth().withoutNames)
        case "/metrics":
            answer = ControlAnswer(
                status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8",
                body: Array(source.metrics().utf8))
        default:
            let text = "no such path; there are /ping, /livez, /readyz, /health, /cluster/health and /metrics"
            return json(404, AdminReply(error: text))
        }
        guard method == "GET" || method == "HEAD" else {
            return json(405, AdminReply(error: "only GET and HEAD are allowed"))
        }
        return answer
    }

    static func json(_ status: Int, _ value: some Encodable) -> ControlAnswer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let body = try? encoder.encode(value) else {
            return ControlAnswer(status: 500, contentType: "application/json", body: Array("{}\n".utf8))
        }
        return ControlAnswer(status: status, contentType: "application/json", body: Array(body) + [UInt8(ascii: "\n")])
    }
}

private struct Liveness: Encodable {
    var live: Bool
}

/// The body of `/readyz`.
private struct Readiness: Encodable {
    struct HSM: Encodable {
        var name: String
        var state: HSMState
        var reason: String?
    }

    var ready: Bool
    var draining: Bool
    var canForward: Bool
    var blocksUnknown: String?
    var hsms: [HSM]

    init(_ status: NodeStatus) {
        ready = status.isReady
        draining = status.draining
        canForward = status.canForward
        blocksUnknown = status.blocksUnknown
        hsms = status.hsms.map { HSM(name: $0.name, state: $0.state, reason: $0.reason) }
    }
}

/// The body of `/health`: the status, and what it amounts to. Which keys there are is shown at the admin socket only:
/// labels may say more of an owner's business than everybody in this network need know.
private struct Health: Encodable {
    var node: String
    var version: String
    var draining: Bool
    var ready: Bool
    var verdict: NodeStatus.Verdict
    var hsms: [HSMStatus]
    var store: StoreStatus
    var keysServed: Int
    var keysExcluded: Int
    var canForward: Bool
    var blocksUnknown: String?
    /// How many: their texts name keys.
    var disagreements: Int
    var conditions: [Condition]

    init(_ status: NodeStatus) {
        node = status.node
        version = status.version
        draining = status.draining
        ready = status.isReady
        verdict = status.verdict
        hsms = status.hsms.map(\.withoutNames)
        store = status.store
        keysServed = status.keysServed
        keysExcluded = status.keysExcluded
        canForward = status.canForward
        blocksUnknown = status.blocksUnknown
        disagreements = status.disagreements.count
        conditions = status.conditions.map(\.withoutNames)
    }
}

extension Response {
    /// An answer as it goes out. `HEAD` gets the header fields alone.
    init(_ answer: ControlAnswer, to method: String, allowed: String) {
        self.init(
            status: .init(code: answer.status),
            headers: [
                .contentType: answer.contentType, .cacheControl: "no-store", .contentLength: "\(answer.body.count)",
            ],
            body: method == "HEAD" ? .init() : .init(byteBuffer: ByteBuffer(bytes: answer.body)))
        if answer.status == 405 { headers[.allow] = allowed }
    }
}
