// SPDX-License-Identifier: Apache-2.0
import AdminProtocol

extension ControlAnswer {
    /// What the admin socket answers, and the methods that its path allows.
    ///
    /// - Parameters:
    ///   - body: `nil` when it is longer than `AdminRequest.longestBody`.
    ///   - peer: asked once it is known that there is something to be asked.
    static func make(
        method: String, path: String, query: String?, body: [UInt8]?, peer: AdminCaller,
        administration: any NodeAdministration
    ) async -> (answer: ControlAnswer, allowed: String) {
        guard let body else {
            let text = "the body is longer than \(AdminRequest.longestBody) bytes"
            return (json(413, AdminReply(error: text)), "")
        }
        do throws(AdminRequest.Refusal) {
            let request = try AdminRequest.parse(method: method, path: path, query: query, body: body)
            return (await perform(request, peer, administration), "")
        } catch {
            switch error {
            case .noSuchPath:
                let text =
                    "no such path; there are /status, /requests, /metrics, /cluster, /cluster/bootstrap, /blocks, /blocks/lift, "
                    + "/blocks/orders/NUMBER, /reload, /reload/force, /drain, /diagnosis, /log/level/LEVEL, /log/tail, /audit/heads, "
                    + "/hsm/NAME/drain, "
                    + "/hsm/NAME/drain-for?seconds=NUMBER, /hsm/NAME/undrain, "
                    + "/key/LABEL/trust?hsm=NAME, /key/LABEL/forget and /cluster/NODE/forget?user=NAME"
                return (json(404, AdminReply(error: text)), "")
            case .methodNotAllowed(let allowed):
                return (json(405, AdminReply(error: "only \(allowed) is allowed")), allowed)
            case .malformed(let text):
                return (json(400, AdminReply(error: text)), "")
            }
        }
    }

    /// Carries out what the peer may order, in the name of who it is by the kernel's word, and records it.
    private static func perform(
        _ request: AdminRequest, _ caller: AdminCaller, _ administration: any NodeAdministration
    ) async -> ControlAnswer {
        guard let peer = await caller.peer() else {
            return json(403, AdminReply(error: "the system does not tell who gives this order"))
        }
        if case .blockOnly(let reason) = peer.right, !request.isOfBlocking {
            await caller.record(request, by: "uid-\(peer.user)", peer, status: 403)
            return json(403, AdminReply(error: "refused: \(reason)"))
        }
        guard request.orderWords != nil else { return await perform(request, administration) }
        let author = await caller.author(of: request, peer)
        let answer: ControlAnswer
        if request.isWeakening, caller.recorder?.isRefusing == true {
            let text =
                "refused: no audit record of it can be written (on_full = \"refuse\" in [audit]); `claviger status` says "
                + "why"
            answer = json(409, AdminReply(error: text))
        } else {
            answer = await perform(request.by(author.shown), administration)
        }
        await caller.record(request, by: author, peer, status: answer.status)
        return answer
    }

    private static func perform(
        _ request: AdminRequest, _ administration: any NodeAdministration
    ) async -> ControlAnswer {
        switch request {
        case .status: json(200, administration.status())
        case .requests: json(200, administration.requests())
        case .metrics: metrics(administration.metrics())
        case .cluster: json(200, administration.clusterHealth())
        case .blocks: json(200, administration.blocks())
        case .progress(let order): progress(order, administration)
        case .block(let order): reply(await administration.block(order))
        case .outlook(let order): reply(administration.outlook(on: order))
        case .lift(let order): reply(await administration.lift(order))
        case .bootstrap(let order): reply(await administration.bootstrap(user: order.user))
        case .reload(let isForced): reply(await administration.reload(isForced: isForced))
        case .logLevel(let level): reply(await administration.setLogLevel(level))
        case .logTail: json(200, LogTail(lines: administration.logTail()))
        case .auditHeads(let node): json(200, administration.auditHeads(of: node))
        case .drainNode: reply(await administration.drainNode())
        // Named: `.done` alone would be that of a result that is JSON by itself.
        case .diagnosis: reply(AdminAnswer.done(administration.beginDiagnosis()))
        case .drain(let hsm): reply(await administration.drain(hsm))
        case .drainFor(let hsm, let seconds, isProlonged: false):
            reply(await administration.drain(hsm, seconds: seconds))
        case .drainFor(let hsm, let seconds, isProlonged: true):
            reply(await administration.prolongDrain(of: hsm, seconds: seconds))
        case .undrain(let hsm): reply(await administration.undrain(hsm))
        case .trust(let key, let hsm): reply(await administration.trust(key: key, hsm: hsm))
        case .forget(let key): reply(await administration.forget(key: key))
        case .forgetNode(let node, let user): reply(await administration.forget(node: node, user: user))
        }
    }

    private static func reply(_ answer: AdminAnswer) -> ControlAnswer {
        switch answer {
        case .done(let message, let warnings):
            json(200, AdminReply(message: message, warnings: warnings.isEmpty ? nil : warnings))
        case .unknown(let error, let name, let known): json(404, AdminReply(error: error, name: name, known: known))
        case .refused(let error): json(409, AdminReply(error: error))
        case .failed(let error): json(500, AdminReply(error: error))
        }
    }

    private static func reply(_ result: AdminResult<some Encodable & Sendable>) -> ControlAnswer {
        switch result {
        case .done(let value): json(200, value)
        case .malformed(let error): json(400, AdminReply(error: error))
        case .unknown(let error): json(404, AdminReply(error: error))
        }
    }

    private static func progress(_ order: UInt64, _ administration: any NodeAdministration) -> ControlAnswer {
        guard let progress = administration.progress(ofOrder: order) else {
            let text = "this node has no order of the number \(order): it forgets old ones, and all when it ends"
            return json(404, AdminReply(error: text))
        }
        return json(200, progress)
    }
}
