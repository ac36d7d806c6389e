// SPDX-License-Identifier: Apache-2.0
import Glibc
import PrivateFiles

/// Why the admin socket cannot be served, in a sentence for an operator.
package enum AdminSocketError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Another process serves it: `pid`, where the system says.
    case inUse(path: String, pid: Int32?)
    /// Something that is no socket has its name; it is left alone.
    case notASocket(path: String)
    /// Something else has the place of a file that the node needs: what, and what mends it.
    case obstacle(String)
    /// The socket's path would not fit into a socket address (unix(7)).
    case directoryTooLong(path: String, limit: Int)
    case system(call: String, path: String, code: Int32)

    package var description: String {
        switch self {
        case .inUse(let path, let pid):
            "\(path) is served by another node\(pid.map { ", process \($0)" } ?? ""): end it, or give this one a "
                + "state_dir of its own"
        case .notASocket(let path): "\(path) is in the way and is no socket: move it away"
        case .obstacle(let text): text
        case .directoryTooLong(let path, let limit):
            "\(path) is too long for a socket in it: choose a state_dir of at most \(limit) bytes"
        case .system(let call, let path, let code):
            "\(path): \(call): \(String(cString: strerror(code)))" + (Self.foreign(path, code).map { "; \($0)" } ?? "")
        }
    }

    /// Whose files keep this process out; `nil` where it is something else.
    private static func foreign(_ path: String, _ code: Int32) -> String? {
        guard code == EACCES || code == EPERM else { return nil }
        let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        return Ownership.flaw(of: [path, directory], in: directory)
    }
}

/// The path of the admin socket in the file system.
///
/// The socket is bound in a directory that only its owner can enter, gets its mode there, and is then moved to its
/// place: at no moment can anybody else open it, and a socket that a dead process left behind is replaced in one step.
/// Whoever does this holds a lock (`admin.lock`), so that of two nodes that start together one sees the other.
package struct AdminSocket {
    static let name = "admin.sock"
    package static let lockName = "admin.lock"
    private static let stagingPrefix = ".admin-"
    /// SwiftNIO takes 103 bytes, what fits into a sockaddr_un everywhere; Linux alone has room for 107.
    private static let longestPath = 103
    /// Room for the longest path below it, `/.admin-XXXXXX/s`.
    package static let longestDirectory = longestPath - 16

    let path: String
    /// Where the server binds; in a directory of its own.
    let stagingPath: String
    private let staging: String
    private let lock: Int32
    /// What the socket is known by once it is in its place.
    private(set) var identity: FileIdentity?

    struct FileIdentity: Equatable {
        var device: UInt64
        var inode: UInt64
    }

    /// Takes the lock, looks whether somebody serves the socket, and makes the directory to bind in. `release` or
    /// `abandon` must follow.
    init(stateDirectory: String) async throws(AdminSocketError) {
        guard stateDirectory.utf8.count <= Self.longestDirectory else {
            throw .directoryTooLong(path: stateDirectory, limit: Self.longestDirectory)
        }
        path = stateDirectory + "/" + Self.name
        let template = stateDirectory + "/" + Self.stagingPrefix + "XXXXXX"
        lock = try await Self.lock(stateDirectory + "/" + Self.lockName)
        do throws(AdminSocketError) {
            try Self.requireFree(path)
            Self.removeLeftovers(in: stateDirectory)
            staging = try Self.makeDirectory(template)
        } catch {
            close(lock)
            throw error
        }
        stagingPath = staging + "/s"
    }

    /// Puts the bound socket in its place, for its owner and the group, and gives the lock back. Returns why the group cannot
    /// use it, where that is so: it is its owner's alone then.
    mutating func publish(group: String?) throws(AdminSocketError) -> String? {
        guard chmod(stagingPath, 0o600) == 0 else { throw Self.failure("chmod", stagingPath) }
        let problem = group.flatMap { AdminGroup.admit($0, to: stagingPath) }
        identity = Self.identity(of: stagingPath)
        guard rename(stagingPath, path) == 0 else { throw Self.failure("rename", path) }
        rmdir(staging)
        close(lock)
        return problem
    }

    /// Leaves nothing behind of what could not be published, and gives the lock back.
    func abandon() {
        unlink(stagingPath)
        rmdir(staging)
        close(lock)
    }

    /// Whether the socket that was put there is still in its place: a person, or a job that cleans up, may have removed it.
    var isInPlace: Bool { identity != nil && identity == Self.identity(of: path) }

    /// Takes the socket away, if it is still the one that was put there.
    func remove() {
        if isInPlace { unlink(path) }
    }

    // MARK: - Looking

    private static func requireFree(_ path: String) throws(AdminSocketError) {
        var facts = stat()
        guard lstat(path, &facts) == 0 else {
            if errno == ENOENT { return }
            throw failure("lstat", path)
        }
        guard facts.st_mode & S_IFMT == S_IFSOCK else { throw .notASocket(path: path) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failure("socket", path) }
        defer { close(descriptor) }
        // Where the other's queue is full, a connection that waits would wait for good.
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        guard connected(descriptor, path) || errno != ECONNREFUSED && errno != ENOENT else { return }
        throw .inUse(path: path, pid: peer(descriptor))
    }

    private static func connected(_ descriptor: Int32, _ path: String) -> Bool {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(Self.longestPath)) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }

    /// Who listens at the other end (SO_PEERCRED, unix(7)).
    private static func peer(_ descriptor: Int32) -> Int32? {
        // struct ucred: process, user and group.
        var credentials: [Int32] = [0, 0, 0]
        var length = socklen_t(credentials.count * MemoryLayout<Int32>.size)
        let isKnown = getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0
        return isKnown && credentials[0] > 0 ? credentials[0] : nil
    }

    private static func identity(of path: String) -> FileIdentity? {
        var facts = stat()
        guard lstat(path, &facts) == 0 else { return nil }
        return FileIdentity(device: UInt64(facts.st_dev), inode: UInt64(facts.st_ino))
    }

    // MARK: - Making room

    /// Whoever holds the lock needs a few milliseconds; five seconds mean that it hangs.
    private static func lock(_ path: String) async throws(AdminSocketError) -> Int32 {
        let descriptor = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let error = failure("open", path)
            throw Ownership.obstacle(at: path).map { .obstacle("\($0.message): \($0.mend)") } ?? error
        }
        for _ in 0..<250 {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return descriptor }
            guard errno == EWOULDBLOCK || errno == EINTR else { break }
            try? await Task.sleep(for: .milliseconds(20))
        }
        let error = failure("flock", path)
        close(descriptor)
        throw error
    }

    private static func makeDirectory(_ template: String) throws(AdminSocketError) -> String {
        var bytes = template.utf8CString
        let isMade = bytes.withUnsafeMutableBufferPointer { $0.baseAddress.map { mkdtemp($0) != nil } ?? false }
        guard isMade else { throw failure("mkdtemp", template) }
        return String(decoding: bytes.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// What processes left that were killed between binding and publishing. Only the holder of the lock has such a
    /// directory.
    private static func removeLeftovers(in directory: String) {
        guard let stream = opendir(directory) else { return }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name.hasPrefix(stagingPrefix), name.utf8.count == stagingPrefix.utf8.count + 6 else { continue }
            unlink("\(directory)/\(name)/s")
            rmdir("\(directory)/\(name)")
        }
    }

    private static func failure(_ call: String, _ path: String) -> AdminSocketError {
        .system(call: call, path: path, code: errno)
    }
}
