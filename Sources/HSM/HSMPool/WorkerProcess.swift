// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import LaneProtocol
import SecureMemory

/// Nanoseconds of the monotonic clock, the same for node and workers on one host.
func monotonicNanoseconds() -> UInt64 { claviger_monotonic_nanoseconds() }

/// Why a worker could not be started.
struct WorkerStartError: Error, CustomStringConvertible {
    var call: String
    var code: CInt
    var description: String { "\(call): \(String(cString: strerror(code)))" }
}

/// A worker process just started: its pid, and the node's ends of its sockets.
struct WorkerProcess {
    var pid: Int32
    var controlDescriptor: CInt
    var laneDescriptors: [CInt]

    /// Variables of the node's own environment that a worker inherits. Nothing else reaches it: a secret that was given
    /// to the node in a variable must not be readable in a child's /proc/PID/environ.
    private static let inheritedVariables = [
        "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER",
    ]

    /// Starts a worker and sends it its configuration. Blocks for a few milliseconds: not for an event loop.
    ///
    /// - Parameter openLanes: how many of its lanes get a session at once.
    static func start(
        settings: PoolMember, openLanes: Int, executable: String
    ) throws(WorkerStartError) -> WorkerProcess {
        var nodeEnds: [CInt] = []
        var workerEnds: [CInt] = []
        defer { for descriptor in workerEnds { close(descriptor) } }
        do throws(WorkerStartError) {
            for _ in 0...settings.worker.lanes {
                let (node, worker) = try socketPair()
                nodeEnds.append(node)
                workerEnds.append(worker)
            }
            let pid = try spawn(settings, executable, workerEnds)
            let process = WorkerProcess(
                pid: pid, controlDescriptor: nodeEnds[0], laneDescriptors: Array(nodeEnds.dropFirst()))
            do throws(WorkerStartError) {
                try process.configure(settings, openLanes: openLanes)
            } catch {
                kill(pid)
                _ = waitpid(pid, nil, 0)
                throw error
            }
            return process
        } catch {
            for descriptor in nodeEnds { close(descriptor) }
            throw error
        }
    }

    func closeDescriptors() {
        close(controlDescriptor)
        for descriptor in laneDescriptors { close(descriptor) }
    }

    static func kill(_ pid: Int32) { _ = Glibc.kill(pid, SIGKILL) }

    /// Takes the exit status of a child that has ended. True when there is nothing left to take.
    static func reap(_ pid: Int32) -> Bool {
        var status: CInt = 0
        return waitpid(pid, &status, WNOHANG) != 0
    }

    /// The configuration holds the PIN: it goes straight from its own memory into the socket, through no buffer that
    /// outlives it. It is far smaller than a socket's buffer, so this does not wait for the worker.
    private func configure(_ settings: PoolMember, openLanes: Int) throws(WorkerStartError) {
        let lanes = UInt16(clamping: min(openLanes, Int(settings.worker.lanes)))
        let message = NodeMessage.configure(settings.worker, openLanes: lanes, sealed: settings.sealed).encoded()
        let code = message.withUnsafeBytes { bytes -> CInt in
            var offset = 0
            while offset < bytes.count {
                let written = send(
                    controlDescriptor, bytes.baseAddress.map { $0 + offset }, bytes.count - offset,
                    CInt(MSG_NOSIGNAL))
                if written < 0 {
                    if errno == EINTR { continue }
                    return errno
                }
                offset += written
            }
            return 0
        }
        guard code == 0 else { throw WorkerStartError(call: "send", code: code) }
    }

    private static func socketPair() throws(WorkerStartError) -> (node: CInt, worker: CInt) {
        var ends: (CInt, CInt) = (-1, -1)
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        let result = withUnsafeMutableBytes(of: &ends) { bytes in
            socketpair(AF_UNIX, type, 0, bytes.baseAddress?.assumingMemoryBound(to: CInt.self))
        }
        guard result == 0 else { throw WorkerStartError(call: "socketpair", code: errno) }
        return ends
    }

    private static func spawn(
        _ settings: PoolMember, _ executable: String, _ descriptors: [CInt]
    ) throws(WorkerStartError) -> Int32 {
        var environment: [String: String] = [:]
        for name in inheritedVariables {
            if let value = getenv(name) { environment[name] = String(cString: value) }
        }
        environment.merge(settings.environment) { _, configured in configured }
        // A crash ends the worker at once: a backtrace would take seconds, and show arguments.
        environment["SWIFT_BACKTRACE"] = "enable=no"
        // The name is an argument only so that a person sees in a process list which worker is which.
        let arguments = CStringArray(["claviger", "hsm-worker", settings.name])
        let variables = CStringArray(environment.map { "\($0.key)=\($0.value)" })
        var pid: pid_t = 0
        let code = claviger_spawn(
            executable, arguments.pointer, variables.pointer, descriptors, CInt(clamping: descriptors.count), &pid)
        guard code == 0 else { throw WorkerStartError(call: "posix_spawn \(executable)", code: code) }
        return pid
    }
}

/// A NULL-terminated array of C strings, for as long as it lives.
private final class CStringArray {
    let pointer: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    init(_ strings: [String]) {
        count = strings.count
        pointer = .allocate(capacity: count + 1)
        pointer.initialize(repeating: nil, count: count + 1)
        for (index, string) in strings.enumerated() { pointer[index] = strdup(string) }
    }

    deinit {
        for index in 0..<count { free(pointer[index]) }
        pointer.deinitialize(count: count + 1)
        pointer.deallocate()
    }
}

/// Reports of the end of child processes, whatever their sockets say: a library may have forked a helper, which holds
/// the worker's sockets open after the worker has gone.
enum ProcessEnd {
    /// The thread does nothing but wait.
    private static let stackSize = 128 * 1024

    /// Calls `body` on a thread of its own once the child has ended, or is known no more. Its exit status stays to be
    /// taken. False when the system gives no thread: the closing of the sockets must do then.
    @discardableResult
    static func watch(_ pid: Int32, _ body: @escaping @Sendable () -> Void) -> Bool {
        let box = Unmanaged.passRetained(Watch(pid: pid, body: body))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, stackSize)
        var thread = pthread_t()
        let error = pthread_create(&thread, &attributes, waitForEnd, box.toOpaque())
        if error != 0 { box.release() }
        return error == 0
    }
}

private final class Watch: Sendable {
    let pid: Int32
    let body: @Sendable () -> Void

    init(pid: Int32, body: @escaping @Sendable () -> Void) {
        self.pid = pid
        self.body = body
    }
}

private func waitForEnd(_ box: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let box else { return nil }
    let watch = Unmanaged<Watch>.fromOpaque(box).takeRetainedValue()
    _ = claviger_name_thread("worker's end")
    var information = siginfo_t()
    while waitid(P_PID, id_t(watch.pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
    watch.body()
    return nil
}
