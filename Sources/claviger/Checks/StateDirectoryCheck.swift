// SPDX-License-Identifier: Apache-2.0
import AccessControl
import AdminClient
import AdminProtocol
import ControlPlane
import Glibc
import NodeConfig
import NodeStore

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
                "node.state_dir", "\(flaw): the node serves, and forgets at a restart what it has not kept",
                isFatal: false, fix: "mend its owner, its mode or its disk")
            return
        }
        if let flaw {
            diagnostics.report(
                "node.state_dir", flaw,
                fix: "make the directory above it, give it to the user of the node, or choose another one")
            return
        }
        guard let reason = knowledge.doubt else { return }
        let words = "the node refuses every request at first, since \(BlockListing.mend(reason))"
        // Its peers may tell it; without any there is nobody who could.
        if isClustered {
            diagnostics.notes.append(words)
        } else {
            diagnostics.report(
                "node.state_dir", "the node would refuse every request: it does not know what is blocked (\(reason))",
                fix: "start it, look at `claviger blocks`, and give `claviger unblock --confirm-unknown`")
        }
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
    }

    private var isThere: Bool { access(directory, F_OK) == 0 }

    /// Why nothing can be written there. It is tried: who may write where is more than modes say.
    private var writeFlaw: String? {
        guard isThere else {
            guard mkdir(directory, 0o700) == 0 else { return "\(directory) cannot be made: \(reason())" }
            rmdir(directory)
            return nil
        }
        var template = Array("\(directory)/check-XXXXXX".utf8CString)
        let descriptor = template.withUnsafeMutableBufferPointer { bytes in
            bytes.baseAddress.map { mkstemp($0) } ?? -1
        }
        guard descriptor >= 0 else { return "\(directory) cannot be written: \(reason())" }
        defer {
            template.withUnsafeBufferPointer { bytes in _ = bytes.baseAddress.map { unlink($0) } }
            close(descriptor)
        }
        // On a full disk an empty file can be made.
        let block = [UInt8](repeating: 0, count: 256 * 1024)
        guard write(descriptor, block, block.count) == block.count, fsync(descriptor) == 0 else {
            return "\(directory) cannot be written: \(reason())"
        }
        return nil
    }

    private func reason() -> String { String(cString: strerror(errno)) }
}
