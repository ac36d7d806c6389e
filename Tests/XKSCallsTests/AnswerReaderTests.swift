// SPDX-License-Identifier: Apache-2.0
import Testing
import XKSCalls

@Suite("Answers of HTTP/1.1")
struct AnswerReaderTests {
    /// All answers of a text that comes in pieces of so many bytes, and the end of the connection.
    private func read(_ text: String, pieces: Int = .max) throws(AnswerFault) -> [HTTPAnswer] {
        var reader = AnswerReader()
        var answers: [HTTPAnswer] = []
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            reader.feed(rest.prefix(pieces))
            rest = rest.dropFirst(min(pieces, rest.count))
            while let answer = try reader.next() { answers.append(answer) }
        }
        if let last = try reader.end() { answers.append(last) }
        return answers
    }

    @Test("Length, chunks and the end of the connection say where an answer ends", arguments: [1, 3, Int.max])
    func framings(pieces: Int) throws {
        let answers = try read(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
                + "HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n"
                + "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\nHTTP/1.0 500 \r\n\r\nrest", pieces: pieces)
        #expect(answers.map(\.status) == [200, 400, 204, 500])
        #expect(answers.map { String(decoding: $0.body, as: UTF8.self) } == ["ab", "abcde", "", "rest"])
        #expect(answers.map(\.interim) == [[], [], [100], []])
        #expect(answers.map(\.closes) == [false, false, false, true])
    }

    @Test(
        "What is no answer is refused",
        arguments: [
            ("garbage\r\n\r\n", AnswerFault.statusLine), ("HTTP/1.1 20 OK\r\n\r\n", .statusLine),
            ("HTTP/2 200 OK\r\n\r\n", .statusLine), ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", .headerLine),
            ("HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", .headerLine),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", .length),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", .length),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", .length),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", .bodyTooLong),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\n", .chunk),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", .chunk),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n", .bodyTooLong),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", .cutOff),
        ])
    func faults(text: String, fault: AnswerFault) {
        #expect(throws: fault) { try read(text) }
    }

    @Test("What has no end is given up")
    func bounds() {
        let line = String(repeating: "x", count: 70_000)
        #expect(throws: AnswerFault.headTooLong) { try read(line) }
        #expect(throws: AnswerFault.headTooLong) { try read("HTTP/1.1 200 OK\r\nA: \(line)\r\n\r\n") }
        let many = String(repeating: "A: b\r\n", count: 300)
        #expect(throws: AnswerFault.headTooLong) { try read("HTTP/1.1 200 OK\r\n\(many)\r\n") }
        let body = String(repeating: "x", count: 1_100_000)
        #expect(throws: AnswerFault.bodyTooLong) { try read("HTTP/1.1 200 OK\r\n\r\n\(body)") }
        let trailer = String(repeating: "T: \(String(repeating: "y", count: 1_000))\r\n", count: 100)
        #expect(throws: AnswerFault.headTooLong) {
            try read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\(trailer)")
        }
    }

    @Test("An answer to HEAD has no body")
    func head() throws {
        var reader = AnswerReader()
        reader.answersHead = true
        reader.feed(Array("HTTP/1.1 405 No\r\nContent-Length: 9\r\n\r\n".utf8))
        #expect(try reader.next()?.status == 405)
        #expect(try reader.end() == nil)
    }
}
