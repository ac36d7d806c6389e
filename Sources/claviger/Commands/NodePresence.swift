// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ControlPlane
import Glibc
import NodeConfig

/// Whether a node runs whose admin socket cannot be asked: it serves KMS without one, where its state directory is on a disk
/// that cannot be written, something has the socket's place, or the path is too long.
enum NodePresence {
    /// What there is to say of a node that answers at `control.listen`; `nil` where none does, or it is another one.
    static func words(_ settings: NodeSettings, socket: String) async -> String? {
        let address = ListenAddress(
            host: settings.control.listen.isWildcard
                ? (settings.control.listen.host.contains(":") ? "::1" : "127.0.0.1") : settings.control.listen.host,
            port: settings.control.listen.port)
        let answer = await ControlProbe.ask("\(address)", hasTLS: settings.control.protection != nil)
        guard case .node(let name, let reason) = answer, name.map({ $0 == settings.node.id }) ?? true else {
            return nil
        }
        return "a node answers at \(address), and its admin socket is not there: \(reason ?? flaw(of: socket))"
    }

    /// Why nobody can be asked at a socket; the mend with it.
    static func flaw(of socket: String) -> String {
        if let flaw = length(of: socket) { return flaw }
        var facts = stat()
        guard lstat(socket, &facts) == 0 else {
            return
                "\(socket): \(String(cString: strerror(errno))); the node's log says why (\"admin socket not served\")"
        }
        guard facts.st_mode & S_IFMT == S_IFSOCK else {
            return "\(socket) is in the way and is no socket: move it away"
        }
        return "nobody listens at \(socket); the node's log says why (\"admin socket not served\")"
    }

    /// `nil` for a path that a socket can have.
    static func length(of socket: String) -> String? {
        let directory = socket.lastIndex(of: "/").map { String(socket[..<$0]) } ?? "."
        guard directory.utf8.count > AdminSocket.longestDirectory else { return nil }
        return "\(AdminSocketError.directoryTooLong(path: directory, limit: AdminSocket.longestDirectory))"
    }
}
