// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// The service manager that has started this process and wants to know how it is (sd_notify(3)), if there is one.
///
/// Reads its environment once and takes the variables out of it: programs that this process starts have nothing to say there.
final class Supervisor: Sendable {
    static let shared = Supervisor(
        socket: take("NOTIFY_SOCKET"), watchdogMicroseconds: take("WATCHDOG_USEC"),
        watchdogProcess: take("WATCHDOG_PID"))

    /// How long a message may wait for room in the manager's socket, seconds.
    private static let patience = 1

    /// Path of a datagram socket, or `@` and an abstract name.
    private let socket: String?
    /// Without a sign of life for so long the process is ended; `nil`: nobody asks for one.
    private let watchdog: Duration?
    private let watching = Mutex<Task<Void, Never>?>(nil)

    private init(socket: String?, watchdogMicroseconds: String?, watchdogProcess: String?) {
        self.socket = socket
        let isMeant = watchdogProcess.map { Int32($0) == getpid() } ?? true
        watchdog = watchdogMicroseconds.flatMap { Int64($0) }.flatMap {
            $0 > 0 && isMeant && socket != nil ? .microseconds($0) : nil
        }
    }

    private static func take(_ name: String) -> String? {
        defer { unsetenv(name) }
        return getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    // MARK: What is told

    /// It listens. From now on it shows that these threads do their work.
    func ready(_ loops: any EventLoopGroup) {
        tell("READY=1")
        guard let watchdog else { return }
        let task = Task {
            while (try? await Task.sleep(for: watchdog / 2)) != nil {
                // One that hangs answers nobody: then no sign is given, and the manager starts the node anew.
                for loop in loops.makeIterator() {
                    guard (try? await loop.submit {}.get()) != nil else { return }
                }
                self.tell("WATCHDOG=1")
            }
        }
        watching.withLock { $0 = task }
    }

    /// The configuration is being read. `reloaded` follows, whatever comes of it.
    func reloading() { tell("RELOADING=1\nMONOTONIC_USEC=\(claviger_monotonic_nanoseconds() / 1_000)") }

    func reloaded() { tell("READY=1") }

    func stopping() { tell("STOPPING=1") }

    /// Before the event loops end.
    func stopWatching() { watching.withLock { $0 }?.cancel() }

    private func tell(_ message: String) {
        guard let socket else { return }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard socket.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return }
        withUnsafeMutableBytes(of: &address.sun_path) { path in
            path.copyBytes(from: socket.utf8)
            if path[0] == UInt8(ascii: "@") { path[0] = 0 }
        }
        // An abstract name ends with the address; a path may have its zero byte behind it.
        let length = socklen_t(MemoryLayout<sa_family_t>.size + socket.utf8.count)
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var limit = timeval(tv_sec: Self.patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let bytes = Array(message.utf8)
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
    }
}
