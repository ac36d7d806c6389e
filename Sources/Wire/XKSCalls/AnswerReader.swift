// SPDX-License-Identifier: Apache-2.0
import XKSProtocol

/// One answer of HTTP, as it came.
package struct HTTPAnswer: Sendable, Equatable {
    package var status: Int
    /// `HTTP/1.1`, `HTTP/1.0` or `HTTP/2`.
    package var version: String
    /// In order, with the case in which they came.
    package var headers: [HeaderField]
    package var body: [UInt8]
    /// Statuses of the answers before it that were none yet, for example 100.
    package var interim: [Int] = []

    package init(status: Int, version: String = "HTTP/1.1", headers: [HeaderField], body: [UInt8]) {
        self.status = status
        self.version = version
        self.headers = headers
        self.body = body
    }

    /// Values of all headers of a name, which is given in lower case.
    package func values(of name: String) -> [String] {
        headers.filter { $0.name.lowercased() == name }.map(\.value)
    }

    /// Whether the server says that the connection ends with this answer.
    package var closes: Bool {
        let words = values(of: "connection").flatMap { $0.lowercased().split(separator: ",") }
            .map { String($0.filter { $0 != " " }) }
        return words.contains("close") || (version == "HTTP/1.0" && !words.contains("keep-alive"))
    }
}

/// Why what came is no answer of HTTP/1.1 (RFC 9112).
package enum AnswerFault: Error, Sendable, Equatable {
    case statusLine
    case headerLine
    /// More than `AnswerReader.longestHead` bytes.
    case headTooLong
    /// More than `AnswerReader.longestBody` bytes.
    case bodyTooLong
    /// Content-Length is no number, or there are several that differ, or Transfer-Encoding besides.
    case length
    case chunk
    /// The connection ended within an answer.
    case cutOff
}

extension AnswerFault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .statusLine: "the answer does not begin with a status line of HTTP/1.1"
        case .headerLine: "the answer has a header that is not of the form name: value"
        case .headTooLong: "the answer's head is longer than \(AnswerReader.longestHead) bytes"
        case .bodyTooLong: "the answer's body is longer than \(AnswerReader.longestBody) bytes"
        case .length: "the answer does not say clearly how long it is"
        case .chunk: "the answer has a malformed chunk"
        case .cutOff: "the connection ended within an answer"
        }
    }
}

