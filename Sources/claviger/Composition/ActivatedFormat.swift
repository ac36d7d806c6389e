// SPDX-License-Identifier: Apache-2.0
import Glibc
import Logging
import PrivateFiles
import Synchronization
import XKSProtocol
import XKSService

/// The highest format of ciphertext that the cluster has activated, in `<state_dir>/ciphertext-format`: a small file of
/// its own, which every version from this one on can read, because what it says outlives the version that wrote it. A
/// node that was rolled back finds there that ciphertext of a format that it does not know is good, and no forgery.
///
/// The file holds the number in decimal digits and a line feed. It only grows: by what peers send, and by what this
/// node activates itself.
final class ActivatedFormat: FormatSource {
    static let fileName = "ciphertext-format"
    /// More than the file ever holds.
    private static let longest = 16

    private let path: String
    private let logger: Logger
    private let format: Mutex<UInt8>

    /// Reads the file, and makes it where there is none: until then only the first format was in use. What cannot be read
    /// is taken for the highest there can be: then no format is called a forgery.
    init(stateDirectory: String, logger: Logger) {
        path = stateDirectory + "/" + Self.fileName
        self.logger = logger
        let found = Self.read(path)
        switch found {
        case .format(let number): format = Mutex(number)
        case .none:
            format = Mutex(CiphertextMetadata.currentVersion)
            write(CiphertextMetadata.currentVersion)
        case .unreadable(let reason):
            format = Mutex(.max)
            logger.error(
                "the file of the ciphertext's format cannot be read: no format is called invalid",
                metadata: [
                    "file": "\(path)", "reason": "\(reason)",
                    "mend": "let the node's user read it; the other nodes' files hold the number",
                ])
        }
    }

    /// Why a node could not read its file; `nil` where it can, or there is none yet.
    static func flaw(stateDirectory: String) -> String? {
        guard case .unreadable(let reason) = read("\(stateDirectory)/\(fileName)") else { return nil }
        return reason
    }

    var activatedFormat: UInt8 { format.withLock { $0 } }

    /// A peer announces formats up to this one.
    func learn(_ reported: UInt8, from node: String) {
        let isNew = format.withLock { format in
            guard reported > format else { return false }
            format = reported
            return true
        }
        guard isNew else { return }
        logger.notice(
            "the cluster makes ciphertext in a later format", metadata: ["format": "\(reported)", "node": "\(node)"])
        write(reported)
    }

    private func write(_ number: UInt8) {
        do {
            try PrivateFiles.write("\(number)\n", to: path)
        } catch {
            logger.error(
                "the file of the ciphertext's format cannot be written",
                metadata: ["file": "\(path)", "reason": "\(error)"])
        }
    }

    private enum Found {
        case format(UInt8)
        case none
        case unreadable(String)
    }

    private static func read(_ path: String) -> Found {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else {
            return errno == ENOENT ? .none : .unreadable(String(cString: strerror(errno)))
        }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: longest)
        let count = Glibc.read(descriptor, &bytes, longest)
        guard count >= 0 else { return .unreadable(String(cString: strerror(errno))) }
        let digits = bytes.prefix(count).prefix { $0 != 0x0A }
        guard digits.count < count, digits.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = UInt8(String(decoding: digits, as: UTF8.self)), number > 0
        else { return .unreadable("it does not hold a number from 1 to 255 and a line feed") }
        return .format(number)
    }
}
