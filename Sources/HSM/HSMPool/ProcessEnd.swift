// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc

/// Tells of the end of child processes, whatever their sockets say: a library may have forked a helper, which holds the
/// worker's sockets open after the worker has gone.
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
