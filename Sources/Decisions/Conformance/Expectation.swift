// SPDX-License-Identifier: Apache-2.0
import XKSCalls
import XKSProtocol

/// What came of a request.
package struct Observation: Sendable {
    package enum Outcome: Sendable, Equatable {
        case answer(HTTPAnswer)
        /// The proxy ended the connection instead of answering; how, in words.
        case ended(String)
        /// Nothing came within the time that a case gives.
        case silent
        /// What came is no answer of HTTP.
        case malformed(String)
        /// There was no connection.
        case unreachable(String)
    }

    package var outcome: Outcome
    /// From the first byte sent to the last of the answer.
    package var milliseconds: Double
    /// For connecting, TLS included; 0 where the connection was there.
    package var connectMilliseconds: Double

    package init(_ outcome: Outcome, milliseconds: Double, connectMilliseconds: Double) {
        self.outcome = outcome
        self.milliseconds = milliseconds
        self.connectMilliseconds = connectMilliseconds
    }

    var answer: HTTPAnswer? {
        guard case .answer(let answer) = outcome else { return nil }
        return answer
    }
}

/// What an answer is judged with: the request that it answers, and what the case's other answers have given.
struct Judged {
    let observation: Observation
    let draft: Draft
    let request: ComposedRequest
    var memory: CaseMemory

    var answer: HTTPAnswer? { observation.answer }
    var json: JSONValue? { answer.flatMap { JSONValue($0.body) } }
}

/// What an answer must be. `judge` returns what is wrong, `nil` where nothing is.
package struct Expectation: Sendable {
    /// For the report: "401 AuthenticationFailedException".
    package let text: String
    let judge: @Sendable (inout Judged) -> String?
    /// For what has several readings: says which one was seen, whatever came.
    var isReading = false

    init(_ text: String, _ judge: @escaping @Sendable (inout Judged) -> String?) {
        self.text = text
        self.judge = judge
    }

    /// Both must hold.
    func and(_ more: String, _ judge: @escaping @Sendable (inout Judged) -> String?) -> Expectation {
        Expectation("\(text), \(more)") { judged in self.judge(&judged) ?? judge(&judged) }
    }
}

extension Judged {
    /// What came, for a sentence: `200`, `400 ValidationException`, `no answer within the time`.
    var seen: String {
        switch observation.outcome {
        case .answer(let answer):
            let name = json?["errorName"]?.text.map { " " + Self.printable($0) }
            return "\(answer.status)\(name ?? "")"
        case .ended(let reason): return "the connection was closed" + (reason.isEmpty ? "" : " (\(reason))")
        case .silent: return "no answer within the time"
        case .malformed(let what): return what
        case .unreachable(let reason): return reason
        }
    }

    /// Of a foreign text, what can be shown.
    static func printable(_ text: String, atMost count: Int = 80) -> String {
        let shown = text.unicodeScalars.prefix(count).map { (0x20...0x7E).contains($0.value) ? Character($0) : "?" }
        return String(shown) + (text.unicodeScalars.count > count ? "…" : "")
    }

    /// What is wrong with the content type; `nil` where it is JSON's.
    var contentTypeFlaw: String? {
        let types = answer?.values(of: "content-type") ?? []
        let first = types.first?.lowercased().split(separator: ";").first.map { $0.filter { $0 != " " } }
        guard types.count == 1, first == "application/json" else {
            return "the content type is \(types.isEmpty ? "missing" : Self.printable(types.joined(separator: ", ")))"
        }
        return nil
    }

    /// What is wrong with the body as a JSON object in which each field stands once.
    var objectFlaw: String? {
        guard case .object? = json else { return "the body is not a JSON object" }
        let repeated = json?.repeatedNames ?? []
        return repeated.isEmpty ? nil : "the body has the field \(Self.printable(repeated[0])) twice"
    }
}

extension Expectation {
    // MARK: Success

    /// 200, and a JSON object.
    static func success(_ text: String, _ judge: @escaping @Sendable (inout Judged) -> String?) -> Expectation {
        Expectation("200\(text)") { judged in
            guard judged.answer?.status == 200 else { return judged.seen }
            return judged.objectFlaw ?? judge(&judged)
        }
    }

    static let health = success("") { AnswerShape.healthFlaw($0.json) }
    static let metadata = success("") { AnswerShape.metadataFlaw($0.json) }

    /// 200, the fields, and the sizes that go with the plaintext; the case's decryptions take them.
    static let encrypted = success("") { judged in
        switch AnswerShape.sealed(judged.json, plaintext: judged.draft.plaintext) {
        case .success(let sealed):
            judged.memory.remember(sealed, of: judged.draft)
            return nil
        case .failure(let flaw): return flaw.text
        }
    }

    /// 200, and the plaintext that was encrypted.
    static let decrypted = success(" with the plaintext") { judged in
        guard let plaintext = judged.json?["plaintext"]?.bytes else { return "there is no plaintext in base64" }
        return plaintext == judged.memory.plaintext ? nil : "the plaintext is not the one that was encrypted"
    }

    // MARK: Refusals

    /// A status and an error name that belong together, one of these.
    static func refused(_ names: XKSError.Name...) -> Expectation { refused(names) }

    static func refused(_ names: [XKSError.Name]) -> Expectation {
        Expectation(names.map { "\($0.status) \($0.rawValue)" }.joined(separator: " or ")) { judged in
            guard let answer = judged.answer else { return judged.seen }
            let told = judged.json?["errorName"]?.text
            return names.contains { $0.status == answer.status && $0.rawValue == told } ? nil : judged.seen
        }
    }

    /// These statuses, whatever the body says.
    static func status(_ statuses: Int...) -> Expectation {
        Expectation(statuses.map(String.init).joined(separator: " or ")) { judged in
            judged.answer.map { statuses.contains($0.status) } == true ? nil : judged.seen
        }
    }

    /// Any status of a client's or server's error.
    static let anyRefusal = Expectation("a refusal") { judged in
        judged.answer.map { (400...599).contains($0.status) } == true ? nil : judged.seen
    }

    /// A refusal, or the end of the connection; never silence.
    static let refusedOrClosed = Expectation("a refusal, or the end of the connection") { judged in
        switch judged.observation.outcome {
        case .ended: nil
        case .answer(let answer) where (400...599).contains(answer.status): nil
        default: judged.seen
        }
    }

    /// Anything but silence.
    static let handled = Expectation("an answer, or the end of the connection") { judged in
        switch judged.observation.outcome {
        case .ended, .answer: nil
        default: judged.seen
        }
    }

    // MARK: Readings

    /// Two readings are possible: what was seen is told.
    static func reading(_ meaning: String) -> Expectation {
        var expectation = Expectation(meaning) { judged in judged.seen }
        expectation.isReading = true
        return expectation
    }
}
