// SPDX-License-Identifier: Apache-2.0
import Crypto
import KMSPlay
import KMSWords
import Testing
import XKSCalls
import XKSProtocol

@Suite("What KMS's callers see")
struct PlayedCallTests {
    private static let key: [UInt8] = Array(1...32)
    private static let data: [UInt8] = [7, 8]
    private static let sealed = SealedFields(
        ciphertext: Array(101...132), initializationVector: Array(1...12), authenticationTag: Array(1...16),
        ciphertextMetadata: [5])

    private static func call(_ operation: PlayedOperation) -> PlayedCall {
        PlayedCall(
            operation,
            metadata: CallMetadata(principal: "p", keyARN: nil, operation: operation.kmsName, requestID: "r"),
            kept: KeptCiphertext(sealed: sealed, additionalData: data, dataKey: key), dataKey: key, additionalData: data
        )
    }

    private static func answer(_ body: String, _ status: Int = 200) -> PlayedOutcome {
        .answer(HTTPAnswer(status: status, headers: [], body: Array(body.utf8)))
    }

    private static func encrypted(integrity: [UInt8]? = nil) -> PlayedOutcome {
        let hash = Array(
            SHA256.hash(
                data: data + [5] + sealed.initializationVector + sealed.ciphertext + sealed.authenticationTag))
        return answer(
            JSONObject([
                ("ciphertext", JSONObject.base64(sealed.ciphertext)),
                ("initializationVector", JSONObject.base64(sealed.initializationVector)),
                ("authenticationTag", JSONObject.base64(sealed.authenticationTag)),
                ("ciphertextMetadata", JSONObject.base64([5])),
                ("ciphertextDataIntegrityValue", JSONObject.base64(integrity ?? hash)),
            ]).text)
    }

    private static func decrypted(_ plaintext: [UInt8] = key) -> PlayedOutcome {
        answer(JSONObject([("plaintext", JSONObject.base64(plaintext))]).text)
    }

    /// All outcomes one after another; what was asked, and the result.
    private static func play(
        _ operation: PlayedOperation, _ outcomes: PlayedOutcome...
    ) -> (asked: [XKSOperation], result: PlayedResult?) {
        var call = call(operation)
        var action = call.begin()
        var asked: [XKSOperation] = []
        var rest = outcomes[...]
        while true {
            switch action {
            case .done(let result): return (asked, result)
            case .send(let operation, _):
                asked.append(operation)
                guard let outcome = rest.popFirst() else { return (asked, nil) }
                action = call.next(outcome)
            }
        }
    }

    private static let metadata = #"{"keySpec":"AES_256","keyUsage":["ENCRYPT","DECRYPT"],"keyStatus":"ENABLED"}"#
    private static let health = #"{"ekmFleetDetails":[{"healthStatus":"UNAVAILABLE"},{"healthStatus":"DEGRADED"}]}"#

    @Test("What goes well is seen by nobody") func good() {
        let good = [
            (Self.play(.createKey, Self.answer(Self.metadata)), [XKSOperation.metadata]),
            (Self.play(.generateDataKey, Self.encrypted()), [.encrypt]),
            (Self.play(.decrypt, Self.decrypted()), [.decrypt]),
            (Self.play(.reEncrypt, Self.decrypted(), Self.encrypted()), [.decrypt, .encrypt]),
            (Self.play(.healthPoll, Self.answer(Self.health)), [.health]),
        ]
        for (played, asked) in good {
            #expect(played.asked == asked)
            #expect(played.result != nil && played.result?.view == nil && played.result?.retries == 0)
        }
        let kept = Self.play(.generateDataKey, Self.encrypted()).result?.kept
        #expect(kept?.dataKey == Self.key && kept?.additionalData == Self.data)
        #expect(kept?.sealed.ciphertext == Self.sealed.ciphertext)
    }

    @Test("A time-out is tried again once, and nothing else is") func retries() {
        let second = Self.play(.decrypt, .timeout, Self.decrypted())
        #expect(second.asked.count == 2 && second.result?.view == nil && second.result?.retries == 1)
        let twice = Self.play(.decrypt, .timeout, .timeout)
        #expect(twice.result?.view?.exception == "KMSInvalidStateException")
        #expect(twice.result?.view?.word == "no-answer" && twice.result?.requests == 2)
        // Each request of a call has its own.
        let both = Self.play(.reEncrypt, .timeout, Self.decrypted(), .timeout, Self.encrypted())
        #expect(both.result?.view == nil && both.result?.retries == 2)
        for outcome in [.noConnection, .noTLS, .broken, Self.answer("{}", 503), Self.answer("{}", 429)]
            as [PlayedOutcome]
        {
            #expect(Self.play(.decrypt, outcome).result?.requests == 1)
        }
    }

