// SPDX-License-Identifier: Apache-2.0
import AccessControl
import KeyProof
import LaneProtocol
import Routing
import SecureMemory
import Synchronization
import Testing
import XKSProtocol
import XKSService

private let metadata = """
    {"awsPrincipalArn":"arn:aws:iam::123456789012:user/Alice","kmsKeyArn":"arn:aws:kms:eu-central-1:1:key/1",\
    "kmsOperation":"Encrypt","kmsRequestId":"4112f4d6"}
    """
private let keyPath = "/example/kms/xks/v1/keys/foo"
private let encryptBody =
    #"{"requestMetadata":\#(metadata),"plaintext":"SGVsbG8gV29ybGQh","encryptionAlgorithm":"AES_GCM"}"#
private let decryptBody =
    #"{"requestMetadata":\#(metadata),"ciphertext":"ghxkK1txeDNn3q8Y","initializationVector":"HMrlRw85cAJUd5Ax","#
    + #""authenticationTag":"vBxN2ncH1oEkR8WVXpmyYQ==","encryptionAlgorithm":"AES_GCM"}"#
private let metadataBody = #"{"requestMetadata":\#(metadata)}"#

private let encrypted = OperationResult.done([UInt8](repeating: 7, count: 12 + 16), iv: [UInt8](1...12))
private let unavailable = OperationResult(outcome: .unavailable("all out"), attempts: 2)

private func answer(_ status: Int, _ text: String) -> ForwardOutcome {
    .answered(ProxyResponse(status: status, body: SecretBytes(text.utf8)), by: "iad-1")
}

private func list(_ target: BlockTarget, expiresAt: Int64? = nil) -> BlockList {
    BlockList(
        blocks: [
            Block(
                id: "0123456789abcdef0123456789abcdef", target: target, reason: "incident 7", madeAt: 1_600_000_000,
                expiresAt: expiresAt, madeBy: "ada@fra-1")
        ], lifts: [])
}

@Suite("Blocks, dates and peers")
struct NeighbourTests {
    @Test(
        "a block refuses encrypt and decrypt before an HSM is asked, and the key shows as disabled",
        arguments: [
            BlockTarget.everything, .keyStore("/example"), .key("foo"), .principal("arn:aws:iam::*:user/Al*"),
        ])
    func blocked(target: BlockTarget) throws {
        let bench = try ServiceBench(blocks: list(target)) { _ in encrypted }
        for (path, body) in [("/encrypt", encryptBody), ("/decrypt", decryptBody)] {
            let (status, text) = try bench.post(keyPath + path, body)
            #expect(status == 400 && text.contains("InvalidStateException") && text.contains("01234567"))
        }
        #expect(bench.pool.operations.isEmpty)
        let (status, text) = try bench.post(keyPath + "/metadata", metadataBody)
        #expect(status == 200 && text.contains("DISABLED"))
        #expect(bench.observer.traces.allSatisfy { $0.reason?.contains("incident 7") == true })
        #expect(bench.observer.traces.count == 3)
    }

    @Test(
        "a block of something else, or one that has expired, changes nothing",
        arguments: [
            list(.keyStore("/other")), list(.key("bar")), list(.principal("arn:aws:iam::*:role/*")),
            list(.everything, expiresAt: ServiceBench.now),
        ])
    func notBlocked(list: BlockList) throws {
        let bench = try ServiceBench(blocks: list) { _ in encrypted }
        #expect(try bench.post(keyPath + "/encrypt", encryptBody).0 == 200)
        #expect(try bench.post(keyPath + "/metadata", metadataBody).1.contains("ENABLED"))
    }