/// Takes the answers of a connection of HTTP/1.1 apart. Whatever comes, it holds a bounded number of bytes.
package struct AnswerReader: Sendable {
    package static let longestHead = 65_536
    package static let longestBody = 1_048_576
    private static let mostHeaders = 256

    private enum Part {
        case head
        case body(HTTPAnswer, count: Int)
        case chunkSize(HTTPAnswer)
        case chunk(HTTPAnswer, count: Int)
        case chunkEnd(HTTPAnswer)
        case trailer(HTTPAnswer)
        case untilEnd(HTTPAnswer)
    }

    private var pending: [UInt8] = []
    private var start = 0
    private var part = Part.head
    private var interim: [Int] = []
    private var trailerBytes = 0
    /// That the next answer has no body, whatever its headers say: it is to a HEAD.
    package var answersHead = false

    package init() {}

    /// Bytes that came and are not read yet.
    package var leftover: ArraySlice<UInt8> { pending[start...] }

    package mutating func feed(_ bytes: some Sequence<UInt8>) {
        if start > 0 {
            pending.removeFirst(start)
            start = 0
        }
        pending.append(contentsOf: bytes)
    }

    /// The next whole answer; `nil` while there is none.
    package mutating func next() throws(AnswerFault) -> HTTPAnswer? {
        while true {
            switch part {
            case .head:
                guard let lines = try head() else { return nil }
                if let answer = try begin(lines) { return finished(answer) }
            case .body(var answer, let count):
                guard pending.count - start >= count else { return nil }
                answer.body = take(count)
                return finished(answer)
            case .chunkSize(let answer):
                guard let line = try line() else { return nil }
                let digits = line.prefix { $0 != 0x3B && $0 != 0x20 }
                guard (1...8).contains(digits.count),
                    let text = String(validating: digits, as: UTF8.self),
                    text.allSatisfy(\.isHexDigit), let size = Int(text, radix: 16)
                else { throw .chunk }
                guard size <= Self.longestBody - answer.body.count else { throw .bodyTooLong }
                part = size == 0 ? .trailer(answer) : .chunk(answer, count: size)
            case .chunk(var answer, let count):
                guard pending.count - start >= count else { return nil }
                answer.body += take(count)
                part = .chunkEnd(answer)
            case .chunkEnd(let answer):
                guard let line = try line() else { return nil }
                guard line.isEmpty else { throw .chunk }
                part = .chunkSize(answer)
            case .trailer(let answer):
                guard let line = try line() else { return nil }
                trailerBytes += line.count + 2
                guard trailerBytes <= Self.longestHead else { throw .headTooLong }
                if line.isEmpty { return finished(answer) }
            case .untilEnd(var answer):
                guard pending.count - start <= Self.longestBody - answer.body.count else { throw .bodyTooLong }
                answer.body += take(pending.count - start)
                part = .untilEnd(answer)
                return nil
            }
        }
    }

    /// The connection has ended. Returns the answer that goes on until then, `nil` where all had been read.
    package mutating func end() throws(AnswerFault) -> HTTPAnswer? {
        switch part {
        case .untilEnd(let answer): return finished(answer)
        case .head where start == pending.count: return nil
        default: throw .cutOff
        }
    }

    private mutating func finished(_ answer: HTTPAnswer) -> HTTPAnswer {
        var answer = answer
        answer.interim = interim
        (part, interim, trailerBytes, answersHead) = (.head, [], 0, false)
        return answer
    }

    private mutating func take(_ count: Int) -> [UInt8] {
        defer { start += count }
        return Array(pending[start..<start + count])
    }

    /// A line without its end; `nil` while it is not whole.
    private mutating func line() throws(AnswerFault) -> [UInt8]? {
        guard let end = pending[start...].firstIndex(of: 0x0A) else {
            guard pending.count - start <= Self.longestHead else { throw .headTooLong }
            return nil
        }
        guard end - start <= Self.longestHead else { throw .headTooLong }
        defer { start = end + 1 }
        return Array(end > start && pending[end - 1] == 0x0D ? pending[start..<end - 1] : pending[start..<end])
    }

    /// The lines of a whole head; `nil` while it is not there.
    private mutating func head() throws(AnswerFault) -> [[UInt8]]? {
        let before = start
        var lines: [[UInt8]] = []
        while let line = try line() {
            guard start - before <= Self.longestHead else { throw .headTooLong }
            if !line.isEmpty {
                lines.append(line)
                guard lines.count <= Self.mostHeaders else { throw .headTooLong }
            } else if !lines.isEmpty {
                return lines
            }
        }
        guard pending.count - before <= Self.longestHead else { throw .headTooLong }
        start = before
        return nil
    }

    /// Reads a head. Returns the answer where it is whole with it.
    private mutating func begin(_ lines: [[UInt8]]) throws(AnswerFault) -> HTTPAnswer? {
        var answer = try Self.statusLine(lines[0])
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: 0x3A), colon > 0,
                let name = String(validating: line[..<colon], as: UTF8.self), !name.contains(" ")
            else { throw .headerLine }
            // What is not UTF-8 is none of the headers that are looked at.
            let value = String(decoding: line[(colon + 1)...], as: UTF8.self)
            answer.headers.append(HeaderField(name: name, value: Self.trimmed(value)))
        }
        if (100...199).contains(answer.status) {
            guard interim.count < 8 else { throw .statusLine }
            interim.append(answer.status)
            return nil
        }
        if answersHead || answer.status == 204 || answer.status == 304 { return answer }
        let lengths = Set(answer.values(of: "content-length"))
        let codings = answer.values(of: "transfer-encoding").map { $0.lowercased() }
        guard lengths.count <= 1, lengths.isEmpty || codings.isEmpty else { throw .length }
        if codings == ["chunked"] {
            part = .chunkSize(answer)
        } else if let text = lengths.first {
            guard let length = Int(text), length >= 0, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw .length
            }
            guard length <= Self.longestBody else { throw .bodyTooLong }
            part = .body(answer, count: length)
        } else if codings.isEmpty {
            part = .untilEnd(answer)
        } else {
            throw .length
        }
        return nil
    }

    private static func statusLine(_ line: [UInt8]) throws(AnswerFault) -> HTTPAnswer {
        guard let text = String(validating: line, as: UTF8.self) else { throw .statusLine }
        let words = text.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard words.count >= 2, words[0] == "HTTP/1.1" || words[0] == "HTTP/1.0", words[1].utf8.count == 3,
            let status = Int(words[1]), (100...999).contains(status)
        else { throw .statusLine }
        return HTTPAnswer(status: status, version: String(words[0]), headers: [], body: [])
    }

    private static func trimmed(_ value: String) -> String {
        var text = value[...]
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }
}
