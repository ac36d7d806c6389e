// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Testing

@Suite("Lane frames")
struct LaneFrameTests {
    @Test("a request reads as it was written")
    func request() {
        var random = SystemRandomNumberGenerator()
        for operation in LaneOperation.allCases {
            for _ in 0..<200 {
                let header = LaneRequestHeader(
                    operation: operation, generation: random.next(), deadline: random.next(),
                    keyReference: UInt32.random(in: .min ... .max), aadLength: UInt32.random(in: 0...65_558),
                    ivLength: UInt8.random(in: 0...16), dataLength: UInt32.random(in: 0...65_552))
                var bytes = [UInt8](repeating: 0, count: LaneRequestHeader.size)
                bytes.withUnsafeMutableBytes { header.encode(into: $0) }
                #expect(bytes.withUnsafeBytes { LaneRequestHeader(decoding: $0) } == header)
            }
        }
    }

    @Test("an answer reads as it was written")
    func answer() {
        var random = SystemRandomNumberGenerator()
        for status in LaneStatus.allCases {
            let header = LaneAnswerHeader(
                status: status, function: PKCS11Function.decrypt.rawValue, generation: random.next(),
                code: random.next(), hsmMicroseconds: UInt32.random(in: .min ... .max),
                ivLength: UInt8.random(in: 0...16), dataLength: UInt32.random(in: 0...65_552))
            var bytes = [UInt8](repeating: 0, count: LaneAnswerHeader.size)
            bytes.withUnsafeMutableBytes { header.encode(into: $0) }
            #expect(bytes.withUnsafeBytes { LaneAnswerHeader(decoding: $0) } == header)
        }
    }

    @Test("whatever bytes come, reading does not trap, and what is accepted has a bounded payload")
    func hostile() {
        for _ in 0..<20_000 {
            var bytes = (0..<Int.random(in: 0...64)).map { _ in UInt8.random(in: .min ... .max) }
            if bytes.count > 1, Bool.random() { bytes[0] = LaneFrame.version }
            bytes.withUnsafeBytes { raw in
                if let request = LaneRequestHeader(decoding: raw) {
                    #expect(request.payloadLength <= LaneFrame.largestPayload)
                }
                if let answer = LaneAnswerHeader(decoding: raw) {
                    #expect(answer.payloadLength <= LaneFrame.largestPayload)
                }
            }
        }
    }

    @Test("a frame of another version is refused")
    func version() {
        var bytes = [UInt8](repeating: 0, count: LaneRequestHeader.size)
        let header = LaneRequestHeader(
            operation: .encrypt, generation: 1, deadline: 2, keyReference: 3, aadLength: 4, ivLength: 0, dataLength: 5)
        bytes.withUnsafeMutableBytes { header.encode(into: $0) }
        bytes[0] = LaneFrame.version + 1
        #expect(bytes.withUnsafeBytes { LaneRequestHeader(decoding: $0) } == nil)
    }
}
