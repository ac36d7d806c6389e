// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Foundation
import HTTPTypes
import Hummingbird
import StatusVocabulary

/// What the control listener reads of a request.
struct ControlRequest {
    var method: String
    var path: String
    var query: String?
    /// Header fields of these names.
    var authorization: String?
    var ifNoneMatch: String?
}

/// What a listener answers to a request: the whole of it, without any network.
struct ControlAnswer: Equatable {
    /// HTTP status code.
    var status: Int
    var contentType: String
    var body: [UInt8]
    /// Cache-Control.
    var caching = "no-store"
    /// Header fields besides.
    var fields: [String: String] = [:]

    init(status: Int, contentType: String, body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    /// The paths that are answered without a token: load balancers and supervisors have none.
    private static let openPaths: Set = ["/ping", "/livez", "/readyz"]

    /// The paths of the control listener.
    ///
    /// - `/`, `/status`: the status page; people look at it.
    /// - `/ping`: the process is up.
    /// - `/livez`: as `/ping`, in JSON; a supervisor that restarts the process asks this.
    /// - `/readyz`: 200 when the node can serve, by an HSM of its own or by another node, else 503; a load balancer
    ///   asks this.
    /// - `/health`: the status, with keys only as counts, always 200; people ask this.
    /// - `/metrics`: counters and gauges; Prometheus asks this.
    /// - `/cluster/health`: every node as this one sees it, always 200; people and monitoring ask this.
    ///
    /// - Parameters:
    ///   - page: `nil` where there is no status page.
    ///   - token: `nil` where everybody is answered.
    static func make(
        _ request: ControlRequest, source: some NodeStatusSource, page: (any PageSource)?, token: ControlToken?
    ) -> ControlAnswer {
        let isTrusted = token.map { $0.isShown(in: request.authorization) } ?? true
        guard isTrusted || openPaths.contains(request.path) else {
            return json(401, AdminReply(error: "show the token of [control]: Authorization: Bearer …"))
        }
        let answer: ControlAnswer
        switch request.path {
        case "/ping":
            answer = ControlAnswer(status: 200, contentType: "text/plain; charset=utf-8", body: Array("pong\n".utf8))
        case "/livez":
            answer = json(200, Liveness(live: true))
        case "/readyz":
            let status = source.status()
            answer = json(status.isReady ? 200 : 503, Readiness(status, isTrusted: isTrusted))
        case "/health":
            answer = json(200, Health(source.status()))
        case "/cluster/health":
            answer = json(200, source.clusterHealth().withoutNames)
        case "/metrics":
            answer = metrics(source.metrics())
        default:
            guard let file = page?.file(at: request.path) else {
                let status = page == nil ? "" : "/, "
                let text =
                    "no such path; there are \(status)/ping, /livez, /readyz, /health, /cluster/health and /metrics"
                return json(404, AdminReply(error: text))
            }
            answer = make(file, to: request)
        }
        guard request.method == "GET" || request.method == "HEAD" else {
            return json(405, AdminReply(error: "only GET and HEAD are allowed"))
        }
        return answer
    }

    static func metrics(_ text: String) -> ControlAnswer {
        ControlAnswer(
            status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8", body: Array(text.utf8))
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

/// The body of `/readyz`. Where a token is asked for, who shows none learns of no HSM.
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
    var hsms: [HSM]?

    init(_ status: NodeStatus, isTrusted: Bool) {
        ready = status.isReady
        draining = status.draining
        canForward = status.canForward
        guard isTrusted else { return }
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
                .contentType: answer.contentType, .cacheControl: answer.caching, .contentLength: "\(answer.body.count)",
            ],
            body: method == "HEAD" ? .init() : .init(byteBuffer: ByteBuffer(bytes: answer.body)))
        for (name, value) in answer.fields {
            if let name = HTTPField.Name(name) { headers[name] = value }
        }
        if answer.status == 304 { headers[.contentLength] = nil }
        if answer.status == 401 { headers[values: .wwwAuthenticate] = ControlToken.challenges }
        if answer.status == 405 { headers[.allow] = allowed }
    }
}
