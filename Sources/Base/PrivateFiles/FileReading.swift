// SPDX-License-Identifier: Apache-2.0
import Glibc
import SecureMemory

/// The one way in which files are read that people name: whole, never more than was asked for, in bounded time, and
/// secrets only where nobody else can read or replace them.
package enum FileReading {
    /// Why a file could not be read: what follows its name in a sentence, and what mends it.
    package struct Failure: Error, Equatable, Sendable {
        package var message: String
        package var fix: String

        package init(message: String, fix: String) {
            self.message = message
            self.fix = fix
        }
    }

    package enum Content: Sendable {
        /// A certificate, a configuration.
        case plain
        /// A PIN, a private key: the file belongs to root or to the user of this process, nobody but these and the
        /// file's group may read it, and nobody but its owner may write to it.
        case secret
    }

    /// Reads a regular file of at most `limit` bytes. Blocks on the disk, for `time` at most.
    package static func read(
        _ path: String, as content: Content, atMost limit: Int, within time: Duration = Patience.ofFiles
    ) throws(Failure) -> SecretBytes {
        guard let result = Patience.perform(on: path, within: time, { readAll(path, as: content, atMost: limit) })
        else {
            throw Failure(
                message: "cannot be read: it does not answer",
                fix: "look at the disk or the network mount that it lies on")
        }
        return try result.get()
    }

    private static func readAll(
        _ path: String, as content: Content, atMost limit: Int
    ) -> Result<SecretBytes, Failure> {
        // Not blocking: opening a pipe that nobody writes to would wait for ever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard descriptor >= 0 else { return .failure(failure(errno)) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return .failure(failure(errno)) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            return .failure(Failure(message: "is not a regular file", fix: "name a file"))
        }
        if case .secret = content, let flaw = SecretFileRule.flaw(of: path, status) { return .failure(flaw) }
        // In one piece from the start: what grows leaves copies of a key behind.
        let bytes = SecretBytes(capacity: min(max(Int(status.st_size), 1), limit) + 1)
        while bytes.count <= limit {
            var code: Int32 = 0
            let before = bytes.count
            bytes.append(atMost: min(65_536, limit + 1 - bytes.count)) { room in
                let count = Glibc.read(descriptor, room.baseAddress, room.count)
                code = count < 0 ? errno : 0
                return count
            }
            if code == EINTR { continue }
            guard code == 0 else { return .failure(failure(code)) }
            if bytes.count == before { return .success(bytes) }
        }
        return .failure(Failure(message: "is larger than \(limit) bytes", fix: "name another file"))
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

/// What may hold a secret.
enum SecretFileRule {
    /// What is wrong with a file's owner or mode; `nil` when nothing is.
    static func flaw(of path: String, _ status: stat) -> FileReading.Failure? {
        let owner = status.st_uid
        guard owner == 0 || owner == geteuid() else {
            return FileReading.Failure(
                message: "belongs to \(UserName.shown(owner)), who could read and replace it",
                // Root that looks after a service's files is no fault of the files.
                fix: geteuid() == 0
                    ? "if \(UserName.plain(owner)) is the node's own user, run this command as that user; else run chown "
                        + "root \(path)"
                    : "run chown root \(path), or chown it to the user of this process (\(UserName.shown(geteuid())))")
        }
        let mode = status.st_mode
        if mode & (S_IROTH | S_IWOTH) != 0 {
            return FileReading.Failure(
                message: "is open to every user of this host", fix: mend(path, plain: "run chmod o= \(path)"))
        }
        // The group may read it: a file of root's, readable by the service's group, is the usual arrangement.
        if mode & S_IWGRP != 0 {
            return FileReading.Failure(
                message: "can be replaced by its group", fix: mend(path, plain: "run chmod g-w \(path)"))
        }
        return nil
    }

    /// In a volume of Kubernetes nothing can be changed by hand: it is made anew from what the pod says.
    private static func mend(_ path: String, plain: String) -> String {
        guard isProjected(path) else { return plain }
        return
            "set defaultMode: 0440 on the volume, and fsGroup in the pod's securityContext; chmod changes nothing there"
    }

    /// Volumes that Kubernetes fills (secret, projected, configMap) have a symbolic link `..data` to what is current.
    private static func isProjected(_ path: String) -> Bool {
        let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        var status = stat()
        return lstat(directory + "/..data", &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
    }
}

/// Users as people know them.
package enum UserName {
    /// `claviger (uid 998)`, or `uid 998` where it has no name.
    package static func shown(_ user: UInt32) -> String {
        name(of: user).map { "\($0) (uid \(user))" } ?? "uid \(user)"
    }

    /// As chown(1) takes it.
    package static func plain(_ user: UInt32) -> String { name(of: user) ?? "\(user)" }

    private static func name(of user: UInt32) -> String? {
        var room = [CChar](repeating: 0, count: 4_096)
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        guard getpwuid_r(user, &entry, &room, room.count, &found) == 0, found != nil, let name = entry.pw_name else {
            return nil
        }
        return String(cString: name)
    }
}
