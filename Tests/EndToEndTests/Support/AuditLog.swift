// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation

/// One record, its values as texts.
struct AuditEntry {
    private let values: [String: Any]

    init?(_ line: Substring) {
        guard let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else {
            return nil
        }
        values = object
    }

    subscript(name: String) -> String? { values[name].map { "\($0)" } }
}

/// The audit log of the node with this configuration, by the commands of the program.
struct AuditLog {
    let directory: String
    let state: String

    init(_ configuration: ServeConfiguration) {
        state = configuration.stateDirectory
        let own = try? configuration.value(of: "directory", in: "[audit]")
        directory = own.map { String($0.dropFirst().dropLast()) } ?? state + "/audit"
    }

    func find(_ arguments: String...) throws -> [AuditEntry] {
        let result = try ClavigerBinary.run(["audit", "find", directory] + arguments)
        guard result.end == .exited(0) || result.end == .exited(1) else { throw HarnessError(result.errors) }
        return result.output.split(separator: "\n").compactMap(AuditEntry.init)
    }

    /// With the heads of the node's own database.
    func verify(_ arguments: String...) throws -> CommandResult {
        let paths = arguments.first?.hasPrefix("/") == true ? [] : [directory]
        return try ClavigerBinary.run(["audit", "verify"] + paths + arguments + ["--state-dir", state], within: 120)
    }

    func files() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".jsonl") }.sorted()
            .map { directory + "/" + $0 }
    }

    func text() throws -> String { try files().map(EndToEndTests.text(ofFile:)).joined() }

    func lastSeq() throws -> Int {
        let line = try text().split(separator: "\n").last
        return line.flatMap(AuditEntry.init)?["seq"].flatMap(Int.init) ?? 0
    }

    func copy() throws -> (directory: String, scratch: Scratch) {
        let scratch = try Scratch()
        let copy = scratch.file("copy")
        try FileManager.default.copyItem(atPath: directory, toPath: copy)
        for file in try FileManager.default.contentsOfDirectory(atPath: copy) {
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: copy + "/" + file)
        }
        return (copy, scratch)
    }
}

/// What somebody may do to a log.
enum Tampering: CaseIterable {
    case changed, removed, swapped, added, segmentDropped, cut, cutInALine

    /// Does it, and returns what the verification has to say of it.
    func apply(to directory: String) throws -> String {
        let files = try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".jsonl") }
            .sorted()
        let name = files[1]
        let file = directory + "/" + name
        var lines = try text(ofFile: file).split(separator: "\n").map(String.init)
        let seq = { (line: String) in AuditEntry(line[...])?["seq"].flatMap(Int.init) ?? 0 }
        // The line of this index is the next one's number in people's counting.
        let (index, number) = (10, seq(lines[10]))
        let expected: String
        switch self {
        case .changed:
            lines[index] = lines[index].replacingOccurrences(of: "\"status\":200", with: "\"status\":500")
            expected = "\(name), line \(index + 1): record \(number) was changed"
        case .removed:
            lines.remove(at: index)
            expected = "\(name), line \(index + 1): record \(number) is missing before this line"
        case .swapped:
            lines.swapAt(index, index + 1)
            expected = "\(name), line \(index + 2): record \(number) was moved"
        case .added:
            lines.insert(lines[index], at: index + 5)
            expected = "\(name), line \(index + 6): this line was added"
        case .segmentDropped:
            try FileManager.default.removeItem(atPath: file)
            return "\(files[2]), line 1: records \(seq(lines[0])) to \(seq(lines[lines.count - 1])) are missing"
        case .cut:
            return try Self.cut(3, directory)
        case .cutInALine:
            let end = directory + "/" + (files.last ?? "")
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: end))
            try handle.truncate(atOffset: try handle.seekToEnd() - 40)
            return "the end was cut off"
        }
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: file))
        return expected
    }

    /// Cuts off the last lines.
    @discardableResult
    static func cut(_ count: Int, _ directory: String) throws -> String {
        let files = try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".jsonl") }
            .sorted()
        let file = directory + "/" + (files.last ?? "")
        let lines = try text(ofFile: file).split(separator: "\n").map(String.init)
        let kept = lines.dropLast(min(count, lines.count - 1))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
        try Data((kept.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: file))
        let last = kept.last.flatMap { AuditEntry($0[...])?["seq"] } ?? ""
        return "the chain ends with record \(last), and "
    }
}

/// Somebody who has taken over a node, and has its key.
struct Forger {
    private let key: P256.Signing.PrivateKey

    init(key file: String) throws { key = try P256.Signing.PrivateKey(pemRepresentation: try text(ofFile: file)) }

    /// Puts other words in the place of some, and makes the whole chain anew: hashes and signatures.
    func rewrite(_ directory: String, _ old: String, as new: String) throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".jsonl") }
            .sorted().map { directory + "/" + $0 }
        var hash = String(repeating: "0", count: 64)
        for file in files {
            var forged = ""
            for line in try text(ofFile: file).replacingOccurrences(of: old, with: new).split(separator: "\n") {
                var body = String(line[..<(line.range(of: ",\"hash\":\"")?.lowerBound ?? line.endIndex)])
                if body.hasPrefix("{\"kind\":\"begin\"") {
                    body = body.replacing(try Regex("\"prev\":\"[0-9a-f]{64}\""), with: "\"prev\":\"\(hash)\"")
                }
                if let signature = body.range(of: ",\"signature\":\"") {
                    body = String(body[..<signature.lowerBound])
                    let made = try key.signature(for: Data("claviger audit record, 1\n\(hash)\n\(body)".utf8))
                    body += ",\"signature\":\"\(hexadecimal(made.derRepresentation))\""
                }
                hash = hexadecimal(SHA256.hash(data: Data((hash + body).utf8)))
                forged += body + ",\"hash\":\"\(hash)\"}\n"
            }
            try Data(forged.utf8).write(to: URL(fileURLWithPath: file))
        }
    }

    private func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
