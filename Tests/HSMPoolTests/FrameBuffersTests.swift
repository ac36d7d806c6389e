// SPDX-License-Identifier: Apache-2.0
import HSMPool
import NIOCore
import Testing

@Suite("Buffers of frames under way")
struct FrameBuffersTests {
    @Test("each frame keeps its bytes until its own answer, and is overwritten then", arguments: 1...5)
    func lifetime(depth: Int) {
        var buffers = FrameBuffers()
        var sent: [(number: UInt8, frame: ByteBuffer)] = []
        for number in 0..<UInt8(50) {
            if sent.count == depth {
                let oldest = sent.removeFirst()
                let isRemoved = buffers.removeOldest()
                #expect(isRemoved)
                #expect(oldest.frame.readableBytesView.allSatisfy { $0 == 0 })
            }
            sent.append((number, buffers.add { $0.writeRepeatingByte(number + 1, count: 20 + Int(number)) }))
            #expect(buffers.underWay == sent.count)
            for (number, frame) in sent {
                #expect(frame.readableBytes == 20 + Int(number))
                #expect(frame.readableBytesView.allSatisfy { $0 == number + 1 }, "another frame's bytes")
            }
        }
        buffers.wipeAll()
        #expect(buffers.underWay == 0)
        #expect(sent.allSatisfy { $0.frame.readableBytesView.allSatisfy { $0 == 0 } })
    }

    @Test("an answer to nothing is recognised")
    func nothing() {
        var buffers = FrameBuffers()
        var known = [buffers.removeOldest()]
        _ = buffers.add { $0.writeString("a frame") }
        for _ in 0..<2 { known.append(buffers.removeOldest()) }
        #expect(known == [false, true, false])
    }

    @Test("in the steady state no memory is taken")
    func reuse() {
        var buffers = FrameBuffers()
        var positions: Set<UInt> = []
        for _ in 0..<100 {
            for _ in 0..<3 {
                let frame = buffers.add { $0.writeRepeatingByte(1, count: 200) }
                positions.insert(frame.withUnsafeReadableBytes { UInt(bitPattern: $0.baseAddress) })
            }
            for _ in 0..<3 { _ = buffers.removeOldest() }
        }
        #expect(positions.count == 3)
    }
}
