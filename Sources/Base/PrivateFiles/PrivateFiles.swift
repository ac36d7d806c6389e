// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import SecureMemory

/// Why a file cannot be read or written: one sentence that names it.
package struct PrivateFileError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// Files with keys, PINs and certificates: readable by their owner only unless said otherwise, and whole or absent after
/// a crash. All throw `PrivateFileError`.
package enum PrivateFiles {
    /// Nothing that is kept this way is larger, bytes.
    static let largestFile = 64 * 1024

    /// Makes the directory with mode 0700 unless it is there; parents must exist.
    package static func makeDirectory(_ path: String) throws {
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw failure("create the directory", path) }
    }

    package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// True when both paths lead to one file.
    package static func isSame(_ path: String, _ other: String) -> Bool {
        var first = stat()
        var second = stat()
        return stat(path, &first) == 0 && stat(other, &second) == 0 && first.st_ino == second.st_ino
            && first.st_dev == second.st_dev
    }

    /// Replaces the file in one step: after a crash there is the old content or the new one.
    package static func write(_ content: SecretBytes, to path: String, mode: mode_t = 0o600) throws {
        let (partial, descriptor) = try createPartial(of: path)
        do {
            defer { close(descriptor) }
            guard fchmod(descriptor, mode) == 0 else { throw failure("set the mode of", partial) }
            try writeAll(content, to: descriptor, named: partial)
            guard fsync(descriptor) == 0 else { throw failure("write", partial) }
            try rename(partial, to: path)
        } catch {
            unlink(partial)
            throw error
        }
    }

    /// A new file of this process's own, under a name that nobody can have prepared: who may write to the directory, and
    /// whose file lies there under a known name, would be given the content.
    private static func createPartial(of path: String) throws -> (name: String, descriptor: Int32) {
        var generator = SystemRandomNumberGenerator()
        let partial = "\(path).partial-\(String(generator.next(), radix: 16))"
        let descriptor = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("create the file", partial) }
        return (partial, descriptor)
    }

    package static func write(_ text: String, to path: String, mode: mode_t = 0o600) throws {
        try write(SecretBytes(Array(text.utf8)), to: path, mode: mode)
    }

    /// The file's content; `nil` when there is no such file.
    package static func read(_ path: String) throws -> SecretBytes? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("open", path)
        }
        defer { close(descriptor) }
        return try readAll(descriptor, limit: largestFile, named: path)
    }

    /// Reads to the end; fails when there are more than `limit` bytes.
    package static func readAll(_ descriptor: Int32, limit: Int, named path: String) throws -> SecretBytes {
        let content = SecretBytes(capacity: 4096)
        while true {
            var failed = false
            let count = content.append(atMost: 4096) { room in
                while true {
                    let count = Glibc.read(descriptor, room.baseAddress, room.count)
                    if count < 0, errno == EINTR { continue }
                    failed = count < 0
                    return count
                }
            }
            if failed { throw failure("read", path) }
            if count == 0 { return content }
            if content.count > limit { throw PrivateFileError("\(path) is larger than \(limit) bytes.") }
        }
    }

    /// Moves a file or directory within one directory, and makes that last.
    package static func rename(_ old: String, to new: String) throws {
        guard Glibc.rename(old, new) == 0 else { throw failure("rename to", new) }
        try synchronizeDirectory(of: new)
    }

    /// Removes a directory with all that is in it, if it is there; follows no symbolic link.
    package static func removeTree(_ path: String) throws {
        guard exists(path) else { return }
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            throw PrivateFileError("Cannot remove \(path): \(error.localizedDescription)")
        }
    }

    /// Makes a rename in the directory that holds `path` last through a power cut.
    package static func synchronizeDirectory(of path: String) throws {
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let descriptor = open(parent.isEmpty ? "/" : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", parent) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("write", parent) }
    }

    /// Performs `body` while no other process does so for the same directory; waits for one that does.
    ///
    /// A lock of the kernel's: whoever holds it and is killed leaves nothing behind.
    package static func exclusively<Result>(in directory: String, _ body: () throws -> Result) throws -> Result {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open the directory", directory) }
        defer { close(descriptor) }
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else { throw failure("lock", directory) }
        }
        return try body()
    }

    package static func writeAll(_ content: SecretBytes, to descriptor: Int32, named path: String) throws {
        try content.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let slice = UnsafeRawBufferPointer(rebasing: rest)
                let count = Glibc.write(descriptor, slice.baseAddress, slice.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw failure("write", path) }
                rest = rest.dropFirst(count)
            }
        }
    }

    /// An error from `errno`; call it before anything else can change that.
    package static func failure(_ action: String, _ path: String) -> PrivateFileError {
        let reason = String(cString: strerror(errno))
        return PrivateFileError("Cannot \(action) \(path): \(reason).")
    }
}
