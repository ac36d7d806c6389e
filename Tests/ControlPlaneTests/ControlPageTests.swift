// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import ControlPlane
import Foundation
import Logging
import NIOSSL
import SecureMemory
import Testing

/// A page of one sentence, and a stylesheet.
private struct Page: PageSource {
    func file(at path: String) -> PageFile? {
        switch path {
        case "/":
            PageFile(
                contentType: "text/html", body: Array("<p>All is well".utf8), digest: nil, policy: "default-src 'none'")
        case "/style.css":
            PageFile(contentType: "text/css", body: Array("p{}".utf8), digest: "0123", policy: "default-src 'none'")
        default: nil
        }
    }
}

/// A control listener with a page, and what it counts.
struct GuardedServer {
    let server: ControlServer
    let refusals: RefusalCounter
    let protection: ControlProtection

    /// - Parameter body: the server has ended afterwards, whatever it did.
    static func with(
        token: String? = nil, context: NIOSSLContext? = nil, _ body: (GuardedServer) async throws -> Void
    ) async throws {
        let refusals = RefusalCounter(clock: { 1_700_000_000 })
        let protection = ControlProtection(
            context: context, token: try token.map { try ControlToken(SecretBytes($0.utf8)) })
        let server = try await ControlServer.start(
            port: 0, source: StatusSource([.active, .degraded]), page: Page(), protection: protection,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }), refusals: refusals)
        do {
            try await body(GuardedServer(server: server, refusals: refusals, protection: protection))
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
    }

    /// One request of its own connection. URLSession would answer 401 by itself.
    func ask(
        _ path: String, method: String = "GET", _ headers: [String: String] = [:]
    ) async throws -> (answer: Answer, body: String) {
        let fields = headers.map { "\($0): \($1)\r\n" }.joined()
        let request = "\(method) \(path) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\(fields)\r\n"
        let text = try await RawConnection.exchange(Array(request.utf8), port: server.port)
        let parts = text.split(separator: "\r\n\r\n", maxSplits: 1)
        let lines = (parts.first ?? "").split(separator: "\r\n")
        let status = try #require(lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) })
        return (
            Answer(statusCode: status, lines: lines.dropFirst().map(String.init)),
            parts.count > 1 ? String(parts[1]) : ""
        )
    }

    struct Answer {
        var statusCode: Int
        var lines: [String]

        /// All values of a name.
        func values(_ name: String) -> [String] {
            lines.filter { $0.lowercased().hasPrefix(name.lowercased() + ": ") }.map {
                String($0.dropFirst(name.count + 2))
            }
        }

        func value(forHTTPHeaderField name: String) -> String? { values(name).first }
    }

    /// How many were turned away for this.
    func count(_ kind: RefusalKind) -> Int { refusals.counts.filter { $0.kind == kind }.reduce(0) { $0 + $1.count } }
}

@Suite struct ControlPageTests {
    @Test func thePageComesWithAStrictPolicyAndIsNotKept() async throws {
        try await GuardedServer.with { server in
            let (answer, body) = try await server.ask("/")
            #expect(answer.statusCode == 200 && body == "<p>All is well")
            let expected = [
                "Content-Type": "text/html", "Cache-Control": "no-store",
                "Content-Security-Policy": "default-src 'none'",
                "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
                "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
            ]
            for (name, value) in expected { #expect(answer.value(forHTTPHeaderField: name) == value, "\(name)") }
            #expect(answer.value(forHTTPHeaderField: "ETag") == nil)
            let (posted, _) = try await server.ask("/", method: "POST")
            #expect(posted.statusCode == 405)
            let (head, nothing) = try await server.ask("/", method: "HEAD")
            #expect(head.statusCode == 200 && nothing == "" && head.value(forHTTPHeaderField: "Content-Length") == "14")
            let (unknown, text) = try await server.ask("/style.js")
            #expect(unknown.statusCode == 404 && text.contains("there are /, /ping"))
        }
    }

    @Test func itsFilesAreKeptForAsLongAsTheyAreTheSame() async throws {
        try await GuardedServer.with { server in
            let (exact, body) = try await server.ask("/style.css?v=0123")
            #expect(exact.statusCode == 200 && body == "p{}" && exact.value(forHTTPHeaderField: "ETag") == "\"0123\"")
            #expect(exact.value(forHTTPHeaderField: "Cache-Control") == "private, max-age=31536000, immutable")
            #expect(exact.value(forHTTPHeaderField: "X-Content-Type-Options") == "nosniff")
            // A page of another version asks for another file than this one.
            for query in ["", "?v=9999", "?v=0123&x"] {
                let (other, _) = try await server.ask("/style.css\(query)")
                #expect(other.statusCode == 200 && other.value(forHTTPHeaderField: "Cache-Control") == "no-cache")
            }
            for known in ["\"0123\"", "W/\"0123\"", "\"a\", \"0123\"", "*"] {
                let (same, nothing) = try await server.ask("/style.css", ["If-None-Match": known])
                #expect(same.statusCode == 304 && nothing == "", "\(known)")
            }
            let (changed, _) = try await server.ask("/style.css", ["If-None-Match": "\"012\""])
            #expect(changed.statusCode == 200)
        }
    }
}

@Suite struct ControlTokenTests {
    private static let token = "0123456789abcdef.Token~/+-_=="