    @Test(
        "An error is told in KMS's words",
        arguments: [
            (XKSError.Name.keyNotFound, "XksKeyNotFoundException"),
            (.invalidState, "XksKeyInvalidConfigurationException"),
            (.invalidKeyUsage, "XksKeyInvalidConfigurationException"),
            (.unsupportedOperation, "XksKeyInvalidResponseException"), (.accessDenied, "KMSInvalidStateException"),
            (.throttling, "CustomKeyStoreInvalidStateException"),
            (.internalFailure, "CustomKeyStoreInvalidStateException"),
            (.validation, "CustomKeyStoreInvalidStateException"),
        ])
    func errors(name: XKSError.Name, created: String) {
        let body = #"{"errorName":"\#(name.rawValue)","errorMessage":"a\nb"}"#
        let create = Self.play(.createKey, Self.answer(body, name.status)).result
        #expect(create?.view?.exception == created)
        #expect(create?.message == "a?b")
        let decrypt = Self.play(.decrypt, Self.answer(body, name.status)).result
        #expect(decrypt?.view?.exception == "KMSInvalidStateException")
        #expect(decrypt?.view?.cause == "\(name.status) \(name.rawValue)")
        #expect(Self.play(.healthPoll, Self.answer(body, name.status)).result?.view?.exception == name.rawValue)
    }

    @Test("An answer that KMS does not take fails the call") func wrongAnswers() {
        func cause(_ operation: PlayedOperation, _ outcome: PlayedOutcome) -> String? {
            Self.play(operation, outcome).result?.view?.cause
        }
        #expect(cause(.generateDataKey, Self.encrypted(integrity: [1])) == CallerView(.integrity, .decrypt).cause)
        #expect(cause(.generateDataKey, Self.answer("{}")) == CallerView(.wrongAnswer, .decrypt).cause)
        #expect(cause(.decrypt, Self.answer("no JSON")) == CallerView(.wrongAnswer, .decrypt).cause)
        #expect(cause(.decrypt, Self.answer("{}", 500)) == CallerView(.wrongAnswer, .decrypt).cause)
        #expect(cause(.decrypt, Self.decrypted([1])) == CallerView(.wrongAnswer, .decrypt).cause)
        let other = Self.key.map { $0 ^ 1 }
        #expect(cause(.decrypt, Self.decrypted(other)) == CallerView(.otherPlaintext, .decrypt).cause)
        for (text, fault) in [
            (Self.metadata.replacing("AES_256", with: "AES_128"), PlayedFault.keySpec),
            (Self.metadata.replacing("ENABLED", with: "DISABLED"), .keyStatus),
            (Self.metadata.replacing(#""ENCRYPT","#, with: ""), .keyUsage),
        ] {
            #expect(cause(.createKey, Self.answer(text)) == CallerView(fault, .createKey).cause)
        }
        let gone = Self.health.replacing("DEGRADED", with: "UNAVAILABLE")
        #expect(cause(.healthPoll, Self.answer(gone)) == CallerView(.allUnavailable, .healthPoll).cause)
    }

    @Test("What explains a fault is known to claviger explain") func words() {
        let faults: [PlayedFault] =
            XKSError.Name.allCases.map(PlayedFault.error) + [
                .silence, .noConnection, .noTLS, .wrongAnswer, .integrity, .keySpec, .keyStatus, .keyUsage,
                .allUnavailable,
            ]
        for fault in faults {
            let word = CallerView(fault, .decrypt).word
            #expect(KMSWord.all.contains { $0.id == word }, "\(fault)")
        }
    }
}

@Suite("When KMS calls")
struct PlayPlanTests {
    @Test("Calls begin at a constant rate, in their shares, and the poll at its own time") func plan() throws {
        let mix = try #require(PlayPlan.Mix("generate-data-key=1,decrypt=3"))
        var plan = PlayPlan(mix: mix, rate: 100, seconds: 10, pollSeconds: 4, seed: 1)
        var times: [UInt64] = []
        var counts: [PlayedOperation: Int] = [:]
        while let (operation, at) = plan.next() {
            counts[operation, default: 0] += 1
            if operation == .healthPoll {
                #expect(at % 4_000_000_000 == 0)
            } else {
                times.append(at)
            }
        }
        #expect(times == (0..<1_000).map { UInt64($0) * 10_000_000 })
        #expect(counts[.healthPoll] == 3)
        #expect((650...850).contains(counts[.decrypt] ?? 0))
        #expect(counts[.createKey] == nil)
    }

    @Test(
        "A mix that is none is refused",
        arguments: [
            "", "decrypt", "decrypt=", "decrypt=0", "decrypt=-1", "health-poll=1", "decrypt=1,decrypt=1", "x=1",
        ])
    func mixes(text: String) {
        #expect(PlayPlan.Mix(text) == nil)
    }

    @Test("A report counts, and tells what callers saw") func report() {
        var report = PlayReport(url: "u", key: "k", rate: 10, seconds: 1)
        let view = CallerView(.silence, .decrypt)
        for number in 1...100 {
            report.add(PlayedResult(requests: 1, retries: 0), of: .decrypt, milliseconds: Double(number))
        }
        for _ in 0..<2 {
            report.add(
                PlayedResult(requests: 2, retries: 1, view: view, message: "m"), of: .decrypt, milliseconds: 500)
        }
        report.finish()
        #expect(report.operations.count == 1)
        let one = report.operations[0]
        #expect(one.calls == 102 && one.failed == 2 && one.retries == 2)
        #expect(one.p50 == 50 && one.p99 == 99 && one.max == 100)
        #expect(!report.isGood)
        let text = report.text { _ in "a sentence" }
        #expect(text.contains("2 x KMSInvalidStateException (no answer within 250 ms, twice)"))
        #expect(text.contains("    a sentence\n    the proxy said: m"))
    }
}
