// SPDX-License-Identifier: Apache-2.0
import Chance
import LoadGenerator
import SeededRandom
import Testing
import XKSCalls

@Suite("Answers that are read quickly")
struct QuickAnswerTests {
    private func quick(_ text: String) -> QuickAnswer? { Array(text.utf8).withUnsafeBytes { QuickAnswer($0) } }

    @Test("one that is whole is read, with its status, body and the end of its connection")
    func whole() throws {
        let answer = try #require(quick("HTTP/1.1 429 Too Many\r\nX: y\r\nCONTENT-length:  3\r\n\r\nabc"))
        #expect(answer.status == 429 && !answer.closes && answer.body.count == 3)
        #expect(quick("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")?.closes == true)
        #expect(quick("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")?.closes == false)
    }

    @Test(
        "whatever else is left to the reader that knows more",
        arguments: [
            "", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcd",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n", "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 100 Continue\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 204 No\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "HTTP/1.1 200 OK\ncontent-length: 0\n\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nconnection: upgrade\r\ncontent-length: 0\r\n\r\n",
        ])
    func others(_ text: String) {
        #expect(quick(text) == nil)
    }

    /// What it reads, the other reader reads alike: of mutated answers that are still good ones, and of those that are none.
    @Test("it never says anything else than the reader that knows more")
    func alike() throws {
        var random = RandomChoice(seed: 20_261_130)
        var read = 0
        for _ in 0..<20_000 {
            let body = random.bytes(random.below(20))
            var bytes = Array("HTTP/1.1 200 OK\r\nContent-Type: a\r\nContent-Length: \(body.count)\r\n\r\n".utf8) + body
            for _ in 0..<random.below(3) {
                let place = random.below(bytes.count)
                switch random.below(3) {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.remove(at: place)
                default: bytes.insert(Array("\r\n: 0aA".utf8)[random.below(7)], at: place)
                }
            }
            guard let quick = bytes.withUnsafeBytes({ QuickAnswer($0) }) else { continue }
            read += 1
            var reader = AnswerReader()
            reader.feed(bytes)
            // A header that is none is its answer's fault; the figures of a load do not depend on it.
            guard let answer = try? reader.next() else { continue }
            #expect(answer.status == quick.status && answer.body == Array(bytes[quick.body]))
            #expect(answer.closes == quick.closes)
        }
        #expect(read > 5_000)
    }
}
