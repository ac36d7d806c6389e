// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A node's database as another process holds it that writes.
///
/// What another connection holds: the shared bytes of the database, and of the shared-memory file byte 128 as long as it is
/// open, and byte 120 while it writes (sqlite.org/walformat.html, "WAL Locks"). Without the first two the node takes itself
/// for the only one, and makes the shared-memory file anew.
final class HeldDatabase {
    private let database: Int32
    private let memory: Int32

    init(_ file: String) throws {
        database = open(file, O_RDWR | O_CLOEXEC)
        memory = open(file + "-shm", O_RDWR | O_CLOEXEC)
        try lock(database, F_RDLCK, at: 0x4000_0002, length: 510)
        try lock(memory, F_RDLCK, at: 128)
        try lock(memory, F_WRLCK, at: 120)
    }

    deinit {
        close(database)
        close(memory)
    }

    /// It writes no more.
    func release() throws { try lock(memory, F_UNLCK, at: 120) }

    private func lock(_ descriptor: Int32, _ type: Int32, at start: off_t, length: off_t = 1) throws {
        var lock = flock(l_type: Int16(type), l_whence: Int16(SEEK_SET), l_start: start, l_len: length, l_pid: 0)
        guard descriptor >= 0, fcntl(descriptor, F_SETLKW, &lock) == 0 else {
            throw HarnessError("cannot lock the database: errno \(errno)")
        }
    }
}
