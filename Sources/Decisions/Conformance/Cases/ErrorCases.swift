// SPDX-License-Identifier: Apache-2.0
import XKSCalls
import XKSProtocol

extension ConformanceCase {
    /// The same three questions of each kind of error.
    static let errors: [ConformanceCase] =
        kinds.flatMap { kind in
            [
                ConformanceCase(
                    "errors-\(kind.word)-body", .errors, .must, Section.errors,
                    "\(kind.title) is told by a JSON object with errorName",
                    [
                        .call(
                            kind.request,
                            kind.refused.and("errorName") { AnswerShape.errorFlaw($0.json) ?? $0.objectFlaw })
                    ]),
                ConformanceCase(
                    "errors-\(kind.word)-message", .errors, .must, Section.errors,
                    "\(kind.title): errorMessage, if there is one, has less than 512 characters of printable ASCII",
                    [.call(kind.request, kind.refused.and("errorMessage") { AnswerShape.errorMessageFlaw($0.json) })]),
                ConformanceCase(
                    "errors-\(kind.word)-type", .errors, .must, Section.content,
                    "\(kind.title) is told as application/json",
                    [.call(kind.request, kind.refused.typed)]),
                ConformanceCase(
                    "errors-\(kind.word)-silence", .errors, .hardening, Section.errors,
                    "\(kind.title) is told without the request's content or the program's insides",
                    [.call(kind.request, kind.refused.discreet)]),
            ]
        } + [
            ConformanceCase(
                "errors-method-body", .errors, .note, Section.errors, "What a 405 says",
                [
                    .health(.readingOfBody) {
                        $0.method = "GET"
                        $0.rawBody = []
                    }
                ])
        ]

    private struct Kind {
        var word: String
        var title: String
        var request: DraftRequest
        var refused: Expectation
    }

    private static let kinds = [
        Kind(
            word: "authentication", title: "A wrong signature",
            request: DraftRequest(.encrypt) { $0.signedBy = .wrongSecret }, refused: .refused(.authenticationFailed)),
        Kind(
            word: "path", title: "A path that there is not",
            request: DraftRequest(.health) { $0.target += "/certify" }, refused: .refused(.invalidURIPath)),
        Kind(
            word: "key", title: "A key that there is not",
            request: DraftRequest(.encrypt) { $0.key = "certify-no-such-key" }, refused: .refused(.keyNotFound)),
        Kind(
            word: "validation", title: "A request that is malformed",
            request: DraftRequest(.encrypt) { $0.field("additionalAuthenticatedData", "7") },
            refused: .refused(.validation)),
        Kind(
            word: "ciphertext", title: "A wrong ciphertext", request: DraftRequest(.decrypt),
            refused: .refused(.invalidCiphertext)),
    ]
}

extension Expectation {
    /// What tells a stranger how a program is made.
    private static let insides = [
        "traceback", "stack trace", "exception in thread", "java.lang", "at org.", "panicked at", "goroutine ",
        "fatal error:", ".swift:", ".rs:", ".go:", ".py\"", "node_modules",
    ]

    /// Without the plaintext, the signature, the principal, and traces of a program.
    var discreet: Expectation {
        and("nothing of the request's content, nothing of the program") { judged in
            let text = String(decoding: judged.answer?.body ?? [], as: UTF8.self)
            let signature = judged.request.head.headers.first { $0.name == "Authorization" }?.value.suffix(64) ?? "-"
            if text.contains(signature) { return "the answer repeats the request's signature" }
            let plaintext = String(JSONObject.base64(judged.draft.plaintext).dropFirst().prefix(20))
            let plain = String(decoding: judged.draft.plaintext, as: UTF8.self)
            if text.contains(plaintext) || text.contains(plain) { return "the answer repeats the plaintext" }
            let found = Self.insides.first { text.lowercased().contains($0) }
            return found.map { "the answer holds \"\($0)\", which looks like a program's own trace" }
        }
    }

    static let readingOfBody: Expectation = {
        var expectation = Expectation("no error name is defined for it") { judged in
            let body = judged.answer?.body ?? []
            return "\(judged.seen), a body of \(body.count) bytes\(judged.contentTypeFlaw == nil ? " of JSON" : "")"
        }
        expectation.isReading = true
        return expectation
    }()
}
