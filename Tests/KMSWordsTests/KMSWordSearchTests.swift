// SPDX-License-Identifier: Apache-2.0
import Chance
import KMSWords
import SeededRandom
import Testing

@Suite("what AWS says is found") struct KMSWordSearchTests {
    private func ids(_ text: String) -> [String] {
        guard case .found(let words) = KMSWordSearch.find(text) else { return [] }
        return words.map(\.id)
    }

    @Test("each name by itself, in any case, without Exception, as SDKs write it")
    func names() {
        for word in KMSWord.all {
            for name in word.names {
                let bare = name.hasSuffix("Exception") ? String(name.dropLast("Exception".count)) : name
                for form in [name, name.lowercased(), bare, "com.amazonaws.kms#\(name):", "`\(name)`", "\"\(name)\""] {
                    #expect(ids(form).contains(word.id), "\(form)")
                }
            }
        }
    }

    @Test("each sentence, whatever stands around it")
    func sentences() {
        let key = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
        for word in KMSWord.all {
            for sentence in word.sentences {
                let capitals = sentence.uppercased()
                let forms = [
                    sentence, capitals, "“\(sentence)”", sentence.replacing("AWS KMS", with: "Amazon KMS"),
                    "An error occurred (KMSInvalidStateException) when calling the Decrypt operation: \(key) \(sentence)",
                    "\(sentence) (Service: Kms, Status Code: 400, Request ID: 12345126-30d5-4b28-98b9-9153da559963)",
                ]
                for form in forms { #expect(ids(form) == [word.id], "\(form)") }
            }
        }
    }

    @Test("what the node itself said, as CloudWatch Logs has it")
    func nodeSays() {
        #expect(ids("no HSM can do this at the moment: hsm-a is starting") == ["no-hsm"])
        #expect(ids("there is no key store under this path prefix") == ["invalid-path"])
    }

    @Test(
        "a part of a sentence, and one that is a little different",
        arguments: [
            ("it could not authenticate AWS KMS", "not-authenticated"),
            ("denied access to the operation", "access-denied"),
            ("rejected the request due to a very high request rate", "too-many-requests"),
            (
                "The external key associated with this KMS key was not found in its external key manager.",
                "key-not-found"
            ),
            ("XKS proxy did not respond to the request in the time allotted", "out-of-time"),
            ("did not respond in time", "no-answer"),
            (
                "An error occurred (KMSInvalidStateException) when calling the Decrypt operation: The external key store "
                    + "proxy denied access to the operation.", "access-denied"
            ),
            (
                "The key spec of the external key must be AES_256. The key spec of specified external key is RSA_2048.",
                "key-spec"
            ),
            (
                "The status of the external key must be ENABLED. The status of specified external key is DISABLED.",
                "key-status"
            ),
        ])
    func parts(text: String, id: String) { #expect(ids(text) == [id]) }

    @Test("CloudTrail's JSON: an event, a list of them, JSON within JSON, a part of it")
    func cloudTrail() {
        let event = """
            {"eventName": "Decrypt", "errorCode": "KMSInvalidStateException", "errorMessage": "The external key store proxy \
            rejected the request because the specified ciphertext or additional authenticated data is corrupted, missing, or \
            otherwise invalid.", "requestID": "5a2a4a54-6a40-4a35-b76e-e8e8e1b1a1a1"}
            """
        let nested = "{\"Events\": [{\"CloudTrailEvent\": \"\(event.replacing("\"", with: "\\\""))\"}]}"
        for text in [event, nested, event.replacing("\"", with: "'"), String(event.dropFirst(24).dropLast(30))] {
            let texts = KMSWordSearch.texts(in: text)
            #expect(texts.count == 1)
            #expect(texts.flatMap { ids($0) } == ["ciphertext-refused"])
        }
        let two = "[\(event), \(event), {\"errorCode\": \"XksKeyNotFoundException\"}]"
        #expect(KMSWordSearch.texts(in: two).flatMap { ids($0) } == ["ciphertext-refused", "created-key-not-found"])
        let store = #"{"ConnectionState": "FAILED", "ConnectionErrorCode": "XKS_PROXY_TIMED_OUT"}"#
        #expect(KMSWordSearch.texts(in: store).flatMap { ids($0) } == ["connect-timed-out"])
    }

    @Test("what is not known names its nearest, and nothing at all where nothing is near")
    func unknown() {
        #expect(KMSWordSearch.find("the moon is made of green cheese") == .unknown(nearest: []))
        #expect(KMSWordSearch.find("") == .unknown(nearest: []))
        // It begins a dozen sentences.
        guard case .unknown(let several) = KMSWordSearch.find("The external key store proxy rejected the request")
        else {
            Issue.record("an ambiguous text was found")
            return
        }
        #expect(several.count == 3)
        guard case .unknown(let near) = KMSWordSearch.find("XKS_PROXY_TIMEOUT") else {
            Issue.record("a name that does not exist was found")
            return
        }
        #expect(near.contains { $0.id == "connect-timed-out" })
    }

    /// A part of a table of words may come from anywhere: nothing that is pasted traps, and little time is spent.
    @Test func anythingCanBePasted() {
        var random = RandomChoice(seed: 7)
        let parts = [
            "\"", "'", "\\", "{", "errorCode", "errorMessage", ":", " ", "\u{0}", "é", "🜁", "KMSInvalidStateException",
            "-",
        ]
        for _ in 0..<500 {
            let text = (0..<Int.random(in: 0..<60, using: &random)).map { _ in parts.randomElement(using: &random) ?? ""
            }
            .joined()
            for part in KMSWordSearch.texts(in: text) { _ = KMSWordSearch.find(part) }
        }
        let long = String(repeating: "\"errorMessage\":\"x ", count: 100_000)
        #expect(KMSWordSearch.texts(in: long).count <= 10)
    }
}