    @Test("a block holds from the next request on, for keys that are not there too, and health goes on")
    func blockAtOnce() throws {
        let bench = try ServiceBench { _ in encrypted }
        #expect(try bench.post(keyPath + "/encrypt", encryptBody).0 == 200)
        bench.blocks.set(list(.everything))
        #expect(try bench.post(keyPath + "/encrypt", encryptBody).0 == 400)
        #expect(
            try bench.post("/example/kms/xks/v1/keys/nothing/encrypt", encryptBody).1.contains("InvalidStateException"))
        let health = #"{"requestMetadata":{"kmsOperation":"KmsHealthCheck","kmsRequestId":"1"}}"#
        #expect(try bench.post("/example/kms/xks/v1/health", health).0 != 400)
    }

    @Test("a block is not forwarded around")
    func blockIsNotForwarded() throws {
        let peer = ScriptedForwarder(answer(200, "{}"))
        let bench = try ServiceBench(blocks: list(.everything), forwarder: peer) { _ in unavailable }
        #expect(try bench.post(keyPath + "/encrypt", encryptBody).0 == 400)
        #expect(peer.labels.isEmpty)
    }

    // 1,700,000,000 s is 2023-11-14.
    @Test(
        "a key outside its dates is disabled and encrypts nothing; it still opens what was made",
        arguments: [KeyValidity(start: 20_231_115, end: nil), KeyValidity(start: nil, end: 20_231_113)])
    func outsideDates(validity: KeyValidity) throws {
        let bench = try ServiceBench(decision: .usable(validity: validity)) { operation in
            operation.kind == .encrypt ? encrypted : .done([1])
        }
        #expect(try bench.post(keyPath + "/metadata", metadataBody).1.contains("DISABLED"))
        #expect(try bench.post(keyPath + "/encrypt", encryptBody).1.contains("InvalidStateException"))
        #expect(try bench.post(keyPath + "/decrypt", decryptBody).0 == 200)
    }

    @Test("on its first and last day a key serves")
    func withinDates() throws {
        let validity = KeyValidity(start: 20_231_114, end: 20_231_114)
        let bench = try ServiceBench(decision: .usable(validity: validity)) { _ in encrypted }
        #expect(try bench.post(keyPath + "/metadata", metadataBody).1.contains("ENABLED"))
        #expect(try bench.post(keyPath + "/encrypt", encryptBody).0 == 200)
    }

    @Test(
        "without a usable HSM for the key, a peer's answer is handed on as it is",
        arguments: [
            KeyDecision.unknown("nobody can be asked"), .absent(nil), .refused("another key"), .usable(),
        ])
    func forwarded(decision: KeyDecision) throws {
        let peer = ScriptedForwarder(answer(200, #"{"plaintext":"AQ=="}"#))
        let bench = try ServiceBench(decision: decision, forwarder: peer) { _ in unavailable }
        let (status, body) = try bench.post(keyPath + "/decrypt", decryptBody)
        #expect(status == 200 && body == #"{"plaintext":"AQ=="}"#)
        #expect(peer.labels == ["foo"])
        let trace = try #require(bench.observer.traces.first)
        #expect(trace.forwardedTo == "iad-1" && trace.error == nil && bench.observer.traces.count == 1)
        #expect(bench.service.requestsInFlight == 0)
    }

    @Test("a peer's refusal keeps its status and name")
    func forwardedRefusal() throws {
        let peer = ScriptedForwarder(answer(404, #"{"errorName":"KeyNotFoundException"}"#))
        let bench = try ServiceBench(decision: .unknown("nobody can be asked"), forwarder: peer) { _ in unavailable }
        #expect(try bench.post(keyPath + "/metadata", metadataBody).0 == 404)
        #expect(bench.observer.traces.first?.error == .keyNotFound)
    }

    @Test("what was forwarded once is not forwarded again")
    func oneHop() throws {
        let peer = ScriptedForwarder(answer(200, "{}"))
        let bench = try ServiceBench(decision: .unknown("nobody can be asked"), forwarder: peer) { _ in unavailable }
        #expect(try bench.post(keyPath + "/encrypt", encryptBody, forwardedBy: "fra-2").0 == 500)
        #expect(peer.labels.isEmpty)
        #expect(bench.observer.traces.first?.forwardedBy == "fra-2")
    }

    @Test("a peer's request is authenticated here like any other")
    func forwardedIsChecked() throws {
        let bench = try ServiceBench { _ in encrypted }
        #expect(try bench.post(keyPath + "/encrypt", encryptBody, sign: false, forwardedBy: "fra-2").0 == 401)
        #expect(try bench.post(keyPath + "/encrypt", encryptBody, forwardedBy: "fra-2").0 == 200)
    }

    @Test("without a peer, or when none answers, the answer is this node's own")
    func nobody() throws {
        let absent = ScriptedForwarder(answer(200, "{}"), isThere: false)
        let alone = try ServiceBench(decision: .unknown("nobody can be asked"), forwarder: absent) { _ in unavailable }
        #expect(try alone.post(keyPath + "/encrypt", encryptBody).1.contains("InternalException"))
        #expect(absent.labels.isEmpty)
        let silent = try ServiceBench(
            decision: .unknown("nobody can be asked"), forwarder: ScriptedForwarder(.failed("iad-1: no answer in time"))
        ) { _ in unavailable }
        #expect(try silent.post(keyPath + "/encrypt", encryptBody).0 == 500)
        #expect(silent.observer.traces.first?.reason?.contains("iad-1: no answer in time") == true)
    }

    @Test(
        "what is the caller's fault stays here",
        arguments: [
            OperationResult(outcome: .callersFault(.ciphertextIsInvalid), attempts: 1),
            OperationResult(outcome: .timedOut(.answer), attempts: 1),
        ])
    func notForwarded(result: OperationResult) throws {
        let peer = ScriptedForwarder(answer(200, "{}"))
        let bench = try ServiceBench(forwarder: peer) { _ in result }
        #expect(try bench.post(keyPath + "/decrypt", decryptBody).0 != 200)
        #expect(peer.labels.isEmpty)
    }

    private let overloaded = OperationResult(outcome: .overloaded)

    /// It stayed here: 429, while peers were idle.
    @Test("what is more than the HSMs here can do goes to a peer that has room, and to no second one")
    func surplus() throws {
        let peer = ScriptedForwarder(answer(200, #"{"plaintext":"AQ=="}"#))
        let bench = try ServiceBench(forwarder: peer) { _ in overloaded }
        #expect(try bench.post(keyPath + "/decrypt", decryptBody).0 == 200)
        #expect(peer.needs == [ForwardingNeeds(isSurplus: true)])
        let second = try ServiceBench(forwarder: peer) { _ in overloaded }
        #expect(try second.post(keyPath + "/decrypt", decryptBody, forwardedBy: "iad-1").0 == 429)
        let full = try ServiceBench(forwarder: ScriptedForwarder(answer(200, "{}"), isThere: false)) { _ in overloaded }
        #expect(try full.post(keyPath + "/decrypt", decryptBody).0 == 429)
        #expect(peer.labels.count == 1)
    }

    /// A helper's 400 and 401 went to KMS: InvalidKeyUsage for good, where the HSM here was well.
    @Test(
        "of what could be done here a helper's word is final only when it is done",
        arguments: [400, 401, 404, 429, 500])
    func surplusRefused(status: Int) throws {
        let refusal = answer(status, #"{"errorName":"InvalidKeyUsageException"}"#)
        let full = try ServiceBench(forwarder: ScriptedForwarder(refusal)) { _ in overloaded }
        #expect(try full.post(keyPath + "/decrypt", decryptBody).0 == 429)
        #expect(full.observer.traces.first?.reason?.contains("answers \(status)") == true)
        let times = Atomic(0)
        let crowded = try ServiceBench(forwarder: ScriptedForwarder(refusal)) { _ in
            times.add(1, ordering: .relaxed).oldValue == 0 ? OperationResult(outcome: .crowded) : encrypted
        }
        #expect(try crowded.post(keyPath + "/encrypt", encryptBody).0 == 200)
        #expect(crowded.pool.terms.map(\.mayPassOn) == [true, false], "it waits here after all")
    }

    /// Each request that a peer answered was kept for good, plaintext and all.
    @Test("nothing is kept of a request once it is answered, by a peer or here after all", arguments: [200, 500])
    func givenUp(status: Int) throws {
        let times = Atomic(0)
        let peer = ScriptedForwarder(answer(status, "{}"))
        let bench = try ServiceBench(forwarder: peer) { operation in
            peer.watch(operation)
            return times.add(1, ordering: .relaxed).oldValue == 0 ? OperationResult(outcome: .crowded) : encrypted
        }
        #expect(try bench.post(keyPath + "/encrypt", encryptBody).0 == 200)
        bench.pool.forget()
        #expect(peer.watched == nil)
    }

    @Test("the pool is reported that what a peer passes on is more than that peer can do")
    func surplusFromPeer() throws {
        let bench = try ServiceBench { _ in encrypted }
        _ = try bench.post(keyPath + "/encrypt", encryptBody, forwardedBy: "fra-2", isSurplus: true)
        _ = try bench.post(keyPath + "/encrypt", encryptBody, forwardedBy: "fra-2")
        _ = try bench.post(keyPath + "/encrypt", encryptBody)
        #expect(bench.pool.terms.map(\.isSurplus) == [true, false, false])
    }

    /// It stood in the peer's metrics as a request of KMS.
    @Test("a peer learns that a request is a diagnostic command's, and takes the node's word for it")
    func diagnostic() throws {
        let peer = ScriptedForwarder(answer(200, "{}"))
        let bench = try ServiceBench(forwarder: peer) { _ in OperationResult(outcome: .crowded) }
        let id = bench.service.diagnostics.begin(now: 999_000_000, chance: (1, 2))
        _ = try bench.post(keyPath + "/encrypt", encryptBody.replacing("4112f4d6", with: id))
        #expect(peer.isLastDiagnostic.withLock { $0 })
        _ = try bench.post(keyPath + "/encrypt", encryptBody)
        #expect(!peer.isLastDiagnostic.withLock { $0 })
        for said in [true, false] {
            _ = try bench.post(keyPath + "/encrypt", encryptBody, forwardedBy: "fra-2", isDiagnostic: said)
            #expect(bench.observer.traces.last?.isDiagnostic == said)
        }
    }

    @Test("no ciphertext is called invalid while another node may hold its key; a node that does is asked once")
    func contested() throws {
        let invalid = OperationResult(outcome: .callersFault(.ciphertextIsInvalid), attempts: 1)
        let peer = ScriptedForwarder(answer(200, #"{"plaintext":"AQ=="}"#))
        let bench = try ServiceBench(word: .elsewhere(["fra-2"]), forwarder: peer) { _ in invalid }
        // Without asking for the word: 400 InvalidCiphertextException, which is final for KMS.
        #expect(try bench.post(keyPath + "/decrypt", decryptBody).0 == 200)
        #expect(peer.needs == [ForwardingNeeds(only: ["fra-2"])])
        let second = try ServiceBench(word: .elsewhere(["iad-1"]), forwarder: peer) { _ in invalid }
        let answer = try second.post(keyPath + "/decrypt", decryptBody, forwardedBy: "iad-1")
        #expect(answer.0 == 500 && answer.1.contains("InternalException"))
        let alone = try ServiceBench(word: .unknown("not compared yet")) { _ in invalid }
        #expect(try alone.post(keyPath + "/decrypt", decryptBody).1.contains("InternalException"))
        #expect(peer.labels.count == 1)
    }

    @Test("Encrypt is never passed on to nodes that hold another key")
    func contestedEncrypt() throws {
        let peer = ScriptedForwarder(answer(200, "{}"))
        let bench = try ServiceBench(decision: .contested("n2 encrypts"), forwarder: peer) { _ in encrypted }
        #expect(try bench.post(keyPath + "/encrypt", encryptBody).0 == 500)
        #expect(peer.labels.isEmpty && bench.pool.operations.isEmpty)
    }

    // Without: 404 KeyNotFoundException, which is final for KMS, while a file was changed on one node after the other.
    @Test(
        "an id that is not offered here is passed on to a node whose configuration differs, and else is 500",
        arguments: [("/encrypt", encryptBody), ("/decrypt", decryptBody), ("/metadata", metadataBody)])
    func unoffered(operation: String, body: String) throws {
        let path = "/example/kms/xks/v1/keys/new" + operation
        let word = UnofferedWord.elsewhere(nodes: ["iad-1"], reason: "the configuration of iad-1 differs")
        let peer = ScriptedForwarder(answer(200, #"{"plaintext":"AQ=="}"#))
        let bench = try ServiceBench(forwarder: peer, unoffered: word) { _ in encrypted }
        #expect(try bench.post(path, body) == (200, #"{"plaintext":"AQ=="}"#))
        #expect(peer.needs == [ForwardingNeeds(only: ["iad-1"], mayNotOffer: true)] && peer.labels == [""])
        #expect(bench.observer.traces.first?.forwardedTo == "iad-1" && bench.pool.operations.isEmpty)
        // It came from a peer: it is not passed on again, and not called absent.
        #expect(try bench.post(path, body, forwardedBy: "iad-1").0 == 500)
        #expect(peer.labels.count == 1)
        let alone = try ServiceBench(unoffered: word) { _ in encrypted }
        let (status, text) = try alone.post(path, body)
        #expect(status == 500 && text.contains("InternalException") && text.contains("iad-1 differs"))
        #expect(try ServiceBench { _ in encrypted }.post(path, body).0 == 404, "where all nodes agree")
    }

    @Test(
        "a peer that does not offer it either, or does not know the credential, does not decide", arguments: [404, 401])
    func unofferedThere(status: Int) throws {
        let word = UnofferedWord.elsewhere(nodes: ["iad-1"], reason: "the configuration of iad-1 differs")
        let peer = ScriptedForwarder(answer(status, #"{"errorName":"KeyNotFoundException"}"#))
        let bench = try ServiceBench(forwarder: peer, unoffered: word) { _ in encrypted }
        let reply = try bench.post("/example/kms/xks/v1/keys/new/encrypt", encryptBody)
        #expect(reply.0 == 500 && reply.1.contains("InternalException"))
        #expect(bench.observer.traces.first?.reason?.contains("iad-1 answers \(status)") == true)
    }

    @Test("a block holds for ids that another node may offer, too; a path without a key store is 500, and goes nowhere")
    func unofferedAndBlocked() throws {
        let word = UnofferedWord.elsewhere(nodes: ["iad-1"], reason: "the configuration of iad-1 differs")
        let peer = ScriptedForwarder(answer(200, "{}"))
        let bench = try ServiceBench(blocks: list(.key("new")), forwarder: peer, unoffered: word) { _ in encrypted }
        #expect(
            try bench.post("/example/kms/xks/v1/keys/new/encrypt", encryptBody).1.contains("InvalidStateException"))
        let (status, text) = try bench.post("/other/kms/xks/v1/keys/foo/encrypt", encryptBody, sign: false)
        #expect(status == 500 && text.contains("InternalException") && !text.contains("iad-1"))
        #expect(peer.labels.isEmpty)
        let whole = try ServiceBench { _ in encrypted }
        let refused = try whole.post("/other/kms/xks/v1/keys/foo/encrypt", encryptBody)
        #expect(refused.0 == 404 && refused.1.contains("InvalidUriPathException"))
    }

    @Test("settings that are replaced hold from the next request on")
    func replaced() throws {
        let bench = try ServiceBench { _ in encrypted }
        #expect(try bench.post(keyPath + "/encrypt", encryptBody).0 == 200)
        try bench.replaceKeys(["bar"])
        #expect(try bench.post(keyPath + "/encrypt", encryptBody).1.contains("KeyNotFoundException"))
        #expect(try bench.post("/example/kms/xks/v1/keys/bar/encrypt", encryptBody).0 == 200)
    }

    @Test(
        "ciphertext of a format that the cluster has activated goes to a peer that reads it, or is 500; beyond: invalid"
    )
    func laterFormat() throws {
        struct Second: FormatSource { var activatedFormat: UInt8 { 2 } }
        func body(_ version: UInt8) -> String {
            let metadata = version == 2 ? "Q0xWAg==" : "Q0xWAw=="
            return decryptBody.dropLast() + #","ciphertextMetadata":"\#(metadata)"}"#
        }
        let forwarder = ScriptedForwarder(answer(200, "{}"))
        let bench = try ServiceBench(forwarder: forwarder, formats: Second()) { _ in encrypted }
        #expect(try bench.post(keyPath + "/decrypt", body(2)).0 == 200)
        #expect(forwarder.needs == [ForwardingNeeds(format: 2)] && bench.pool.operations.isEmpty)
        #expect(try bench.post(keyPath + "/decrypt", body(3)).1.contains("InvalidCiphertextException"))
        #expect(forwarder.needs.count == 1)
        let alone = try ServiceBench(formats: Second()) { _ in encrypted }
        let (status, text) = try alone.post(keyPath + "/decrypt", body(2))
        #expect(status == 500 && !text.contains("InvalidCiphertext"))
    }
}
