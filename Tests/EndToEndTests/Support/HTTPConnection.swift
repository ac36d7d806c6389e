// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc

/// One answer over HTTP/1.1.
struct HTTPReply {
    var status: Int
    /// Names in lower case.
    var headers: [String: String]
    var body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }
}

/// A blocking HTTP/1.1 client on one TCP connection that is kept open. No wait lasts longer than 30 seconds.
final class HTTPConnection {
    /// Host and port, as the Host header has them.
    let host: String
    private let descriptor: Int32
    private var received: [UInt8] = []

    /// - Parameter url: `http://127.0.0.1:PORT`, and nothing after it.
    init(url: String) throws {
        guard url.hasPrefix("http://127.0.0.1:"), let port = Int(url.dropFirst("http://127.0.0.1:".count)) else {
            throw HarnessError("not a plain URL of the loopback address: \(url)")
        }
        host = "127.0.0.1:\(port)"
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var limit = timeval(tv_sec: 30, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = loopback(port: port)
        let connected = withUnsafeBytes(of: &address) { bytes -> Int32 in
            guard let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return -1 }
            return connect(descriptor, pointer, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
        guard connected == 0 else {
            throw HarnessError("cannot connect to \(host): \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }

    /// Sends a request and reads its answer. Adds Content-Length.
    func send(_ method: String, _ target: String, headers: [(String, String)], body: [UInt8]) throws -> HTTPReply {
        var head = "\(method) \(target) HTTP/1.1\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        head += "Content-Length: \(body.count)\r\n\r\n"
        guard write(Array(head.utf8) + body) else { throw HarnessError("\(host) closed the connection") }
        return try answer()
    }

    /// Sends bytes as they are; false when the other side takes no more.
    func write(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { all in
                Glibc.send(descriptor, all.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    /// Reads one answer.
    func answer() throws -> HTTPReply {
        let mark = Array("\r\n\r\n".utf8)
        var head: ArraySlice<UInt8>?
        while head == nil {
            if let range = received.firstRange(of: mark) {
                head = received[..<range.lowerBound]
                received.removeFirst(range.upperBound)
            } else {
                try receive()
            }
        }
        let lines = String(decoding: head ?? [], as: UTF8.self).components(separatedBy: "\r\n")
        let words = lines[0].split(separator: " ")
        guard words.count >= 2, let status = Int(words[1]) else { throw HarnessError("no status line: \(lines[0])") }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(
                in: .whitespaces)
        }
        let length = Int(headers["content-length"] ?? "0") ?? 0
        while received.count < length { try receive() }
        defer { received.removeFirst(length) }
        return HTTPReply(status: status, headers: headers, body: Array(received.prefix(length)))
    }

    private func receive() throws {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let reason = count == 0 ? "closed the connection" : String(cString: strerror(errno))
                throw HarnessError("\(host): \(reason)")
            }
            received += buffer[..<count]
            return
        }
    }
}
