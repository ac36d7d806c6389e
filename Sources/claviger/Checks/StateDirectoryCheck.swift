// SPDX-License-Identifier: Apache-2.0
import AccessControl
import AdminClient
import AdminProtocol
import ControlPlane
import Glibc
import NodeConfig
import NodeStore
import PrivateFiles

/// Whether a node could keep its state where its configuration says, and would know there what is blocked.
struct StateDirectoryCheck {
    let directory: String
    let isClustered: Bool

    /// - Parameter now: Unix seconds.
    func run(now: Int64, _ diagnostics: inout Diagnostics) {
        checkSocket(&diagnostics)
        let flaw = writeFlaw
        let knowledge = StoreReader.outlook(onBlocksIn: directory, isClustered: isClustered, now: now)
        if let flaw, knowledge.doubt == nil, isThere {
            diagnostics.warn(
                "node.state_dir", "\(flaw.message): the node serves, and forgets at a restart what it has not kept",
                isFatal: false, fix: flaw.mend)
            return
        }
        if let flaw { return diagnostics.report("node.state_dir", flaw.message, fix: flaw.mend) }
        checkFormat(&diagnostics)
        guard let reason = knowledge.doubt else { return }
        let words = "the node refuses every request at first, since \(BlockListing.mend(reason))"
        // Its peers may tell it; without any there is nobody who could.
        if BlockListing.isOutOfReach(reason) {
            diagnostics.report(
                "node.state_dir", "the node would refuse every request: it cannot use its list of blocks (\(reason))",
                fix: reason.contains("run ")
                    ? "do that, and start it: the list is there"
                    : "do that, and put the file back where it is elsewhere; then start it")
        } else if isClustered {
            diagnostics.notes.append(words)
        } else {
            diagnostics.report(
                "node.state_dir", "the node would refuse every request: it does not know what is blocked (\(reason))",
                fix: "start it, look at `claviger blocks`, and give `claviger unblock --confirm-unknown`")
        }
    }

    private func checkFormat(_ diagnostics: inout Diagnostics) {
        guard let reason = ActivatedFormat.flaw(stateDirectory: directory) else { return }
        diagnostics.warn(
            "node.state_dir",
            "\(directory)/\(ActivatedFormat.fileName) cannot be read (\(reason)): the node serves, and calls no form of "
                + "ciphertext invalid", isFatal: false,
            fix: "let the node's user read it; the other nodes' files hold the number")
    }

    /// Without it no order reaches the node: nothing could be blocked.
    private func checkSocket(_ diagnostics: inout Diagnostics) {
        let socket = "\(directory)/\(AdminClient.socketName)"
        if directory.utf8.count > AdminSocket.longestDirectory {
            diagnostics.report(
                "node.state_dir", "has \(directory.utf8.count) bytes, too many for the admin socket in it",
                fix: "choose one of at most \(AdminSocket.longestDirectory) bytes")
        }
        var facts = stat()
        if lstat(socket, &facts) == 0, facts.st_mode & S_IFMT != S_IFSOCK {
            diagnostics.report("node.state_dir", "\(socket) is no socket, and in its place", fix: "remove it")
        }
        // Who makes the socket holds it.
        let lock = "\(directory)/\(AdminSocket.lockName)"
        if let flaw = Ownership.obstacle(at: lock) ?? Ownership.barred([lock], in: directory) {
            diagnostics.report(
                "node.state_dir", "\(flaw.message): the node would have no admin socket, and no order would reach it",
                fix: flaw.mend)
        }
    }

    private var isThere: Bool { access(directory, F_OK) == 0 }

    /// Why nothing can be written there, and what mends it. It is tried.
    private var writeFlaw: (message: String, mend: String)? {
        guard isThere else {
            guard mkdir(directory, 0o700) == 0 else { return unmade(errno) }
            rmdir(directory)
            return nil
        }
        var facts = stat()
        if stat(directory, &facts) == 0, facts.st_mode & S_IFMT != S_IFDIR {
            return ("\(directory) cannot be used: it is no directory", "remove it, or choose another one")
        }
        do throws(WriteTrial.Failure) {
            try WriteTrial.write(256 * 1024, in: directory)
            return nil
        } catch {
            return unwritten(error.code)
        }
    }

    private func unmade(_ code: Int32) -> (message: String, mend: String) {
        let message = "\(directory) cannot be made: \(String(cString: strerror(code)))"
        switch code {
        case EEXIST: return ("\(directory) is a symbolic link to nowhere", "remove it, or make what it leads to")
        case ENOENT: return (message, "make the directory above it")
        case ENOTDIR: return (message, "a part of its path is a file: choose another one")
        case EACCES, EPERM:
            return (message, "make it, and give it to the node's user: install -d -m 700 -o USER \(directory)")
        default: return (message, Self.mend(ofDisk: code))
        }
    }

    private func unwritten(_ code: Int32) -> (message: String, mend: String) {
        let message = "\(directory) cannot be written: \(String(cString: strerror(code)))"
        guard code == EACCES || code == EPERM else { return (message, Self.mend(ofDisk: code)) }
        let owner = DirectoryChain.owner(of: directory)
        guard let owner, owner != geteuid() else { return (message, "chmod u+rwx \(directory)") }
        return (
            "\(message); it belongs to \(UserName.shown(owner))",
            "run this as \(UserName.plain(owner)), if that is the node's user; else chown \(directory) to it"
        )
    }

    private static func mend(ofDisk code: Int32) -> String {
        switch code {
        case ENOSPC, EDQUOT: "make room on its disk"
        case EROFS: "mount its disk for writing, or choose another one"
        default: "look at its disk, or choose another one"
        }
    }
}
