// SPDX-License-Identifier: Apache-2.0
import Glibc
import SecureMemory

/// Reads PEM files.
enum SmallFile {
    /// More than any chain of certificates.
    static let mostBytes = 1 << 20

    /// The content. Blocks on the disk. Of a key's content `overwrite` leaves nothing: it is read into one allocation.
    static func read(_ path: String) throws(ClusterError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard descriptor >= 0 else { throw .unreadable(file: path, reason: reason()) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .unreadable(file: path, reason: reason()) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .unreadable(file: path, reason: "it is no regular file") }
        guard status.st_size <= mostBytes else { throw .unreadable(file: path, reason: "it is longer than 1 MiB") }
        var failure: String?
        let bytes = [UInt8](unsafeUninitializedCapacity: max(Int(status.st_size), 1)) { room, count in
            while count < room.count {
                let got = Glibc.read(descriptor, room.baseAddress.map { $0 + count }, room.count - count)
                if got < 0, errno == EINTR { continue }
                if got < 0 { failure = reason() }
                guard got > 0 else { return }
                count += got
            }
        }
        if let failure { throw .unreadable(file: path, reason: failure) }
        return bytes
    }

    static func overwrite(_ bytes: inout [UInt8]) { bytes.withUnsafeMutableBytes { wipe($0) } }

    private static func reason() -> String { String(cString: strerror(errno)) }
}
