// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import SecondOpinion

/// Answers in order, the last one for ever.
struct Answers<Answer> {
    private var list: [Answer]
    private let last: Answer

    init(_ list: [Answer], then last: Answer) {
        self.list = list
        self.last = last
    }

    mutating func next() -> Answer { list.isEmpty ? last : list.removeFirst() }
}

/// An HSM that opens canaries as a script says, and what it was asked.
struct ScriptedOpening {
    var open: Answers<KnownAnswer>
    var known = Answers([], then: KnownAnswer.passed)
    var mended = KnownAnswer.passed
    private(set) var calls: [CanaryOpening.Call] = []

    /// - Parameters:
    ///   - codes: what C_Decrypt returns, in order.
    ///   - last: what it returns after them.
    init(_ codes: [ReturnCode], then last: ReturnCode) {
        open = Answers(codes.map(Self.answer), then: Self.answer(last))
    }

    static func answer(_ code: ReturnCode) -> KnownAnswer {
        code.isOK ? .passed : .failed(CallResult(function: .decrypt, code: code))
    }

    mutating func verdict() -> CanaryOpening.Verdict {
        var opening = CanaryOpening()
        return opening.verdict { call in
            calls.append(call)
            return switch call {
            case .open: open.next()
            case .knownAnswer: known.next()
            case .mend: mended
            }
        }
    }
}
