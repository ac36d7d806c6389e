// SPDX-License-Identifier: Apache-2.0
import Chance
import LaneProtocol
import RequestTraces
import Routing
import Synchronization
import XKSProtocol

/// Which requests are traced, and where their ids come from.
package struct RequestTracing: Sendable {
    package var sampler: TraceSampler
    /// Drawn for each trace: nobody must be able to guess or to repeat it by accident.
    package var draw: @Sendable () -> UInt64

    package init(sampler: TraceSampler, draw: @escaping @Sendable () -> UInt64) {
        self.sampler = sampler
        self.draw = draw
    }

    /// `nil` where the request is not traced.
    ///
    /// - Parameter parent: of the node that has passed the request on and traces it.
    func recorder(of requestID: String, after parent: TraceContext?) -> RequestRecorder? {
        guard parent != nil || sampler.takes(requestID) else { return nil }
        return RequestRecorder(after: parent, draw: draw)
    }
}

/// Notes what others are asked for on behalf of a request that is traced, until that is answered.
final class RequestRecorder: CallRecorder {
    private struct State {
        var calls: [(call: RequestRecording.Call, isOpen: Bool)] = []
        /// By the pool's number of the call.
        var positions: [UInt64: Int] = [:]
        var isSealed = false
        var identifiers: RandomChoice

        /// Not 0, which means none.
        mutating func identifier() -> UInt64 { max(identifiers.next(), 1) }

        mutating func end(_ position: Int, _ outcome: String, hasFailed: Bool, at moment: UInt64) {
            guard calls.indices.contains(position), calls[position].isOpen else { return }
            calls[position].isOpen = false
            calls[position].call.endedAt = max(moment, calls[position].call.startedAt)
            calls[position].call.outcome = outcome
            calls[position].call.hasFailed = hasFailed
        }
    }

    /// Most calls of one request that are noted; a request has a few.
    static let mostCalls = 64

    /// Of the request's own span.
    let context: TraceContext
    private let parentID: UInt64?
    private let state: Mutex<State>

    init(after parent: TraceContext?, draw: () -> UInt64) {
        var identifiers = RandomChoice(seed: draw())
        context = TraceContext(
            traceHigh: parent?.traceHigh ?? draw(), traceLow: parent?.traceLow ?? max(draw(), 1),
            spanID: max(identifiers.next(), 1))
        parentID = parent?.spanID
        state = Mutex(State(identifiers: identifiers))
    }

    // MARK: HSMs

    func began(call: UInt64, _ question: LaneQuestion, _ kind: LaneOperation, of hsm: String, at moment: UInt64) {
        let purpose: RequestRecording.Call.Purpose =
            question == .canary ? .check : kind == .encrypt ? .encrypt : .decrypt
        _ = begin(purpose, hsm, number: call, at: moment)
    }

    func ended(call: UInt64, failure: String?, at moment: UInt64) {
        state.withLock { state in
            guard let position = state.positions.removeValue(forKey: call) else { return }
            state.end(position, failure ?? "ok", hasFailed: failure != nil, at: moment)
        }
    }

    // MARK: Peers

    /// The request is passed on: the place in the trace that the peer is given, and what to name the call by.
    func passing(at moment: UInt64) -> (context: TraceContext, position: Int) {
        let (position, spanID) = begin(.forward, nil, number: nil, at: moment)
        var inner = context
        inner.spanID = spanID
        return (inner, position)
    }

    /// That peer is sent it.
    func asked(_ peer: String, in position: Int) {
        state.withLock { state in
            if !state.isSealed, state.calls.indices.contains(position) { state.calls[position].call.target = peer }
        }
    }

    func passed(_ position: Int, _ outcome: ForwardOutcome, at moment: UInt64) {
        state.withLock { state in
            switch outcome {
            case .answered(let response, let node):
                if state.calls.indices.contains(position) { state.calls[position].call.target = node }
                state.end(
                    position, response.status == 200 ? "ok" : "it answers \(response.status)",
                    hasFailed: response.status >= 500, at: moment)
            case .failed(let reason): state.end(position, reason, hasFailed: true, at: moment)
            }
        }
    }

    // MARK: The end

    /// All that was done; what still goes on ends here. Nothing is noted after this.
    func seal(at moment: UInt64) -> RequestRecording {
        state.withLock { state in
            state.isSealed = true
            for index in state.calls.indices where state.calls[index].isOpen {
                state.end(index, "not waited for", hasFailed: false, at: moment)
            }
            return RequestRecording(context: context, parentID: parentID, calls: state.calls.map(\.call))
        }
    }

    private func begin(
        _ purpose: RequestRecording.Call.Purpose, _ target: String?, number: UInt64?, at moment: UInt64
    ) -> (position: Int, spanID: UInt64) {
        state.withLock { state in
            let spanID = state.identifier()
            guard !state.isSealed, state.calls.count < Self.mostCalls else { return (Int.max, spanID) }
            let call = RequestRecording.Call(
                spanID: spanID, purpose: purpose, target: target, startedAt: moment, endedAt: moment, outcome: "",
                hasFailed: false)
            state.calls.append((call, true))
            if let number { state.positions[number] = state.calls.count - 1 }
            return (state.calls.count - 1, spanID)
        }
    }
}
