// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc

/// Threads of one task each that nobody joins: for calls that may block, which event loops must not make.
package enum DetachedThread {
    /// Begins a thread. False where the system gives none: the caller says what is to be done without it.
    ///
    /// - Parameters:
    ///   - name: shown by ps and in /proc; cut to 15 bytes.
    ///   - stackSize: bytes; `nil`: the system's default, 8 MiB as a rule, of which only what is used takes memory.
    ///   - takesSignals: those that the one takes that begins it. As a rule none: signals are for the threads that wait for
    ///     them.
    ///   - isBatch: SCHED_BATCH: fewer switches for who works in turns with another process. Where that is not allowed, the
    ///     thread runs under the usual policy.
    @discardableResult
    package static func begin(
        _ name: String, stackSize: Int? = nil, takesSignals: Bool = false, isBatch: Bool = false,
        _ body: @escaping @Sendable () -> Void
    ) -> Bool {
        let work = Unmanaged.passRetained(
            Work {
                _ = claviger_name_thread(name)
                if isBatch { _ = claviger_use_batch_scheduling() }
                body()
            })
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        if let stackSize { pthread_attr_setstacksize(&attributes, stackSize) }
        // A thread begins with the mask of the one that begins it.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        if !takesSignals { pthread_sigmask(SIG_SETMASK, &all, &before) }
        defer { if !takesSignals { pthread_sigmask(SIG_SETMASK, &before, nil) } }
        var thread = pthread_t()
        let code = pthread_create(
            &thread, &attributes,
            { argument in
                if let argument { Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body() }
                return nil
            }, work.toOpaque())
        if code != 0 { work.release() }
        return code == 0
    }

    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
