// SPDX-License-Identifier: Apache-2.0
import AdminProtocol

extension ControlAnswer {
    /// What the admin socket answers, and the methods that its path allows.
    static func make(
        method: String, path: String, query: String?, administration: any NodeAdministration
    ) async -> (answer: ControlAnswer, allowed: String) {
        do throws(AdminRequest.Refusal) {
            let request = try AdminRequest.parse(method: method, path: path, query: query)
            return (await perform(request, administration), "")
        } catch {
            switch error {
            case .noSuchPath:
                let text =
                    "no such path; there are /status, /hsm/NAME/drain, /hsm/NAME/undrain and "
                    + "/key/LABEL/trust?hsm=NAME"
                return (json(404, AdminReply(error: text)), "")
            case .methodNotAllowed(let allowed):
                return (json(405, AdminReply(error: "only \(allowed) is allowed")), allowed)
            case .malformed(let text):
                return (json(400, AdminReply(error: text)), "")
            }
        }
    }

    private static func perform(
        _ request: AdminRequest, _ administration: any NodeAdministration
    ) async -> ControlAnswer {
        switch request {
        case .status: json(200, administration.status())
        case .drain(let hsm): reply(await administration.drain(hsm))
        case .undrain(let hsm): reply(await administration.undrain(hsm))
        case .trust(let key, let hsm): reply(await administration.trust(key: key, hsm: hsm))
        }
    }

    private static func reply(_ answer: AdminAnswer) -> ControlAnswer {
        switch answer {
        case .done(let message): json(200, AdminReply(message: message))
        case .unknown(let error, let name, let known): json(404, AdminReply(error: error, name: name, known: known))
        case .refused(let error): json(409, AdminReply(error: error))
        case .failed(let error): json(500, AdminReply(error: error))
        }
    }
}
