// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import ControlPlane
import Foundation
import NIOSSL
import Testing

/// The control listener with a certificate, asked by curl.
@Suite struct ControlTLSTests {
    /// A certificate for `localhost` by openssl, in a directory that is removed with this.
    private final class Certificate {
        let directory: URL
        var file: String { directory.appending(path: "cert.pem").path }

        init(name: String = "localhost") throws {
            directory = FileManager.default.temporaryDirectory.appending(path: "control-tls-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            let made = try run([
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-days",
                "2", "-subj", "/CN=\(name)", "-addext", "subjectAltName=DNS:localhost", "-out", file, "-keyout",
                directory.appending(path: "key.pem").path,
            ])
            try #require(made.status == 0, "\(made.output)")
        }

        deinit { try? FileManager.default.removeItem(at: directory) }

        func context() throws -> NIOSSLContext {
            let chain = try NIOSSLCertificate.fromPEMFile(file).map { NIOSSLCertificateSource.certificate($0) }
            let key = try NIOSSLPrivateKey(file: directory.appending(path: "key.pem").path, format: .pem)
            return try NIOSSLContext(
                configuration: .makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(key)))
        }
    }

    private func curl(_ port: Int, _ path: String, scheme: String = "https", _ options: [String]) throws -> (
        Int32, String
    ) {
        let result = try run(
            ["curl", "--silent", "--show-error", "--max-time", "10", "--write-out", " %{http_code}"] + options
                + ["\(scheme)://localhost:\(port)\(path)"])
        return (result.status, result.output)
    }

    @Test func itIsServedOverTLSAndNothingElse() async throws {
        let certificate = try Certificate()
        try await GuardedServer.with(token: "0123456789abcdef", context: certificate.context()) { server in
            let port = server.server.port
            let trusted = ["--cacert", certificate.file]
            #expect(try curl(port, "/ping", trusted) == (0, "pong\n 200"))
            #expect(try curl(port, "/", trusted).1.hasSuffix(" 401"))
            let shown = trusted + ["--user", "me:0123456789abcdef"]
            #expect(try curl(port, "/", shown) == (0, "<p>All is well 200"))
            // The client is gone before the server sees that: it is waited for.
            #expect(await eventually { server.protection.links.connections.isEmpty }, "all have ended")
            #expect(try curl(port, "/ping", scheme: "http", []).0 != 0)
            #expect(await eventually { server.count(.plainHTTP) == 1 }, "\(server.refusals.counts)")
            // One that trusts another certificate.
            let stranger = try Certificate(name: "other")
            #expect(try curl(port, "/ping", ["--cacert", stranger.file]).0 == 60)
            let isRefused = await eventually {
                server.count(.serverCertificateRefused) + server.count(.handshakeAbandoned) == 1
            }
            #expect(isRefused, "\(server.refusals.counts)")
            let idle = try RawConnection.open(port: port)
            close(idle)
            let old = ["--cacert", certificate.file, "--tls-max", "1.1"]
            #expect(try curl(port, "/ping", old).0 != 0)
            #expect(try curl(port, "/ping", trusted) == (0, "pong\n 200"), "it goes on serving")
        }
    }

    @Test func aReplacedCertificateIsThatOfNewConnections() async throws {
        let (first, second) = (try Certificate(), try Certificate())
        try await GuardedServer.with(context: first.context()) { server in
            let port = server.server.port
            #expect(try curl(port, "/ping", ["--cacert", first.file]).0 == 0)
            server.protection.replace(context: try second.context(), token: nil)
            #expect(try curl(port, "/ping", ["--cacert", first.file]).0 == 60)
            #expect(try curl(port, "/ping", ["--cacert", second.file]).0 == 0)
            // Without one, plain HTTP.
            server.protection.replace(context: nil, token: nil)
            #expect(try curl(port, "/ping", scheme: "http", []) == (0, "pong\n 200"))
        }
    }
}

/// Asks again until it is so, for at most ten seconds.
private func eventually(_ condition: () -> Bool) async -> Bool {
    let end = ContinuousClock.now + .seconds(10)
    while !condition() {
        guard ContinuousClock.now < end else { return false }
        try? await Task.sleep(for: .milliseconds(2))
    }
    return true
}

/// Runs a command to its end, 20 seconds at the latest.
private func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["timeout", "20"] + arguments
    let pipe = Pipe()
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
}
