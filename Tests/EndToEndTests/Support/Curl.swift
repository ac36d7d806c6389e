// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What curl got.
struct CurlReply {
    /// curl's exit status; 0 when there was an answer.
    var exit: ProcessEnd
    /// HTTP status, 0 without an answer.
    var status: Int
    /// `1.1`, `2`.
    var version: String
    var body: String
    /// What curl complained about.
    var errors: String

    var http: HTTPReply { HTTPReply(status: status, headers: [:], body: Array(body.utf8)) }

    /// Status and error name, for comparisons.
    var refusal: String { http.refusal }

    func decoded<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
        guard exit == .exited(0) else { throw HarnessError("curl: \(exit): \(errors)") }
        return try http.decoded(type)
    }
}

/// curl as a client of a node: another implementation of TLS, HTTP/2 and SigV4.
struct Curl {
    let facts: NodeFacts
    private let scratch: Scratch

    init(_ node: Node) throws {
        facts = node.facts
        scratch = try Scratch()
    }

    /// POSTs to a path of the API after `/kms/xks/v1`; at `base` in place of the node's own URL, where it is given.
    func post(
        _ path: String, _ body: String, options: [String] = ["--http1.1"], base: String? = nil
    ) throws -> CurlReply {
        let bodyFile = try scratch.write(body, to: "body")
        let result = try run(
            [
                "/usr/bin/env", "curl", "--silent", "--show-error", "--max-time", "20", "--cacert", facts.ca,
                "--aws-sigv4", "aws:amz:us-east-1:kms-xks-proxy", "--user", "\(facts.access_key_id):\(facts.secret)",
                "--header", "Content-Type: application/json", "--data-binary", "@" + bodyFile,
                "--write-out", "\n%{http_code} %{http_version}",
            ] + options + ["\(base ?? facts.url)\(facts.prefix)/kms/xks/v1\(path)"])
        let lines = result.output.split(separator: "\n", omittingEmptySubsequences: false)
        let words = (lines.last ?? "").split(separator: " ")
        return CurlReply(
            exit: result.end, status: words.first.flatMap { Int($0) } ?? 0,
            version: words.count > 1 ? String(words[1]) : "", body: lines.dropLast().joined(separator: "\n"),
            errors: result.errors)
    }
}
