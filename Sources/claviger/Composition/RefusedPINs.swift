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
struct PINMark: Sendable, Hashable {
    /// Whether it would be another one where the PIN has changed: of a file that shows, of others it does not.
    let showsChanges: Bool
    /// SHA-256 over all of it, in hexadecimal: a source may be a command whose words are nobody's business.
    fileprivate let text: String

    init(_ hsm: HSMSettings, _ source: SecretSource) {
        var fields = [hsm.module, "\(hsm.token)"]
        switch source {
        case .file(let path): fields += ["file"] + Self.state(ofFile: path)
        case .credential(let name): fields += ["credential", name]
        case .environment(let name): fields += ["env", name]
        case .command(let words): fields += ["command"] + words
        }
        if case .file = source { showsChanges = true } else { showsChanges = false }
        let bytes = fields.flatMap { Array("\($0.utf8.count):".utf8) + Array($0.utf8) }
        text = SHA256.hash(data: bytes).hexadecimal
    }

    private static func state(ofFile path: String) -> [String] {
        Patience.perform(on: path, within: Patience.ofFiles) { () -> [String] in
            var facts = stat()
            guard stat(path, &facts) == 0 else { return [] }
            return [
                "\(facts.st_dev)", "\(facts.st_ino)", "\(facts.st_size)", "\(facts.st_mtim.tv_sec)",
                "\(facts.st_mtim.tv_nsec)", "\(facts.st_ctim.tv_sec)", "\(facts.st_ctim.tv_nsec)",
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
    /// When each was refused, Unix seconds, by the text of its mark: what HSM it is configured for makes no difference.
    private typealias Refusals = [String: Int64]

    static let name = "refused-pins.json"
    /// Most that are kept; the oldest go first.
    private static let most = 200

    private let directory: String
    private let marks: Mutex<[String: PINMark]>
    private let trouble = Mutex<String?>(nil)
    /// Files are read and written here, one after another.
    private let queue = DispatchQueue(label: "refused PINs")

    init(stateDirectory: String, marks: [String: PINMark]) {
        directory = stateDirectory
        self.marks = Mutex(marks)
    }

    /// From now on these are the PINs.
    func use(_ new: [String: PINMark]) { marks.withLock { $0 = new } }

    /// When the HSM's PIN was refused, Unix seconds, and whether it would show that the PIN has changed; `nil` for one that
    /// was not, or is another now. Blocks.
    func refused(_ hsm: String) -> (unixSeconds: Int64, showsChanges: Bool)? {
        guard let mark = mark(of: hsm) else { return nil }
        return queue.sync { read()[mark.text].map { ($0, mark.showsChanges) } }
    }

    /// The token has taken the PIN, or has not. Returns at once.
    func note(_ hsm: String, isRefused: Bool) {
        guard let mark = mark(of: hsm) else { return }
        queue.async {
            do {
                try self.keep(mark, isRefused: isRefused)
            } catch {
                if isRefused { self.trouble.withLock { $0 = "\(error)" } }
            }
        }
    }

    /// Returns when everything that was noted is kept, or cannot be; then why.
    @discardableResult
    func flush() -> String? {
        queue.sync {}
        return trouble.withLock { $0 }
    }

    private func mark(of hsm: String) -> PINMark? { marks.withLock { $0[hsm] } }

    private func keep(_ mark: PINMark, isRefused: Bool) throws {
        // A first check comes before the node has made it.
        if isRefused { try PrivateFiles.makeDirectory(directory) }
        guard PrivateFiles.exists(directory) else { return }
        try PrivateFiles.exclusively(in: directory) {
            var refusals = read()
            guard isRefused || refusals[mark.text] != nil else { return }
            refusals[mark.text] = isRefused ? Int64(time(nil)) : nil
            while refusals.count > Self.most, let oldest = refusals.min(by: { $0.value < $1.value }) {
                refusals[oldest.key] = nil
            }
            try PrivateFiles.write(String(decoding: JSONEncoder().encode(refusals), as: UTF8.self), to: path)
        }
    }

    private var path: String { "\(directory)/\(Self.name)" }

    private func read() -> Refusals {
        guard let content = try? FileReading.read(path, as: .plain, atMost: 64 * 1024) else { return [:] }
        return content.withUnsafeBytes { (try? JSONDecoder().decode(Refusals.self, from: Data($0))) ?? [:] }
    }
}
