// SPDX-License-Identifier: Apache-2.0
import Glibc
import SecureMemory

/// A file that is to be written together with others.
package struct NewFile: Sendable {
    package var path: String
    package var content: SecretBytes
    package var mode: mode_t
    /// Whom it is given to; `nil` for the user of this process. Only root can give files away.
    package var owner: (user: uid_t, group: gid_t)?

    package init(
        path: String, content: SecretBytes, mode: mode_t = 0o600, owner: (user: uid_t, group: gid_t)? = nil
    ) {
        self.path = path
        self.content = content
        self.mode = mode
        self.owner = owner
    }
}

/// Several files that are worth nothing one without the other: all of them are written, or none.
package enum FileGroup {
    /// Writes all beside their places first, then puts them there. Where anything fails, what stood there stands there again.
    /// (Who is killed between two of the last steps leaves a part; each file is whole.)
    ///
    /// - Parameter replacing: whether files that are there may be replaced; else not even one that comes meanwhile is.
    /// - Throws: `PrivateFileError`.
    package static func write(_ files: [NewFile], replacing: Bool) throws {
        var partials: [String] = []
        var placed: [(path: String, old: String?)] = []
        do {
            for file in files { partials.append(try writeBeside(file)) }
            for (file, partial) in zip(files, partials) {
                let old = replacing ? try setAside(file.path) : nil
                if let old { placed.append((file.path, old)) }
                // link(2) replaces nothing.
                guard link(partial, file.path) == 0 else { throw PrivateFiles.failure("write", file.path) }
                if old == nil { placed.append((file.path, nil)) }
            }
        } catch {
            for partial in partials { unlink(partial) }
            for (path, old) in placed.reversed() {
                unlink(path)
                if let old { _ = Glibc.rename(old, path) }
            }
            throw error
        }
        for partial in partials { unlink(partial) }
        for case (_, let old?) in placed { unlink(old) }
        for file in files { try PrivateFiles.synchronizeDirectory(of: file.path) }
    }

    private static func writeBeside(_ file: NewFile) throws -> String {
        let partial = otherName(file.path, "partial")
        let descriptor = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw PrivateFiles.failure("create the file", file.path) }
        defer { close(descriptor) }
        do {
            if let owner = file.owner, fchown(descriptor, owner.user, owner.group) != 0 {
                throw PrivateFiles.failure("give away", file.path)
            }
            guard fchmod(descriptor, file.mode) == 0 else { throw PrivateFiles.failure("set the mode of", file.path) }
            try PrivateFiles.writeAll(file.content, to: descriptor, named: file.path)
            guard fsync(descriptor) == 0 else { throw PrivateFiles.failure("write", file.path) }
        } catch {
            unlink(partial)
            throw error
        }
        return partial
    }

    /// - Returns: under which name; `nil` where there was nothing.
    private static func setAside(_ path: String) throws -> String? {
        var facts = stat()
        if lstat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFDIR {
            throw PrivateFileError("Cannot replace \(path): it is a directory.")
        }
        let old = otherName(path, "old")
        guard Glibc.rename(path, old) != 0 else { return old }
        guard errno == ENOENT else { throw PrivateFiles.failure("replace", path) }
        return nil
    }

    /// A name that nobody can have prepared.
    private static func otherName(_ path: String, _ kind: String) -> String {
        var generator = SystemRandomNumberGenerator()
        return "\(path).\(kind)-\(String(generator.next(), radix: 16))"
    }
}
