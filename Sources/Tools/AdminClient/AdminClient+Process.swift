// SPDX-License-Identifier: Apache-2.0
import Glibc

extension AdminClient {
    /// The process that serves the socket (SO_PEERCRED, unix(7)); `nil` when nobody does, or it cannot be seen from
    /// here: it runs in another PID namespace.
    package func servingProcess() -> Int32? {
        guard let process = peer()?.process, process > 0 else { return nil }
        return process
    }

    /// Throws unless root or the owner of the socket's directory serves it: whoever else does may answer what they like,
    /// and nothing is done. Says nothing where nobody serves it.
    func requireOwner() throws(AdminClientError) {
        guard let user = peer()?.user, user != 0 else { return }
        let directory = socket.lastIndex(of: "/").map { String(socket[..<$0]) } ?? "."
        var facts = stat()
        guard stat(directory, &facts) == 0, facts.st_uid != user else { return }
        throw .refused(
            "\(socket) is served by user \(user), who is neither root nor the owner of \(directory) (user "
                + "\(facts.st_uid)): it is not asked. Look who has put it there")
    }

    private func peer() -> (process: Int32, user: UInt32)? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard socket.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: socket.utf8) }
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        // Where the node's queue is full, a connection that waits would wait for good.
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        guard isConnected else { return nil }
        // struct ucred: process, user and group.
        var credentials: [Int32] = [0, 0, 0]
        var length = socklen_t(credentials.count * MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 else { return nil }
        return (credentials[0], UInt32(bitPattern: credentials[1]))
    }
}
