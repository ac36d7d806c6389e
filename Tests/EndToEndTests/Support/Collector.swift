// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

/// A collector that decodes what it is sent with OpenTelemetry's own messages (TestSupport/TraceCollector).
final class Collector {
    struct Span: Decodable {
        /// As text, whatever it is.
        struct Value: Decodable, Equatable {
            var text: String

            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                if let isSo = try? container.decode(Bool.self) {
                    text = "\(isSo)"
                } else {
                    text = try (try? container.decode(String.self)) ?? "\(container.decode(Int.self))"
                }
            }
        }

        var name: String
        /// 2: server, 3: client.
        var kind: Int
        var trace: String
        var span: String
        var parent: String
        /// Unix time, nanoseconds.
        var start: Int
        var end: Int
        /// 0: none, 2: error.
        var status: Int
        var message: String
        var scope: String
        var attributes: [String: Value]
        var resource: [String: Value]

        subscript(key: String) -> String? { attributes[key]?.text }
    }

    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path
    /// deploy/setup.sh makes it, with what PyPI has.
    private static let python = "\(root)/.build/python/bin/python3"

    /// Whether this host has OpenTelemetry's messages.
    static let isThere =
        (try? run([python, "-c", "import opentelemetry.proto.trace.v1.trace_pb2"]))?.isSuccess == true

    let process: ChildProcess
    let port: Int

    init(_ options: String...) throws {
        process = try ChildProcess([Self.python, "\(Self.root)/TestSupport/TraceCollector/collector.py"] + options)
        let first = try process.outputLines(1, within: 30)[0]
        guard let port = Int(first) else { throw HarnessError("no port: \(first)") }
        self.port = port
    }

    deinit { process.kill(SIGKILL) }

    /// What it has written whole.
    var lines: [String] {
        let output = process.output
        return output[..<(output.lastIndex(of: "\n") ?? output.startIndex)].split(separator: "\n").map(String.init)
    }

    /// The spans so far.
    func spans() throws -> [Span] {
        try lines.dropFirst().map { try JSONDecoder().decode(Span.self, from: Data($0.utf8)) }
    }

    /// Waits for so many spans of the request with this id, and returns all that there are then.
    func spans(of requestID: String, _ count: Int = 1) throws -> [Span] {
        try eventually("the request is there", within: 30, every: 0.1) {
            try spans().count { $0["kmsRequestId"] == requestID } >= count
        }
        return try spans()
    }
}

extension Node {
    /// Spans by what became of them, by the metrics.
    func traced(_ outcome: String) throws -> Int {
        let name = "claviger_trace_spans_total{outcome=\"\(outcome)\"} "
        let line = try control("/metrics").text.split(separator: "\n").first { $0.hasPrefix(name) }
        return line.flatMap { Int($0.dropFirst(name.count)) } ?? 0
    }
}
