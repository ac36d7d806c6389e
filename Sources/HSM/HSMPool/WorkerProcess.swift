// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import LaneProtocol
import SecureMemory
import Threads

/// Nanoseconds of the monotonic clock, the same for node and workers on one host.
func monotonicNanoseconds() -> UInt64 { claviger_monotonic_nanoseconds() }

/// Why a worker could not be started.
struct WorkerStartError: Error, CustomStringConvertible {
    var call: String
    var code: CInt
    var description: String { "\(call): \(String(cString: strerror(code)))" }
}

/// A worker process just started: its pid, and the node's ends of its sockets and streams.
struct WorkerProcess {
    var pid: Int32
    var controlDescriptor: CInt
    var laneDescriptors: [CInt]
    /// What its library prints to standard output, and to standard error, is read here.
    var outputDescriptor: CInt
    var errorDescriptor: CInt
    let notes: CallNotes?

    /// Starts a worker and sends it its configuration. Blocks for a few milliseconds: not for an event loop.
    ///
    /// - Parameter openLanes: how many of its lanes get a session at once.
    static func start(
        settings: PoolMember, openLanes: Int, executable: String
    ) throws(WorkerStartError) -> WorkerProcess {
        var nodeEnds: [CInt] = []
        var workerEnds: [CInt] = []
        var streams: [CInt] = []
        let notes = CallNotes()
        defer { for descriptor in workerEnds + streams { close(descriptor) } }
        do throws(WorkerStartError) {
            for _ in 0...settings.worker.lanes {
                let (node, worker) = try socketPair()
                nodeEnds.append(node)
                workerEnds.append(worker)
            }
            for _ in 0..<2 {
                let (node, worker) = try pipe()
                nodeEnds.append(node)
                streams.append(worker)
            }
            let pid = try spawn(
                settings, executable, workerEnds + (notes.map { [$0.descriptor] } ?? []), streams: streams)
            let sockets = nodeEnds.dropLast(2)
            let process = WorkerProcess(
                pid: pid, controlDescriptor: nodeEnds[0], laneDescriptors: Array(sockets.dropFirst()),
                outputDescriptor: nodeEnds[sockets.count], errorDescriptor: nodeEnds[sockets.count + 1], notes: notes)
            do throws(WorkerStartError) {
                try process.configure(settings, openLanes: openLanes)
            } catch {
                kill(pid)
                _ = waitpid(pid, nil, 0)
                claviger_forget_child(pid)
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
        close(outputDescriptor)
        close(errorDescriptor)
    }

    /// Ends the worker and what is in its process group. Only before its status is taken: then the numbers may be others'.
    static func kill(_ pid: Int32) {
        _ = Glibc.kill(-pid, SIGKILL)
        _ = Glibc.kill(pid, SIGKILL)
    }

    /// Takes the exit status of a child that has ended, and ends what it left in its process group. True when there is
    /// nothing left to take.
    static func reap(_ pid: Int32) -> Bool {
        var end = claviger_end()
        let state = claviger_child_end(pid, false, &end)
        guard state != 0 else { return false }
        if state > 0 {
            // Its number is its group's, and nobody else's as long as its status has not been taken.
            _ = Glibc.kill(-pid, SIGKILL)
            _ = waitpid(pid, nil, WNOHANG)
        }
        claviger_forget_child(pid)
        return true
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

    /// A pipe that does not make the worker wait when the node is late: what does not fit is lost. The node's end is read.
    private static func pipe() throws(WorkerStartError) -> (node: CInt, worker: CInt) {
        var ends: [CInt] = [-1, -1]
        let code = claviger_pipe(&ends, true)
        guard code == 0 else { throw WorkerStartError(call: "pipe2", code: code) }
        return (ends[0], ends[1])
    }

    private static func spawn(
        _ settings: PoolMember, _ executable: String, _ descriptors: [CInt], streams: [CInt]
    ) throws(WorkerStartError) -> Int32 {
        let environment = WorkerEnvironment.variables(configured: settings.environment)
        // The name is an argument only so that a person sees in a process list which worker is which.
        let arguments = CStringArray(["claviger", "hsm-worker", settings.name])
        let variables = CStringArray(environment.map { "\($0.key)=\($0.value)" })
        var pid: pid_t = 0
        let code = claviger_spawn(
            executable, arguments.pointer, variables.pointer, streams[0], streams[1], descriptors,
            CInt(clamping: descriptors.count), &pid)
        guard code == 0 else { throw WorkerStartError(call: "posix_spawn \(executable)", code: code) }
        return pid
    }
}

/// The environment of a process that loads a vendor's library.
package enum WorkerEnvironment {
    /// Variables of the node's own environment that a worker inherits. Nothing else reaches it: a secret that was given
    /// to the node in a variable must not be readable in a child's /proc/PID/environ.
    private static let inherited = [
        "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER",
    ]

    /// - Parameter configured: what the configuration says of the library's environment.
    package static func variables(configured: [String: String]) -> [String: String] {
        var environment: [String: String] = [:]
        for name in inherited {
            if let value = getenv(name) { environment[name] = String(cString: value) }
        }
        environment.merge(configured) { _, configured in configured }
        // A crash ends the worker at once: a backtrace would take seconds, and show arguments.
        environment["SWIFT_BACKTRACE"] = "enable=no"
        return environment
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
    static func watch(_ pid: Int32, _ body: @escaping @Sendable (WorkerEnd.Way?) -> Void) -> Bool {
        DetachedThread.begin("worker's end", stackSize: stackSize) {
            body(WorkerEnd.way(of: pid, isAwaited: true))
        }
    }
}
