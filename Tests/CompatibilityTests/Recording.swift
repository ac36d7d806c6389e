// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// An HTTP message as it was sent: header fields and body.
struct Recording {
    /// Of the node that sent it, 16631be unless it says otherwise.
    static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Recorded/16631be")
    /// What today's version says to a node of 16631be, as it should stay.
    static let today = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Today")

    /// The request's or the status line.
    let start: String
    /// By name, in lower case.
    let fields: [String: String]
    var body: Data

    /// - Parameter name: of the file, as in `gossip-ping.request`.
    init(_ name: String) throws {
        let bytes = try Data(contentsOf: Self.directory.appendingPathComponent("cluster/\(name).http"))
        let end = try #require(bytes.range(of: Data("\r\n\r\n".utf8)), "\(name) has no end of its head")
        let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        start = lines[0]
        fields = Dictionary(
            lines.dropFirst().map { line in
                let pieces = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
                return (pieces[0].lowercased(), pieces.count > 1 ? pieces[1] : "")
            }, uniquingKeysWith: { first, _ in first })
        body = Data(bytes[end.upperBound...])
        try #require(fields["content-length"] == "\(body.count)", "\(name) is not whole")
    }

    /// Of a request.
    var path: String { start.split(separator: " ").dropFirst().first.map(String.init) ?? "" }
    /// Of an answer.
    var status: Int? { start.split(separator: " ").dropFirst().first.flatMap { Int($0) } }

    /// The body as JSON.
    func object() throws -> [String: Any] { try JSON.object(body) }

    func read<Value: Decodable>(_ type: Value.Type) throws -> Value { try JSONDecoder().decode(type, from: body) }

    /// With another body.
    func changed(_ change: (inout [String: Any]) throws -> Void) throws -> Recording {
        var copy = self
        var object = try self.object()
        try change(&object)
        copy.body = try JSON.data(object)
        return copy
    }

    /// A file of the store or of the admin socket's answers.
    static func file(_ name: String) throws -> Data {
        try Data(contentsOf: directory.appendingPathComponent(name))
    }
}

enum JSON {
    static func object(_ data: Data) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    static func data(_ object: [String: Any]) throws -> Data { try JSONSerialization.data(withJSONObject: object) }

    /// In one form, whatever the order of members was.
    static func text(_ object: Any) throws -> String {
        let options: JSONSerialization.WritingOptions = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        return String(decoding: try JSONSerialization.data(withJSONObject: object, options: options), as: UTF8.self)
    }

    /// Calls `change` with every object in it, the inner ones first.
    static func everywhere(_ value: Any, _ change: (inout [String: Any]) -> Void) -> Any {
        if let list = value as? [Any] { return list.map { everywhere($0, change) } }
        guard let object = value as? [String: Any] else { return value }
        var copy = object.mapValues { everywhere($0, change) }
        change(&copy)
        return copy
    }
}

/// What today's version says, beside what is kept of it.
func expectToday(_ name: String, _ object: [String: Any], sourceLocation: SourceLocation = #_sourceLocation) throws {
    let said = try JSON.text(object)
    let file = Recording.today.appendingPathComponent("\(name).json")
    let kept = try? String(contentsOf: file, encoding: .utf8)
    #expect(
        said == kept?.trimmingCharacters(in: .newlines),
        "\(file.path) differs from what is said; README.md says what that means. It is:\n\(said)",
        sourceLocation: sourceLocation)
}
