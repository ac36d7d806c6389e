// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11
import SecondOpinion

/// What the node asks of a key, to prove which key it is.
package enum CanaryRequest: Sendable, Equatable {
    case make(ticket: UInt64, key: UInt32)
    case open(ticket: UInt64, key: UInt32, SealedCanary)
}

/// Makes canaries and opens them, by the calls that `CanaryMaking` and `CanaryOpening` decide on. All effects are the
/// session's.
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

    /// Makes a canary under the key.
    package mutating func make(key: UInt32) -> Outcome {
        var making = CanaryMaking()
        var block: [UInt8] = []
        var canary = SealedCanary(initializationVector: [], ciphertext: [])
        let verdict = making.verdict { call in
            switch call {
            case .drawBlock: return drawBlock(&block)
            case .seal:
                let sealed = self.call(
                    .encrypt, key: key, iv: [UInt8](repeating: 0, count: profile.ivLength), data: block)
                canary = SealedCanary(initializationVector: sealed.iv, ciphertext: sealed.data)
                return sealed.verdict.answer
            case .open:
                let opened = open(once: canary, key: key)
                return opened.answer == .passed && opened.block != block ? .failed(CanaryMaking.spoilt) : opened.answer
            case .mend: return mend()
            }
        }
        switch verdict {
        case .made: return .made(canary, block: block)
        case .refused(let refusal, let result): return .refused(refusal, result)
        }
    }

    /// Opens a canary.
    package mutating func open(_ canary: SealedCanary, key: UInt32) -> Outcome {
        var opening = CanaryOpening(canary)
        var block: [UInt8] = []
        let verdict = opening.verdict { call in
            switch call {
            case .open:
                let opened = open(once: canary, key: key)
                block = opened.block
                return opened.answer
            case .knownAnswer: return session.knownAnswer()
            case .mend: return mend()
            }
        }
        switch verdict {
        case .opened: return .opened(block)
        case .refused(let refusal, let result): return .refused(refusal, result)
        }
    }

    private mutating func mend() -> KnownAnswer {
        let login = session.restoreLogin()
        guard login.isOK else { return .failed(login) }
        let opened = session.reopen()
        return opened.isOK ? .passed : .failed(opened)
    }

    private mutating func drawBlock(_ block: inout [UInt8]) -> KnownAnswer {
        block = [UInt8](repeating: 0, count: SealedCanary.blockLength)
        let drawn = block.withUnsafeMutableBytes { session.random(into: $0) }
        guard drawn.isOK else { return .failed(drawn) }
        return block.contains { $0 != 0 } ? .passed : .failed(CanaryMaking.noRandomness)
    }

    private mutating func open(once canary: SealedCanary, key: UInt32) -> (answer: KnownAnswer, block: [UInt8]) {
        let opened = call(.decrypt, key: key, iv: canary.initializationVector, data: canary.ciphertext)
        return (opened.verdict.answer, opened.data)
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

extension LaneVerdict {
    /// As the answer of a call whose result is known beforehand.
    fileprivate var answer: KnownAnswer {
        switch status {
        case .done: .passed
        case .keyGone: .unavailable
        case .refused, .expired: .failed(result)
        }
    }
}
