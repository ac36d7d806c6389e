// SPDX-License-Identifier: Apache-2.0
import AdminClient
import Glibc
import PrivateFiles
import SecureMemory
import XKSProtocol

/// Ciphertexts that other proxies have made, to be opened before anything is switched: a file with one JSON object a line.
struct CiphertextFile {
    /// Larger files, and files of more entries, are refused.
    static let mostBytes = 64 << 20
    static let mostEntries = 10_000
    /// Most lines with faults that are named.
    private static let mostFaults = 20

    struct Entry {
        /// From 1.
        var line: Int
        var ciphertext: OldCiphertext
    }

    let path: String
    let entries: [Entry]

    /// - Throws: an exit status, after it has said what is wrong.
    init(_ path: String, limits: XKSLimits) throws {
        self.path = path
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw failure("--against \(path): \(String(cString: strerror(errno)))", status: ExitStatus.configuration)
        }
        defer { close(descriptor) }
        let content: SecretBytes
        do { content = try PrivateFiles.readAll(descriptor, limit: Self.mostBytes, named: path) } catch {
            throw failure("--against \(error)", status: ExitStatus.configuration)
        }
        var entries: [Entry] = []
        var faults: [String] = []
        for (number, line) in Self.lines(of: content) where faults.count < Self.mostFaults {
            guard entries.count < Self.mostEntries else {
                faults.append("has more than \(Self.mostEntries) ciphertexts: split it")
                break
            }
            do throws(XKSError) {
                entries.append(Entry(line: number, ciphertext: try OldCiphertext(line, limits: limits)))
            } catch {
                // The reader's word for the whole text.
                faults.append("line \(number): \(error.message.replacing("the request body", with: "the entry"))")
            }
        }
        if entries.isEmpty, faults.isEmpty { faults.append("has no ciphertext: one JSON object a line is wanted") }
        self.entries = entries
        guard faults.isEmpty else {
            for fault in faults { printError(Terminal.plain("\(path): \(fault)")) }
            throw failure(
                "--against \(path) cannot be read: docs/reference/commands.md#check says what a line is; of a list, "
                    + "`jq -c '.[]'` makes lines", status: ExitStatus.configuration)
        }
    }

    /// Lines that are not blank, with their numbers.
    private static func lines(of content: SecretBytes) -> [(Int, SecretBytes)] {
        content.withUnsafeBytes { bytes in
            bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated().compactMap {
                guard $0.element.contains(where: { $0 > 0x20 }) else { return nil }
                return ($0.offset + 1, SecretBytes(copying: UnsafeRawBufferPointer(rebasing: $0.element)))
            }
        }
    }
}
