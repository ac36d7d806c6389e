// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11

/// One lane: a thread, a session and a socket. Reads a frame, makes the call, writes the answer; no queue, no lock.
package struct Lane<Session: LaneSession> {
    private let channel: LaneChannel
    private var engine: LaneEngine<Session>

    package init(channel: LaneChannel, session: Session, ivs: IVPool) {
        self.channel = channel
        self.engine = LaneEngine(session: session, ivs: ivs)
    }

    /// Serves until the node closes the lane, or sends what is no frame. The socket is closed with the lane.
    package mutating func run() {
        while let header = channel.nextRequest() {
            let verdict: LaneVerdict
            if let call = channel.call(for: header) {
                verdict = engine.serve(header, call)
            } else {
                verdict = LaneVerdict(
                    status: .refused, result: CallResult(function: .encryptInit, code: .dataLenRange))
            }
            guard channel.finish(header, verdict) else { return }
        }
    }
}
