// SPDX-License-Identifier: Apache-2.0
import Glibc
import SecureMemory

/// Reads small files whole, and never more than was asked for.
enum BoundedFile {
    /// Why a file could not be read: in words, and what mends it.
    struct Failure: Error, Equatable {
        var message: String
        var fix: String
    }

    /// Reads a regular file of at most `limit` bytes; also reports its permission bits.
    static func read(_ path: String, atMost limit: Int) throws(Failure) -> (bytes: SecretBytes, mode: mode_t) {
        // Not blocking: opening a pipe that nobody writes to would wait for ever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard descriptor >= 0 else { throw failure(errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(errno) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw Failure(message: "is not a regular file", fix: "name a file")
        }
        let bytes = SecretBytes(capacity: min(limit, 65536))
        while bytes.count <= limit {
            var code: Int32 = 0
            let before = bytes.count
            bytes.append(atMost: min(65536, limit + 1 - bytes.count)) { room in
                let count = Glibc.read(descriptor, room.baseAddress, room.count)
                code = count < 0 ? errno : 0
                return count
            }
            if code == EINTR { continue }
            guard code == 0 else { throw failure(code) }
            if bytes.count == before { return (bytes, status.st_mode & 0o7777) }
        }
        throw Failure(message: "is larger than \(limit) bytes", fix: "name another file")
    }

    private static func failure(_ code: Int32) -> Failure {
        switch code {
        case ENOENT, ENOTDIR: Failure(message: "does not exist", fix: "check the path, or create the file")
        case EACCES, EPERM:
            Failure(message: "may not be read", fix: "let the user of this process (uid \(geteuid())) read it")
        default:
            Failure(message: "cannot be read: " + String(cString: strerror(code)), fix: "check the path and its disk")
        }
    }
}
