// SPDX-License-Identifier: Apache-2.0
import Glibc
import LaneProtocol
import PKCS11
import SecureMemory

/// The worker's end of a lane's socket: one buffer for the request, one for the answer, both used again and again.
///
/// In the steady state a request costs one read and one write. What arrives is checked before it is believed; anything
/// else than a well-formed frame ends the lane.
package final class LaneChannel {
    private let descriptor: Int32
    private let incoming: PrivatePages
    private let outgoing: PrivatePages
    private let profile: GCMProfile
    /// Bytes of `incoming` that hold what was read: the current frame, and what came behind it.
    private var filled = 0
    /// Length of the current frame, bytes; 0 between frames.
    private var current = 0

    /// Takes the descriptor over and closes it in the end. `nil` when there is no memory.
    ///
    /// The token's profile says how long an encryption's IV will be: in an answer it stands before the data, so its
    /// offset must be known before the call is made.
    package init?(descriptor: Int32, profile: GCMProfile) {
        guard let incoming = PrivatePages(byteCount: LaneRequestHeader.size + LaneFrame.largestPayload),
            let outgoing = PrivatePages(
                byteCount: LaneAnswerHeader.size + LaneFrame.largestPayload + GCMProfile.longestIV)
        else { return nil }
        self.descriptor = descriptor
        self.profile = profile
        self.incoming = incoming
        self.outgoing = outgoing
    }

    deinit { Glibc.close(descriptor) }

    /// Waits for the next request. `nil` when the node has closed the lane, or has sent what is no frame.
    package func nextRequest() -> LaneRequestHeader? {
        guard fill(to: LaneRequestHeader.size) else { return nil }
        guard let header = LaneRequestHeader(decoding: UnsafeRawBufferPointer(incoming.bytes)),
            header.operation == .decrypt || header.ivLength == 0,
            header.operation.usesKey || header.payloadLength == 0
        else { return nil }
        let length = LaneRequestHeader.size + header.payloadLength
        guard fill(to: length) else { return nil }
        current = length
        return header
    }

    /// The call that the current request asks for. Its memory is the channel's, until `finish`. `nil` when the answer
    /// would be larger than a frame.
    package func call(for header: LaneRequestHeader) -> GCMCall? {
        let aadEnd = LaneRequestHeader.size + Int(header.aadLength)
        let ivEnd = aadEnd + Int(header.ivLength)
        let dataEnd = ivEnd + Int(header.dataLength)
        let encrypts = header.operation == .encrypt
        let answerIV = encrypts ? profile.ivLength : 0
        let answerLength = answerIV + Int(header.dataLength) + (encrypts ? gcmTagLength : 0)
        guard dataEnd <= filled, answerLength <= LaneFrame.largestPayload else { return nil }
        let ivStart = LaneAnswerHeader.size
        let outputStart = ivStart + answerIV
        let room = encrypts ? profile.outputRoom(forPlaintextOf: Int(header.dataLength)) : Int(header.dataLength)
        return GCMCall(
            key: ObjectHandle(rawValue: 0),
            iv: encrypts
                ? UnsafeMutableRawBufferPointer(rebasing: outgoing.bytes[ivStart..<outputStart])
                : UnsafeMutableRawBufferPointer(rebasing: incoming.bytes[aadEnd..<ivEnd]),
            aad: UnsafeRawBufferPointer(rebasing: incoming.bytes[LaneRequestHeader.size..<aadEnd]),
            input: UnsafeRawBufferPointer(rebasing: incoming.bytes[ivEnd..<dataEnd]),
            output: UnsafeMutableRawBufferPointer(rebasing: outgoing.bytes[outputStart..<outputStart + room]))
    }

    /// Writes the answer to the current request in one piece, and overwrites both. False when the node is gone.
    package func finish(_ header: LaneRequestHeader, _ verdict: LaneVerdict) -> Bool {
        var verdict = verdict
        if verdict.status == .done, header.operation == .encrypt, verdict.result.ivLength != profile.ivLength {
            // The IV does not reach to the data; what the node would take for the ciphertext is none.
            verdict.status = .refused
            verdict.result = CallResult(function: verdict.result.function, code: .deviceError)
        }
        let done = verdict.status == .done
        let answer = LaneAnswerHeader(
            status: verdict.status, function: verdict.result.function.rawValue,
            generation: header.generation, code: done ? 0 : UInt64(verdict.result.code.rawValue),
            hsmMicroseconds: UInt32(clamping: verdict.hsmNanoseconds / 1000),
            ivLength: done ? UInt8(clamping: verdict.result.ivLength) : 0,
            dataLength: done && header.operation.usesKey ? UInt32(clamping: verdict.result.length) : 0)
        answer.encode(into: outgoing.bytes)
        let written = write(LaneAnswerHeader.size + answer.payloadLength)
        wipeFrame(header)
        return written
    }

    /// Overwrites what the request brought and what the library may have written, also when the call failed half way.
    private func wipeFrame(_ header: LaneRequestHeader) {
        let touched = min(
            LaneAnswerHeader.size + 2 * profile.ivLength + Int(header.dataLength) + gcmTagLength, outgoing.bytes.count)
        wipe(UnsafeMutableRawBufferPointer(rebasing: outgoing.bytes[0..<touched]))
        let rest = filled - current
        if rest > 0, let base = incoming.bytes.baseAddress { memmove(base, base + current, rest) }
        wipe(UnsafeMutableRawBufferPointer(rebasing: incoming.bytes[rest..<filled]))
        filled = rest
        current = 0
    }

    /// Reads until `length` bytes are there; takes more when more has come.
    private func fill(to length: Int) -> Bool {
        while filled < length {
            waitForBytes()
            let room = UnsafeMutableRawBufferPointer(rebasing: incoming.bytes[filled...])
            let count = read(descriptor, room.baseAddress, room.count)
            if count > 0 {
                filled += min(count, room.count)
            } else if count == 0 || errno != EINTR {
                return false
            }
        }
        return true
    }

    /// Sleeps in poll rather than in read. Linux wakes whoever sleeps in a read of a Unix stream socket also when the
    /// peer has taken what was written to it, that is, once for each answer that the node reads; a poll for input is
    /// left asleep (unix_write_space in net/unix/af_unix.c: the wait queue is one for both directions, and only poll's
    /// entry on it looks at the event). An error shows in the read that follows.
    private func waitForBytes() {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        _ = poll(&wanted, 1, -1)
    }

    private func write(_ length: Int) -> Bool {
        var sent = 0
        while sent < length {
            let rest = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(outgoing.bytes)[sent..<length])
            let count = send(descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
            if count > 0 {
                sent += count
            } else if count == 0 || errno != EINTR {
                return false
            }
        }
        return true
    }
}
