// SPDX-License-Identifier: Apache-2.0
import Glibc

/// One HTTP/1 answer as it came over the socket.
struct RawAnswer: Equatable {
    var status: Int
    var headers: [String: String]
    var body: String
}

struct SocketTimeout: Error {}

/// A blocking TCP client that sends exactly what it is given. Every wait is bounded by `timeout` seconds.
final class RawClient {
    let descriptor: Int32
    private var received: [UInt8] = []
    private(set) var sawEnd = false
    /// All that has come.
    private(set) var receivedBytes = 0

    init(port: Int, timeout: Int = 10, receiveBuffer: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw SocketTimeout() }
        if var receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
        var limit = timeval(tv_sec: timeout, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = in_addr_t(UInt32(0x7F00_0001).bigEndian)
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { throw SocketTimeout() }
    }

    deinit {
        close(descriptor)
    }

    /// Sends all of it; false when the other side has closed.
    @discardableResult
    func send(_ text: String) -> Bool { send(bytes: Array(text.utf8)) }

    @discardableResult
    func send(bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Reads the next answer; nil when the connection ends before it is whole.
    func answer(toHead: Bool = false) throws -> RawAnswer? {
        guard let head = try read(through: Array("\r\n\r\n".utf8)) else { return nil }
        let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n")
        let words = (lines.first ?? "").split(separator: " ")
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let fields = line.split(separator: ":", maxSplits: 1)
            guard fields.count == 2 else { continue }
            headers[fields[0].lowercased()] = String(fields[1].drop { $0 == " " })
        }
        let status = words.count > 1 ? Int(words[1]) ?? 0 : 0
        let length = toHead || status == 100 ? 0 : Int(headers["content-length"] ?? "0") ?? 0
        while received.count < length {
            guard try receive() else { return nil }
        }
        defer { received.removeFirst(length) }
        return RawAnswer(
            status: status, headers: headers, body: String(decoding: received.prefix(length), as: UTF8.self))
    }

    /// The first byte that comes; nil when none does before the connection ends.
    func firstByte() throws -> UInt8? {
        while received.isEmpty { guard try receive() else { return nil } }
        return received.first
    }

    /// Waits for the other side to close, dropping what it still sends.
    func waitForEnd() throws {
        while try receive() {}
    }

    private func read(through mark: [UInt8]) throws -> [UInt8]? {
        while true {
            if let range = received.firstRange(of: mark) {
                let head = Array(received[..<range.upperBound])
                received.removeSubrange(..<range.upperBound)
                return head
            }
            guard try receive() else { return nil }
        }
    }

    /// False at the end of the connection, also when it was reset.
    private func receive() throws -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        if count > 0 {
            received += chunk[..<count]
            receivedBytes += count
            return true
        }
        if count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) { throw SocketTimeout() }
        sawEnd = true
        return false
    }
}

/// A POST with a body and a declared length.
func post(_ body: String, path: String = "/", extra: String = "") -> String {
    "POST \(path) HTTP/1.1\r\nHost: test\r\n\(extra)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
}
