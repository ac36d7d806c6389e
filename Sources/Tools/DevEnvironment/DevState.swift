// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import PrivateFiles

/// The state directory of a development node, held by this process.
///
/// ```
/// lock                        one node at a time
/// claviger.toml               the node's configuration, written anew at each start
/// credential.json  secret     what clients sign with; `secret` is the part that claviger.toml points at
/// keys                        the values of the development keys, so that further HSMs can be given the same ones
/// tls/                        CA, server and client certificate with their keys
/// node/                       the node's own state
/// hsm-1/                      one SoftHSM token: softhsm2.conf tokens/ pin so-pin
///
/// node-1/                     one node of a cluster: claviger.toml, certificate and key, node/, hsm-1/ …
/// cluster/                    the cluster's CA
/// haproxy.cfg                 the load balancer before the nodes
/// ```
/// All of it is for development: whoever can read the directory has every key.
package struct DevState: Sendable {
    /// Absolute path.
    package let directory: String
    private let lock: StateLock

    package var configurationFile: String { directory + "/claviger.toml" }
    package var credentialFile: String { directory + "/credential.json" }
    package var secretFile: String { directory + "/secret" }
    package var keysFile: String { directory + "/keys" }
    package var tlsDirectory: String { directory + "/tls" }
    package var nodeDirectory: String { directory + "/node" }
    package var clusterDirectory: String { directory + "/cluster" }
    package var balancerConfigurationFile: String { directory + "/haproxy.cfg" }

    /// How many nodes a cluster may have.
    static let nodes = 1...9

    static func nodeName(_ number: Int) -> String { "node-\(number)" }

    func directory(ofNode number: Int) -> String { "\(directory)/\(Self.nodeName(number))" }

    /// Where the state is kept when nobody says otherwise: `claviger/dev` under `XDG_STATE_HOME`, or `~/.local/state`.
    /// `nil` when the environment names no home.
    package static func defaultDirectory(environment: [String: String]) -> String? {
        if let base = environment["XDG_STATE_HOME"], base.hasPrefix("/") { return base + "/claviger/dev" }
        guard let home = environment["HOME"], home.hasPrefix("/") else { return nil }
        return home + "/.local/state/claviger/dev"
    }

    /// Makes the directory (0700) unless it is there, and locks it.
    ///
    /// A directory that holds something else is refused, and left as it is.
    /// - Throws: `DevError`; also when another process holds the directory.
    package static func open(_ path: String) throws -> DevState {
        let directory = try absolutePath(path)
        try makeRoot(directory)
        let state = DevState(directory: directory, lock: try StateLock(path: directory + "/lock"))
        try PrivateFiles.makeDirectory(state.tlsDirectory)
        try PrivateFiles.makeDirectory(state.nodeDirectory)
        return state
    }

    /// The path from the root, free of anything that SoftHSM's configuration file could misread: it has no quoting,
    /// `#` begins a comment, `=` ends a name, and a line is at most 1,024 bytes.
    private static func absolutePath(_ path: String) throws -> String {
        guard !path.isEmpty else { throw DevError("The state directory's path is empty.") }
        let absolute = URL(fileURLWithPath: path).standardizedFileURL.path
        let forbidden = absolute.utf8.contains { byte in
            byte < 0x20 || byte == 0x7F || byte == UInt8(ascii: "#") || byte == UInt8(ascii: "=")
        }
        guard absolute != "/", absolute.utf8.count <= 512, !forbidden, !absolute.hasSuffix(" ") else {
            throw DevError(
                "The state directory \(absolute.debugDescription) cannot be used: its path must be at most 512 bytes, "
                    + "without '#', '=' or control characters, and not the root. Choose another with --state.")
        }
        return absolute
    }

    private static func makeRoot(_ directory: String) throws {
        let parent = URL(fileURLWithPath: directory).deletingLastPathComponent().path
        do {
            try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
        } catch {
            throw DevError("Cannot create the directory \(parent): \(error.localizedDescription)")
        }
        try PrivateFiles.makeDirectory(directory)
        var status = stat()
        guard lstat(directory, &status) == 0 else { throw PrivateFiles.failure("read", directory) }
        guard status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid() else {
            throw DevError("\(directory) is not a directory of this user's. Choose another with --state.")
        }
        // Never change the mode of, nor write into, a directory that is someone's for another purpose.
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        guard entries.isEmpty || entries.contains("lock") else {
            throw DevError(
                "\(directory) holds files that are not a development node's. "
                    + "Choose an empty or new directory with --state.")
        }
        guard status.st_mode & 0o077 == 0 || chmod(directory, 0o700) == 0 else {
            throw PrivateFiles.failure("set the mode of", directory)
        }
    }
}

/// Holds a state directory for one development node; given back when the last reference goes, or the process ends.
///
/// A lock of the kernel's (`flock`), not the mere existence of a file: nothing is left behind by a killed node. The
/// descriptor is close-on-exec, so that workers do not keep the directory locked after the node is gone.
final class StateLock: Sendable {
    private let descriptor: Int32

    init(path: String) throws {
        let descriptor = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw PrivateFiles.failure("open", path) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let busy = errno == EWOULDBLOCK
            let failure = PrivateFiles.failure("lock", path)
            close(descriptor)
            guard busy else { throw failure }
            throw DevError(
                "Another development node uses this state directory (\(path) is locked). "
                    + "Stop it, or choose another directory with --state.")
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }
}
