// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import ControlPlane
import Foundation
import Logging
import Testing

/// Bytes that are no request: the connection ends, the server goes on.
@Suite struct HostileControlTests {
    @Test func brokenRequestsEndNothing() async throws {
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let server = try await ControlServer.start(port: 0, source: StatusSource([.active]), logger: logger)
        let port = server.port
        let texts = [
            "", "\r\n", "GET", "GET /ping", "GET /ping HTTP/9.9\r\n\r\n", "GET  HTTP/1.1\r\n\r\n", "\0\0\0\0",
            "\u{16}\u{3}\u{1}",
            "GET /\u{0} HTTP/1.1\r\nHost: a\r\n\r\n", "GET * HTTP/1.1\r\n\r\n", "GET http:// HTTP/1.1\r\n\r\n",
            "GET /%zz%00%ff HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "GET /ping HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "GET /ping HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            "GET /ping HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
            "GET /ping HTTP/1.1\r\nA: \(String(repeating: "b", count: 200_000))\r\n\r\n",
            "GET /\(String(repeating: "a", count: 200_000)) HTTP/1.1\r\n\r\n",
            "GET /ping HTTP/1.1\r\n" + String(repeating: "a: b\r\n", count: 5000) + "\r\n",
        ]
        for text in texts {
            let answer = try await RawConnection.exchange(Array(text.utf8), port: port)
            #expect(answer.isEmpty || answer.hasPrefix("HTTP/1."), "\(answer)")
        }
        let good = try await RawConnection.exchange(
            Array("GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".utf8), port: port)
        #expect(good.hasPrefix("HTTP/1.1 200 OK\r\n") && good.hasSuffix("\r\n\r\npong\n"))
        await server.stop()
    }
}
