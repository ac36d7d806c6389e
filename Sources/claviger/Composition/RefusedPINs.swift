// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation
import Glibc
import NodeConfig
import PrivateFiles
import SecureMemory
import Synchronization

/// By what a PIN is known again, without anything of the PIN itself: the HSM's library and token, and the source of the
/// PIN; of a file also which one it is, and when it was changed.
struct PINMark: Sendable, Equatable, Codable {
    /// SHA-256 over all of it, in hexadecimal: a source may be a command whose words are nobody's business.
    private let text: String

    private init(_ hsm: HSMSettings, _ source: SecretSource) {
        var fields = [hsm.module, "\(hsm.token)"]
        switch source {
        case .file(let path): fields += ["file", path] + Self.state(ofFile: path)
        case .credential(let name): fields += ["credential", name]
        case .environment(let name): fields += ["env", name]
        case .command(let words): fields += ["command"] + words
        }
        let bytes = fields.flatMap { Array("\($0.utf8.count):".utf8) + Array($0.utf8) }
        text = SHA256.hash(data: bytes).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    private static func state(ofFile path: String) -> [String] {
        Patience.perform(on: path, within: Patience.ofFiles) { () -> [String] in
            var facts = stat()
            guard stat(path, &facts) == 0 else { return [] }
            return [
                "\(facts.st_dev)", "\(facts.st_ino)", "\(facts.st_size)", "\(facts.st_mtim.tv_sec)",
                "\(facts.st_mtim.tv_nsec)",
            ]
        } ?? []
    }

    /// Of all HSMs that have a PIN, by name.
    static func marks(of settings: NodeSettings) -> [String: PINMark] {
        let marks = settings.hsms.compactMap { hsm in hsm.pin.map { (hsm.name, PINMark(hsm, $0)) } }
        return Dictionary(marks) { first, _ in first }
    }
}

/// PINs that a token has refused, kept in the state directory: a few more tries would lock the token, so that `check` logs
/// in with none of them again. A node that is started does: whoever starts it may have had the PIN changed on the token.
final class RefusedPINs: Sendable {
    private struct Refusal: Codable {
        var mark: PINMark
        var unixSeconds: Int64
    }

    private static let name = "refused-pins.json"

    private let directory: String
    private let marks: Mutex<[String: PINMark]>
    /// Files are read and written here, one after another.
    private let queue = DispatchQueue(label: "refused PINs")

    init(stateDirectory: String, marks: [String: PINMark]) {
        directory = stateDirectory
        self.marks = Mutex(marks)
    }

    /// From now on these are the PINs.
    func use(_ new: [String: PINMark]) { marks.withLock { $0 = new } }

    /// When the HSM's PIN was refused, Unix seconds; `nil` for one that was not, or is another now. Blocks.
    func refused(_ hsm: String) -> Int64? {
        guard let mark = mark(of: hsm) else { return nil }
        return queue.sync { read()[hsm].flatMap { $0.mark == mark ? $0.unixSeconds : nil } }
    }

    /// The token has taken the PIN, or has not. Returns at once.
    func note(_ hsm: String, isRefused: Bool) {
        guard let mark = mark(of: hsm) else { return }
        queue.async { self.keep(hsm, mark, isRefused: isRefused) }
    }

    /// Returns when everything that was noted is kept, or cannot be.
    func flush() { queue.sync {} }

    private func mark(of hsm: String) -> PINMark? { marks.withLock { $0[hsm] } }

    private func keep(_ hsm: String, _ mark: PINMark, isRefused: Bool) {
        // The node makes its state directory; in that of another user nothing is left.
        guard DirectoryChain.owner(of: directory) == geteuid() else { return }
        try? PrivateFiles.exclusively(in: directory) {
            var refusals = read()
            guard isRefused || refusals[hsm] != nil else { return }
            refusals[hsm] = isRefused ? Refusal(mark: mark, unixSeconds: Int64(time(nil))) : nil
            try PrivateFiles.write(String(decoding: JSONEncoder().encode(refusals), as: UTF8.self), to: path)
        }
    }

    private var path: String { "\(directory)/\(Self.name)" }

    private func read() -> [String: Refusal] {
        guard let content = try? PrivateFiles.read(path) else { return [:] }
        return content.withUnsafeBytes { (try? JSONDecoder().decode([String: Refusal].self, from: Data($0))) ?? [:] }
    }
}
