// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import HSMWorker
import LaneProtocol
import PKCS11
import Testing

/// A lane on a thread of its own, and the node's end of its socket. Reads give up after ten seconds.
private final class RunningLane {
    let node: Int32
    private let ended = DispatchSemaphore(value: 0)

    init(_ script: Script = Script(), profile: GCMProfile = .callerWithIVBits, isOpen: Bool = true) throws {
        var pair: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
        node = pair[0]
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(node, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let far = pair[1]
        let ended = ended
        Thread.detachNewThread {
            if let channel = LaneChannel(descriptor: far, profile: profile), let ivs = IVPool(history: IVHistory()) {
                let session = ScriptedSession(script: script)
                var lane = Lane(
                    channel: channel,
                    engine: LaneEngine(session: session, ivs: ivs, profile: profile, isOpen: isOpen))
                lane.run()
            }
            ended.signal()
        }
    }

    deinit { close(node) }

    func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(node, $0.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            // The lane may have hung up already.
            guard count > 0 else { return }
            sent += count
        }
    }

    func endOfInput() { shutdown(node, Int32(SHUT_WR)) }

    /// True when the lane's thread has ended within ten seconds.
    func hasEnded() -> Bool { ended.wait(timeout: .now() + 10) == .success }

    /// The next answer; `nil` at the end.
    func answer() -> (header: LaneAnswerHeader, payload: [UInt8])? {
        guard let head = receive(LaneAnswerHeader.size),
            let header = head.withUnsafeBytes({ LaneAnswerHeader(decoding: $0) }),
            let payload = receive(header.payloadLength)
        else { return nil }
        return (header, payload)
    }

    private func receive(_ length: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: length)
        var filled = 0
        while filled < length {
            let count = bytes.withUnsafeMutableBytes { read(node, $0.baseAddress.map { $0 + filled }, length - filled) }
            guard count > 0 else { return nil }
            filled += count
        }
        return bytes
    }
}

private func frame(
    _ operation: LaneOperation, generation: UInt64 = 7, aad: [UInt8] = [1, 2, 3], iv: [UInt8]? = nil, data: [UInt8],
    deadline: UInt64 = .max
) -> [UInt8] {
    let iv = iv ?? (operation == .decrypt ? [UInt8](repeating: 3, count: ivLength) : [])
    var bytes = [UInt8](repeating: 0, count: LaneRequestHeader.size)
    let header = LaneRequestHeader(
        operation: operation, generation: generation, deadline: deadline, keyReference: 1,
        aadLength: UInt32(aad.count), ivLength: UInt8(clamping: iv.count), dataLength: UInt32(data.count))
    bytes.withUnsafeMutableBytes { header.encode(into: $0) }
    return bytes + aad + iv + data
}

@Suite("A lane on its socket")
struct LaneSocketTests {
    @Test("Answers carry generation, IV and result")
    func answers() throws {
        let lane = try RunningLane()
        lane.send(frame(.encrypt, generation: 41, data: [9, 8, 7]))
        let encrypted = try #require(lane.answer())
        #expect(encrypted.header.status == .done)
        #expect(encrypted.header.generation == 41)
        #expect(encrypted.header.ivLength == 12)
        #expect(encrypted.payload.count == 12 + 3 + 16)
        #expect(encrypted.payload.prefix(12).contains { $0 != 0 })
        #expect(Array(encrypted.payload[12..<15]) == [9, 8, 7])
        lane.send(frame(.decrypt, generation: 42, data: Array(encrypted.payload[12...])))
        let decrypted = try #require(lane.answer())
        #expect(decrypted.header.ivLength == 0)
        #expect(decrypted.payload == [9, 8, 7])
    }

    @Test("Frames that come together, or byte by byte, are all answered in order")
    func splitting() throws {
        let lane = try RunningLane()
        let together = (1...5).flatMap {
            frame(.encrypt, generation: UInt64($0), data: [UInt8](repeating: 1, count: $0))
        }
        lane.send(together)
        for generation in 1...5 {
            let answer = try #require(lane.answer())
            #expect(answer.header.generation == UInt64(generation))
            #expect(answer.payload.count == 28 + generation)
        }
        for byte in frame(.decrypt, generation: 6, data: [UInt8](repeating: 2, count: 20)) { lane.send([byte]) }
        #expect(try #require(lane.answer()).payload == [2, 2, 2, 2])
    }

    @Test("The largest frames pass; one whose answer would be too large is refused, and the lane goes on")
    func sizes() throws {
        let lane = try RunningLane()
        let largest = LaneFrame.largestPayload - ivLength - gcmTagLength
        lane.send(frame(.encrypt, aad: [], data: [UInt8](repeating: 4, count: largest)))
        #expect(try #require(lane.answer()).payload.count == LaneFrame.largestPayload)
        lane.send(frame(.encrypt, aad: [], data: [UInt8](repeating: 4, count: LaneFrame.largestPayload)))
        let refused = try #require(lane.answer())
        #expect(refused.header.status == .refused)
        #expect(refused.header.code == UInt64(ReturnCode.dataLenRange.rawValue))
        lane.send(frame(.decrypt, aad: [], data: [UInt8](repeating: 4, count: 16)))
        #expect(try #require(lane.answer()).header.status == .done)
    }

