// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing

/// Who notes which call that is out, by its generation. Empty but for calls of operations that are traced, and never more
/// than lanes can have out: a lane's closing ends all of its.
struct RecordedCalls {
    private struct Entry {
        var recorder: any CallRecorder
        var lane: LaneID
    }

    private var entries: [UInt64: Entry] = [:]

    mutating func began(
        _ dispatch: Dispatch, _ kind: LaneOperation, _ recorder: any CallRecorder, of hsm: String, now: UInt64
    ) {
        entries[dispatch.generation] = Entry(recorder: recorder, lane: dispatch.lane)
        recorder.began(call: dispatch.generation, dispatch.question, kind, of: hsm, at: now)
    }

    /// A call has returned.
    mutating func ended(
        _ call: UInt64, _ disposition: Disposition, _ refusal: @autoclosure () -> HSMRefusal?, now: UInt64
    ) {
        guard !entries.isEmpty, let recorder = entries.removeValue(forKey: call)?.recorder else { return }
        let failure = disposition == .done ? nil : refusal().map { "\($0)" } ?? Self.words(disposition)
        recorder.ended(call: call, failure: failure, at: now)
    }

    /// These lanes are gone, and what was out on them never returns.
    mutating func lost(now: UInt64, _ isGone: (LaneID) -> Bool) {
        for (call, entry) in entries where isGone(entry.lane) {
            entries[call] = nil
            entry.recorder.ended(call: call, failure: "its lane has closed", at: now)
        }
    }

    /// Where no return code says it better.
    private static func words(_ disposition: Disposition) -> String {
        switch disposition {
        case .done: "ok"
        case .callersFault: "refused"
        case .tryElsewhere: "not done in time"
        case .keyMissing: "the key's handle is gone"
        case .sessionLost: "its session is lost"
        case .hsmSuspect, .hsmOut: "failed"
        case .ambiguous: "it opened to something else"
        }
    }
}
