// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11

/// One lane: a thread, a session and a socket. Reads a frame, makes the call, writes the answer; no queue but the
/// socket, no lock.
/// A parked lane has no session until the node has it opened.
package struct Lane<Session: LaneSession> {
    private let channel: LaneChannel
    private var engine: LaneEngine<Session>

    package init(channel: LaneChannel, engine: LaneEngine<Session>) {
        self.channel = channel
        self.engine = engine
    }

    /// Serves until the node closes the lane, or sends what is no frame. Session and socket are closed with the lane.
    package mutating func run() {
        while let header = channel.nextRequest() {
            let verdict = serve(header)
            guard channel.finish(header, verdict) else { break }
        }
        _ = engine.closeSession()
    }

    private mutating func serve(_ header: LaneRequestHeader) -> LaneVerdict {
        switch header.operation {
        case .openSession: return engine.openSession(deadline: header.deadline)
        case .closeSession: return engine.closeSession()
        case .knownAnswer: return engine.answerKnown(deadline: header.deadline)
        case .encrypt, .decrypt:
            guard let call = channel.call(for: header) else {
                let function: PKCS11Function = header.operation == .encrypt ? .encryptInit : .decryptInit
                return LaneVerdict(status: .refused, result: CallResult(function: function, code: .dataLenRange))
            }
            return engine.serve(header, call)
        }
    }
}
