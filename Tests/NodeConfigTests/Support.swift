// SPDX-License-Identifier: Apache-2.0
import Foundation
import NodeConfig
import SecureMemory
import Testing

/// A file that is right, and has one key per line so that tests can count them.
let goodFile = """
    [node]
    id = "fra-1"

    [xks]
    listen = "127.0.0.1:8443"
    certificate = "tls/cert.pem"
    key = "/etc/tls/key.pem"

    [[hsm]]
    name = "hsm-a"
    module = "/usr/lib/p11.so"
    token = { label = "one" }
    pin = { file = "a.pin" }

    [[keystore]]
    path_prefix = "/example"
    keys = ["foo", "prod-*"]
    credentials = [{ access_key_id = "AAAABBBBCCCCDDDD2222", secret = { env = "XKS_SECRET" } }]

    """

func parse(_ text: String) throws(ConfigurationProblems) -> NodeSettings {
    try NodeConfiguration.parse(Array(text.utf8), file: "test.toml", directory: "/etc/claviger").settings
}

/// The problems of a text; empty when it is right.
func problems(_ text: String) -> [ConfigurationProblem] {
    problems(Array(text.utf8))
}

func problems(_ bytes: [UInt8]) -> [ConfigurationProblem] {
    do {
        _ = try NodeConfiguration.parse(bytes, file: "test.toml", directory: "/etc/claviger")
        return []
    } catch {
        return error.problems
    }
}

/// The good file with one of its lines replaced, or removed.
func goodFile(replacing line: String, with other: String?) throws -> String {
    let lines = goodFile.components(separatedBy: "\n")
    let index = try #require(lines.firstIndex(of: line), "no line \(line)")
    var changed = lines
    changed.replaceSubrange(index...index, with: other.map { [$0] } ?? [])
    return changed.joined(separator: "\n")
}

/// The good file with a line after the given one.
func goodFile(after line: String, adding other: String) throws -> String {
    try goodFile(replacing: line, with: line + "\n" + other)
}

/// A directory that is removed when the test ends.
final class TemporaryDirectory {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "claviger-test-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String, _ content: some Collection<UInt8>, mode: Int = 0o600) throws -> String {
        let file = path + "/" + name
        let isMade = FileManager.default.createFile(
            atPath: file, contents: Data(content), attributes: [.posixPermissions: mode])
        try #require(isMade)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
        return file
    }
}

extension SecretBytes {
    var text: String { withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
}
