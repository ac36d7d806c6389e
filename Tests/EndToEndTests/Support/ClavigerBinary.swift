// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The program under test.
enum ClavigerBinary {
    /// `CLAVIGER_BINARY`, or the one that was built together with these tests and lies in the same directory.
    static let path: String = {
        if let named = ProcessInfo.processInfo.environment["CLAVIGER_BINARY"] { return named }
        let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        return tests.deletingLastPathComponent().appendingPathComponent("claviger").path
    }()

    /// `CLAVIGER_EARLIER_BINARY`: the program of an earlier version, for tests of clusters of two versions.
    static let earlier = ProcessInfo.processInfo.environment["CLAVIGER_EARLIER_BINARY"]

    /// Runs a subcommand to its end.
    static func run(
        _ arguments: [String], environment: [String: String] = [:], within seconds: Double = 60
    ) throws -> CommandResult {
        try EndToEndTests.run([path] + arguments, environment: environment, within: seconds)
    }
}

/// SoftHSM's PKCS#11 library, where Debian or another distribution puts it.
let softHSMLibrary =
    [
        "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
    ].first { FileManager.default.fileExists(atPath: $0) } ?? "libsofthsm2.so"

/// A directory that goes away with the value.
final class Scratch: Sendable {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("claviger-e2e-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Path of a file in it, which need not exist.
    func file(_ name: String) -> String { path + "/" + name }

    /// Writes a file that only its owner can read; returns its path.
    @discardableResult
    func write(_ text: String, to name: String) throws -> String {
        let path = file(name)
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        return path
    }
}

func text(ofFile path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }
