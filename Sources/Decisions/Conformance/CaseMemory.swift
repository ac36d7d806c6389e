// SPDX-License-Identifier: Apache-2.0
import XKSCalls
import XKSProtocol

/// What a case keeps of its answers, for requests and judgements that follow.
package struct CaseMemory: Sendable {
    /// All encryptions, the last at the end.
    private(set) var encryptions: [SealedFields] = []
    /// Of the last.
    private(set) var plaintext: [UInt8] = []
    private(set) var additionalData: [UInt8]?
    private(set) var key: String?
    /// Of the answer before the one that is judged.
    fileprivate(set) var lastBody: [UInt8]?

    mutating func remember(_ sealed: SealedFields, of draft: Draft) {
        encryptions.append(sealed)
        plaintext = draft.plaintext
        additionalData = draft.additionalData
        key = draft.key
    }

    /// Where nothing has been encrypted: of the right form, and made by nobody.
    static let foreign = SealedFields(
        ciphertext: Array("claviger-certify".utf8), initializationVector: Array(1...12),
        authenticationTag: Array(1...16))
}

/// Leads one case through its steps: makes the requests, and judges what came. Time is an argument.
package struct CaseRun: Sendable {
    private let subject: ConformanceSubject
    /// Makes the ids by which the proxy's log knows the requests of a case.
    private let requestID: String
    private var memory = CaseMemory()
    /// Of several connections at a time, which one this is, from 0.
    package var lane = 0

    package init(_ test: ConformanceCase, subject: ConformanceSubject, runID: String) {
        self.subject = subject
        requestID = "certify-\(runID)-\(test.id)"
    }

    /// What is encrypted where a case does not say: nobody's data.
    package static let plaintext = Array("This is what claviger certify encrypts, and nobody's data.".utf8)

    package func compose(_ request: DraftRequest, now: Int64) -> ComposedRequest {
        draft(request).composed(now: now, requestID: requestID)
    }

    private func draft(_ request: DraftRequest) -> Draft {
        let key = request.operation == .decrypt ? memory.key ?? subject.key : subject.key
        var draft = Draft(
            operation: request.operation, subject: subject, sealed: memory.encryptions.last ?? CaseMemory.foreign,
            plaintext: Self.plaintext, key: key, region: subject.region, target: "")
        if request.operation == .decrypt { draft.additionalData = memory.additionalData }
        draft.memory = memory
        draft.lane = lane
        draft.target = subject.endpoint.target(request.operation, key: key)
        request.alter(&draft)
        if draft.key != key, draft.target == subject.endpoint.target(request.operation, key: key) {
            draft.target = subject.endpoint.target(request.operation, key: draft.key)
        }
        return draft
    }

    /// What a step has shown.
    package enum Judgement: Sendable, Equatable {
        case held
        case broken(expected: String, seen: String)
        /// Of a case with several readings: the one that was seen.
        case reading(String)
    }

    /// - Parameter sent: what `compose` has given for `request`.
    package mutating func judge(
        _ observation: Observation, of request: DraftRequest, sent: ComposedRequest, _ expectation: Expectation
    ) -> Judgement {
        var judged = Judged(observation: observation, draft: draft(request), request: sent, memory: memory)
        let flaw = expectation.judge(&judged)
        memory = judged.memory
        memory.lastBody = observation.answer?.body
        if expectation.isReading { return .reading(flaw ?? judged.seen) }
        return flaw.map { .broken(expected: expectation.text, seen: $0) } ?? .held
    }
}
