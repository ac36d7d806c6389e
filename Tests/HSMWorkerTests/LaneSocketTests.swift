// SPDX-License-Identifier: Apache-2.0
import Chance
import Glibc
import HSMWorker
import LaneProtocol
import PKCS11
import Testing

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

    @Test("A lane sleeps until the next frame comes: that its answer is taken does not wake it")
    func sleepsBetweenFrames() throws {
        let lane = try RunningLane()
        let frames = 50
        try lane.waitUntilAsleep()
        let before = try lane.timesSlept()
        for _ in 0..<frames {
            lane.send(frame(.encrypt, data: [1]))
            try lane.waitUntilAnsweredAndAsleep()
            _ = try #require(lane.answer())
            try lane.waitUntilAsleep()
        }
        // Twice as often, were it woken.
        #expect(try lane.timesSlept() - before <= frames + frames / 2)
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

    @Test("A failure carries function and code, and no payload")
    func failure() throws {
        let script = Script()
        script.decrypt = [.generalError]
        let lane = try RunningLane(script)
        lane.send(frame(.decrypt, data: [UInt8](repeating: 2, count: 20)))
        let answer = try #require(lane.answer())
        #expect(answer.header.status == .refused)
        #expect(answer.header.function == PKCS11Function.decrypt.rawValue)
        #expect(answer.header.code == 5)
        #expect(answer.payload.isEmpty)
    }

    @Test(
        "What is no frame ends the lane, and nothing else",
        arguments: [
            [UInt8](repeating: 0, count: 40), [UInt8](repeating: 0xff, count: 64),
            [LaneFrame.version, 6] + [UInt8](repeating: 0, count: 38),
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
        var generator = RandomChoice(seed: seed)
        let lane = try RunningLane()
        for _ in 0..<20 {
            let size = Int.random(in: 0...600, using: &generator)
            var bytes = frame(
                Bool.random(using: &generator) ? .encrypt : .decrypt,
                aad: [UInt8](repeating: 1, count: Int.random(in: 0...50, using: &generator)),
                data: (0..<size).map { _ in .random(in: 0...255, using: &generator) })
            for _ in 0..<Int.random(in: 0...3, using: &generator) {
                // Lengths and the fixed part are where harm could be done.
                let position = Int.random(in: 0..<min(bytes.count, 48), using: &generator)
                bytes[position] = .random(in: 0...255, using: &generator)
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
