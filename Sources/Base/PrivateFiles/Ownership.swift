// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What stands in the way of a process that keeps files of its own: whose they are, what may be done with them, and what
/// else is in their place.
package enum Ownership {
    /// What is wrong, in a sentence without its end, and what mends it.
    package typealias Flaw = DirectoryChain.Flaw

    /// The first of these paths that this process may not use, with the command that mends it, in words; `nil` where there is
    /// none, or the user of this process may do everything.
    ///
    /// - Parameter directory: what is to be given to the user of this process as a whole.
    package static func flaw(of paths: [String], in directory: String) -> String? {
        barred(paths, in: directory).map { "\($0.message): run \($0.mend)" }
    }

    /// The same. A node that was once run as root leaves files of root's behind, and then the service's own user cannot; one
    /// whose mode was changed bars its own owner.
    package static func barred(_ paths: [String], in directory: String) -> Flaw? {
        let user = geteuid()
        for path in paths {
            var status = stat()
            guard lstat(path, &status) == 0 else { continue }
            if status.st_uid != user {
                guard access(path, W_OK) != 0 else { continue }
                return Flaw(
                    message: "\(path) belongs to \(UserName.shown(status.st_uid)), and this process runs as "
                        + UserName.shown(user),
                    mend: "chown -R \(UserName.plain(user)): \(directory)")
            }
            guard access(path, R_OK | W_OK) != 0, errno == EACCES else { continue }
            let isDirectory = status.st_mode & S_IFMT == S_IFDIR
            return Flaw(
                message: "\(path) may not be read and written by \(UserName.shown(user)), whose it is",
                mend: "chmod u+rw\(isDirectory ? "x" : "") \(path)")
        }
        return nil
    }

    /// What has the place of a file, and is none; `nil` where there is nothing, or a file.
    package static func obstacle(at path: String) -> Flaw? {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        let kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: ""
            case S_IFDIR: "a directory"
            case S_IFLNK: "a symbolic link"
            case S_IFSOCK: "a socket"
            case S_IFIFO: "a named pipe"
            default: "a device"
            }
        return kind.isEmpty
            ? nil : Flaw(message: "\(path) is \(kind), where a file of the node's belongs", mend: "move it away")
    }
}
