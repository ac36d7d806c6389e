// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc

/// Runs `body` on a new thread that nobody waits for. False when the system gives no thread.
///
/// - Parameters:
///   - name: shown by ps and in /proc, at most 15 bytes.
///   - batch: SCHED_BATCH, for threads that do a lane's work: measured, it saves switches between node and worker.
func startThread(name: String, batch: Bool = false, _ body: @escaping @Sendable () -> Void) -> Bool {
    let box = Unmanaged.passRetained(
        ThreadBody {
            _ = claviger_name_thread(name)
            // Where it is not allowed, the thread runs under the usual policy.
            if batch { _ = claviger_use_batch_scheduling() }
            body()
        })
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    var thread = pthread_t()
    let error = pthread_create(&thread, &attributes, runBody, box.toOpaque())
    if error != 0 { box.release() }
    return error == 0
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

private func runBody(_ box: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let box else { return nil }
    Unmanaged<ThreadBody>.fromOpaque(box).takeRetainedValue().run()
    return nil
}
