// SPDX-License-Identifier: Apache-2.0
import Foundation
import SecureMemory
import XKSProtocol

/// Whatever goes wrong around a program that a test runs.
struct TestTrouble: Error, CustomStringConvertible {
    var description: String
}

/// A program run by a test, found on the search path.
struct Program {
    private let process = Process()
    private let output = Pipe()

    init(_ name: String, _ arguments: [String]) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [name] + arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        try process.run()
    }

    /// Waits for its end; what it wrote to standard output, and its exit status.
    func finish() throws -> (status: Int32, text: String) {
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }
}

/// Takes one HTTP/1.1 request on a free port of the loopback interface, and keeps it as it came.
final class LocalServer {
    let port: UInt16
    private let listener: Int32
    /// Longest wait for the other side, in milliseconds.
    private static let patience: Int32 = 20_000

    init() throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard listener >= 0 else { throw TestTrouble(description: "socket: errno \(errno)") }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                guard bind(listener, generic, length) == 0, listen(listener, 4) == 0 else { return Int32(-1) }
                return getsockname(listener, generic, &length)
            }
        }
        port = UInt16(bigEndian: address.sin_port)
        guard result == 0 else {
            close(listener)
            throw TestTrouble(description: "bind: errno \(errno)")
        }
    }

    deinit { close(listener) }

    /// Waits for a request, answers 200 without a body, and gives the request.
    func answerOne() throws -> ProxyRequest {
        try waitUntilReadable(listener)
        let connection = accept(listener, nil, nil)
        guard connection >= 0 else { throw TestTrouble(description: "accept: errno \(errno)") }
        defer { close(connection) }
        let request = try read(from: connection)
        let answer = Array("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".utf8)
        guard send(connection, answer, answer.count, Int32(MSG_NOSIGNAL)) == answer.count else {
            throw TestTrouble(description: "send: errno \(errno)")
        }
        return request
    }

    private func waitUntilReadable(_ descriptor: Int32) throws {
        var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&poller, 1, Self.patience) == 1 else {
            throw TestTrouble(description: "nothing came in \(Self.patience) ms")
        }
    }

    private func read(from connection: Int32) throws -> ProxyRequest {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            if let request = try parse(bytes) { return request }
            try waitUntilReadable(connection)
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { throw TestTrouble(description: "the connection ended early") }
            bytes += buffer[..<count]
        }
    }

    /// The request, or nil while some of it is still to come.
    private func parse(_ bytes: [UInt8]) throws -> ProxyRequest? {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        var lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        let requestLine = lines.removeFirst().split(separator: " ")
        guard requestLine.count == 3 else { throw TestTrouble(description: "no request line") }
        let headers = lines.compactMap(HeaderField.init(line:))
        let length = headers.first { $0.name.lowercased() == "content-length" }
        let count = length.flatMap { Int($0.value.trimmingCharacters(in: .whitespaces)) } ?? 0
        let body = bytes[end.upperBound...]
        guard body.count >= count else { return nil }
        return ProxyRequest(
            method: String(requestLine[0]), target: String(requestLine[1]), headers: headers,
            body: SecretBytes(body.prefix(count)), receivedAt: 0, peer: "127.0.0.1")
    }
}