    @Test("The session is closed and opened on demand, and closed with the lane")
    func parking() throws {
        let script = Script()
        script.reopen = [.sessionCount, .ok]
        let lane = try RunningLane(script, isOpen: false)
        lane.send(frame(.openSession, generation: 1, aad: [], data: []))
        let refused = try #require(lane.answer())
        #expect(refused.header.generation == 1)
        #expect(refused.header.status == .refused)
        #expect(refused.header.function == PKCS11Function.openSession.rawValue)
        #expect(refused.header.code == UInt64(ReturnCode.sessionCount.rawValue))
        lane.send(frame(.openSession, generation: 2, aad: [], data: []))
        let opened = try #require(lane.answer())
        #expect(opened.header.status == .done)
        #expect(opened.payload.isEmpty)
        lane.send(frame(.decrypt, data: [UInt8](repeating: 2, count: 17)))
        #expect(try #require(lane.answer()).payload == [2])
        lane.send(frame(.closeSession, aad: [], data: [], deadline: 0))
        #expect(try #require(lane.answer()).header.status == .done)
        lane.send(frame(.openSession, aad: [], data: []))
        #expect(try #require(lane.answer()).header.status == .done)
        lane.endOfInput()
        #expect(lane.hasEnded())
        let opening = [SessionCall.restoreLogin, .reopen]
        #expect(script.calls == opening + opening + [.decrypt, .close] + opening + [.close])
    }

    @Test("An IV of 16 bytes stands before the data as one of 12 does, up to the largest frame")
    func longIV() throws {
        let script = Script()
        script.makesIVs = true
        let lane = try RunningLane(script, profile: .appendedWithIVBits)
        for size in [1, 100, LaneFrame.largestPayload - 32] {
            let data = [UInt8](repeating: 4, count: size)
            lane.send(frame(.encrypt, aad: [], data: data))
            let answer = try #require(lane.answer())
            #expect(answer.header.status == .done)
            #expect(answer.header.ivLength == 16)
            #expect(answer.payload.count == 16 + size + 16)
            #expect(answer.payload.prefix(16).contains { $0 != 0 })
            #expect(Array(answer.payload.dropFirst(16).prefix(size)) == data)
        }
        lane.send(frame(.encrypt, aad: [], data: [UInt8](repeating: 4, count: LaneFrame.largestPayload - 31)))
        #expect(try #require(lane.answer()).header.code == UInt64(ReturnCode.dataLenRange.rawValue))
        lane.send(frame(.decrypt, iv: [UInt8](repeating: 3, count: 16), data: [UInt8](repeating: 4, count: 18)))
        #expect(try #require(lane.answer()).payload == [4, 4])
    }

    @Test("A failure carries function, code and opinion, and no payload")
    func failure() throws {
        let script = Script()
        script.decrypt = [.generalError]
        let lane = try RunningLane(script)
        lane.send(frame(.decrypt, data: [UInt8](repeating: 2, count: 20)))
        let answer = try #require(lane.answer())
        #expect(answer.header.status == .refused)
        #expect(answer.header.secondOpinion == .ciphertextIsBad)
        #expect(answer.header.function == PKCS11Function.decrypt.rawValue)
        #expect(answer.header.code == 5)
        #expect(answer.payload.isEmpty)
    }

    @Test(
        "What is no frame ends the lane, and nothing else",
        arguments: [
            [UInt8](repeating: 0, count: 40), [UInt8](repeating: 0xff, count: 64),
            [LaneFrame.version, 5] + [UInt8](repeating: 0, count: 38),
            frame(.encrypt, iv: [UInt8](repeating: 1, count: 12), data: [1]),
            frame(.openSession, aad: [], data: [1]), frame(.closeSession, aad: [1], data: []),
        ])
    func noFrame(bytes: [UInt8]) throws {
        let lane = try RunningLane()
        lane.send(bytes)
        #expect(lane.answer() == nil)
        #expect(lane.hasEnded())
    }

    @Test("A node that goes away ends the lane")
    func nodeGone() throws {
        let lane = try RunningLane()
        lane.send(Array(frame(.encrypt, data: [1, 2]).prefix(17)))
        lane.endOfInput()
        #expect(lane.hasEnded())
    }

    @Test("Mutated and random frames never trap: each gets an answer, or ends the lane", arguments: 0..<60)
    func hostile(seed: UInt64) throws {
        var generator = SplitMix(state: seed)
        let lane = try RunningLane()
        for _ in 0..<20 {
            let size = Int.random(in: 0...600, using: &generator)
            var bytes = frame(
                Bool.random(using: &generator) ? .encrypt : .decrypt,
                aad: [UInt8](repeating: 1, count: Int.random(in: 0...50, using: &generator)),
                data: (0..<size).map { _ in .random(in: 0...255, using: &generator) })
            for _ in 0..<Int.random(in: 0...3, using: &generator) {
                // Lengths and the fixed part are where harm could be done.
                let place = Int.random(in: 0..<min(bytes.count, 48), using: &generator)
                bytes[place] = .random(in: 0...255, using: &generator)
            }
            if Int.random(in: 0...9, using: &generator) == 0 { bytes.removeLast(min(bytes.count, 9)) }
            lane.send(bytes)
        }
        lane.endOfInput()
        var answers = 0
        while lane.answer() != nil { answers += 1 }
        // A mutated length can make later bytes look like one more frame, but every frame has at least a header.
        #expect(answers <= 20 * 700 / LaneRequestHeader.size)
        #expect(lane.hasEnded())
    }
}
