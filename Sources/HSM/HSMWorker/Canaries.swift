// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11

/// What the node asks of a key, to prove which key it is.
package enum CanaryRequest: Sendable, Equatable {
    case make(ticket: UInt64, key: UInt32)
    case open(ticket: UInt64, key: UInt32, SealedCanary)
}

/// Makes canaries and opens them. Decisions only, as in a lane; all effects are the session's.
package struct Canaries<Session: LaneSession> {
    /// How one request ended.
    package enum Outcome: Equatable {
        case made(SealedCanary, block: [UInt8])
        case opened([UInt8])
        case refused(CanaryRefusal, CallResult)
    }

    package private(set) var session: Session
    private let ivs: IVPool
    private let profile: GCMProfile

    package init(session: Session, ivs: IVPool, profile: GCMProfile) {
        self.session = session
        self.ivs = ivs
        self.profile = profile
    }

    /// Serves one request; the answer bears its ticket.
    package mutating func serve(_ request: CanaryRequest) -> WorkerMessage {
        let ticket: UInt64
        let outcome: Outcome
        switch request {
        case .make(let asked, let key): (ticket, outcome) = (asked, make(key: key))
        case .open(let asked, let key, let canary): (ticket, outcome) = (asked, open(canary, key: key))
        }
        switch outcome {
        case .made(let canary, let block): return .canaryMade(ticket: ticket, canary, block: block)
        case .opened(let block): return .canaryOpened(ticket: ticket, block: block)
        case .refused(let refusal, let result):
            return .canaryRefused(
                ticket: ticket, refusal, function: result.function, code: UInt64(result.code.rawValue))
        }
    }

    /// Encrypts random bytes of the HSM under the key, and opens the result before anybody relies on it: a canary that
    /// is spoilt would speak against every HSM that holds the right key.
    package mutating func make(key: UInt32) -> Outcome {
        var outcome = tryMaking(key: key)
        if case .refused(.failed, _) = outcome, mend() { outcome = tryMaking(key: key) }
        return outcome
    }

    /// Opens a canary. "Wrong key" is said only where the same session gives a known answer, before and after, and the
    /// canary fails every time with a code that says or may mean a bad ciphertext.
    package mutating func open(_ canary: SealedCanary, key: UInt32) -> Outcome {
        let length = SealedCanary.blockLength + gcmTagLength
        guard canary.ciphertext.count == length, (12...GCMProfile.longestIV).contains(canary.initializationVector.count)
        else { return .refused(.failed, CallResult(function: .decrypt, code: .encryptedDataLenRange)) }
        var outcome = tryOpening(canary, key: key)
        if case .refused(let refusal, _) = outcome, refusal == .failed || refusal == .unclear, mend() {
            outcome = tryOpening(canary, key: key)
        }
        return outcome
    }

    private mutating func mend() -> Bool {
        session.restoreLogin().isOK && session.reopen().isOK
    }

    private mutating func tryMaking(key: UInt32) -> Outcome {
        var block = [UInt8](repeating: 0, count: SealedCanary.blockLength)
        let drawn = block.withUnsafeMutableBytes { session.random(into: $0) }
        guard drawn.isOK else { return .refused(.failed, drawn) }
        guard block.contains(where: { $0 != 0 }) else {
            return .refused(.failed, CallResult(function: .generateRandom, code: .randomNoRNG))
        }
        let sealed = call(.encrypt, key: key, iv: [UInt8](repeating: 0, count: profile.ivLength), data: block)
        guard sealed.verdict.status == .done else { return refusal(sealed.verdict) }
        let canary = SealedCanary(initializationVector: sealed.iv, ciphertext: sealed.data)
        let back = open(once: canary, key: key)
        if back == .opened(block) { return .made(canary, block: block) }
        if case .refused(let reason, _) = back, reason != .wrongKey { return back }
        // What this key has sealed, it does not open, or opens to something else.
        return .refused(.failed, CallResult(function: .encrypt, code: .deviceError))
    }

    private mutating func open(once canary: SealedCanary, key: UInt32) -> Outcome {
        let opened = call(.decrypt, key: key, iv: canary.initializationVector, data: canary.ciphertext)
        return opened.verdict.status == .done ? .opened(opened.data) : refusal(opened.verdict)
    }

    private mutating func tryOpening(_ canary: SealedCanary, key: UInt32) -> Outcome {
        let first = open(once: canary, key: key)
        guard case .refused(.wrongKey, let result) = first else {
            if case .refused(.failed, let result) = first, result.mayMeanBadCiphertext,
                session.knownAnswer() == .unavailable
            {
                return .refused(.unclear, result)
            }
            return first
        }
        // An HSM that fails every second call could have failed the canary only; so it is opened again in direct
        // succession, and the known answer is asked for once, then twice.
        for knownAnswers in [0, 1, 0, 2] {
            for _ in 0..<knownAnswers {
                switch session.knownAnswer() {
                case .passed: continue
                case .unavailable: return .refused(.unclear, result)
                case .failed: return .refused(.failed, result)
                }
            }
            let again = open(once: canary, key: key)
            guard case .refused(.wrongKey, _) = again else { return again }
        }
        return first
    }

    /// What a verdict says of the key. "Wrong key" is still to be confirmed.
    private func refusal(_ verdict: LaneVerdict) -> Outcome {
        let result = verdict.result
        if verdict.status == .keyGone || result.code.saysNoSuchObject { return .refused(.keyGone, result) }
        if result.mayMeanBadCiphertext || result.saysBadCiphertext {
            return .refused(.wrongKey, result)
        }
        return .refused(.failed, result)
    }

    /// One call with the canaries' additional data, as a lane makes it: mending the session.
    private mutating func call(
        _ operation: LaneOperation, key: UInt32, iv: [UInt8], data: [UInt8]
    ) -> (verdict: LaneVerdict, iv: [UInt8], data: [UInt8]) {
        var engine = LaneEngine(session: session, ivs: ivs, profile: profile)
        var iv = iv
        // Room for the tag, and for an IV that the HSM appends.
        var output = [UInt8](repeating: 0, count: data.count + gcmTagLength + GCMProfile.longestIV)
        let aad = Array(SealedCanary.additionalData.utf8)
        let header = LaneRequestHeader(
            operation: operation, generation: 0, deadline: .max, keyReference: key, aadLength: UInt32(aad.count),
            ivLength: operation == .decrypt ? UInt8(clamping: iv.count) : 0, dataLength: UInt32(clamping: data.count))
        let verdict = iv.withUnsafeMutableBytes { iv in
            aad.withUnsafeBytes { aad in
                data.withUnsafeBytes { input in
                    output.withUnsafeMutableBytes { output in
                        engine.serve(
                            header,
                            GCMCall(key: ObjectHandle(rawValue: 0), iv: iv, aad: aad, input: input, output: output))
                    }
                }
            }
        }
        session = engine.session
        return (verdict, iv, Array(output.prefix(verdict.result.length)))
    }
}

extension CallResult {
    /// True for a refusal by the function that saw the ciphertext, with a code that can mean nothing else than that key
    /// and ciphertext do not belong together.
    fileprivate var saysBadCiphertext: Bool {
        guard function == .decrypt || function == .decryptMessage else { return false }
        switch code {
        case .encryptedDataInvalid, .encryptedDataLenRange, .aeadDecryptFailed: return true
        default: return false
        }
    }
}