    private func basic(_ text: String) -> [String: String] {
        ["Authorization": "Basic \(Data(text.utf8).base64EncodedString())"]
    }

    @Test func withoutTheTokenOnlyLoadBalancersAreAnswered() async throws {
        try await GuardedServer.with(token: Self.token) { server in
            for path in ["/", "/style.css", "/health", "/cluster/health", "/metrics", "/nowhere", "/ping/"] {
                let (answer, body) = try await server.ask(path)
                #expect(answer.statusCode == 401, "\(path)")
                #expect(
                    answer.values("WWW-Authenticate")
                        == ["Bearer realm=\"claviger\"", "Basic realm=\"claviger\", charset=\"UTF-8\""])
                #expect(body == "{\"error\":\"show the token of [control]: Authorization: Bearer …\"}\n")
            }
            #expect(server.count(.unauthenticated) == 7)
            for path in ["/ping", "/livez", "/readyz"] {
                let (answer, _) = try await server.ask(path)
                #expect(answer.statusCode == 200, "\(path)")
            }
            #expect(server.count(.unauthenticated) == 7)
            let (_, stranger) = try await server.ask("/readyz")
            #expect(stranger == "{\"canForward\":false,\"draining\":false,\"ready\":true}\n", "no HSM is named")
            let (_, known) = try await server.ask("/readyz", ["Authorization": "Bearer \(Self.token)"])
            #expect(known.contains("nshield-a"))
        }
    }

    @Test func theTokenIsShownAsBearerOrAsPassword() async throws {
        try await GuardedServer.with(token: Self.token) { server in
            let good = [
                ["Authorization": "Bearer \(Self.token)"], ["Authorization": "bearer  \(Self.token)"],
                basic("anna:\(Self.token)"), basic(":\(Self.token)"),
            ]
            for headers in good {
                let (answer, _) = try await server.ask("/health", headers)
                #expect(answer.statusCode == 200, "\(headers)")
            }
            #expect(server.count(.unauthenticated) == 0)
            let bad =
                [
                    "Bearer", "Bearer ", Self.token, "Bearer \(Self.token.dropLast())", "Bearer \(Self.token)=",
                    "Bearer x\(Self.token)", "Bearer \(Self.token.uppercased())", "Digest \(Self.token)",
                    "Basic \(Self.token)",
                    "Basic ????", "Bearer \(String(repeating: "a", count: 8_000))",
                ].map { ["Authorization": $0] } + [
                    basic(Self.token), basic("\(Self.token):"), basic("a:b:\(Self.token)"),
                ]
            for headers in bad {
                let (answer, _) = try await server.ask("/health", headers)
                #expect(answer.statusCode == 401, "\(headers)")
            }
            #expect(server.count(.unauthenticated) == bad.count)
            let details = Set(server.refusals.counts.map(\.detail))
            #expect(details == ["another token"], "never what was shown")
        }
    }

    @Test func anotherTokenHoldsFromTheNextRequestOn() async throws {
        try await GuardedServer.with(token: Self.token) { server in
            let old = ["Authorization": "Bearer \(Self.token)"]
            let (before, _) = try await server.ask("/health", old)
            #expect(before.statusCode == 200)
            let next = String(repeating: "n", count: 16)
            server.protection.replace(context: nil, token: try ControlToken(SecretBytes(next.utf8)))
            let (after, _) = try await server.ask("/health", old)
            #expect(after.statusCode == 401)
            let (new, _) = try await server.ask("/health", ["Authorization": "Bearer \(next)"])
            #expect(new.statusCode == 200)
            server.protection.replace(context: nil, token: nil)
            let (free, _) = try await server.ask("/health")
            #expect(free.statusCode == 200)
        }
    }

    @Test(arguments: [
        ("short", "has 5 bytes: a token has 16 to 512"), (String(repeating: "x", count: 513), "has 513 bytes"),
        ("with a blank in it", "has other characters"), ("quoted\"quoted\"quoted", "has other characters"),
        ("================", "has other characters"), ("equals=in-the-middle", "has other characters"),
        ("schlüssel-für-alle", "has other characters"), ("0123456789abcdef\n", "has other characters"),
    ])
    func whatNobodyCouldShowIsNoToken(text: String, flaw: String) {
        let error = #expect(throws: ControlToken.Flaw.self) { try ControlToken(SecretBytes(text.utf8)) }
        #expect(error?.message.hasPrefix(flaw) == true)
        #expect(error?.message.contains(text) == false)
    }

    @Test func aTokenIsNotPartOfItsDescription() throws {
        let token = try ControlToken(SecretBytes(Self.token.utf8))
        #expect(!"\(token)".contains("0123456789abcdef") && !String(reflecting: token).contains("0123456789abcdef"))
        #expect(token == (try ControlToken(SecretBytes(Self.token.utf8))))
    }
}
