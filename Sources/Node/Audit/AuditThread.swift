// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc

/// A mutex with conditions that threads of a log wait for. Condition variables have addresses of their own, which Swift's
/// values have not.
///
/// `@unchecked Sendable`: the kernel's objects are made for all threads, and never move.
final class AuditGate: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let conditions: [UnsafeMutablePointer<pthread_cond_t>]

    /// Who waits.
    enum Waiter: Int, CaseIterable { case writer, sync, closer }

    init() {
        pthread_mutex_init(mutex, nil)
        conditions = Waiter.allCases.map { _ in
            let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
            var attributes = pthread_condattr_t()
            pthread_condattr_init(&attributes)
            pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
            pthread_cond_init(condition, &attributes)
            pthread_condattr_destroy(&attributes)
            return condition
        }
    }

    deinit {
        for condition in conditions {
            pthread_cond_destroy(condition)
            condition.deallocate()
        }
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    func locked<Result>(_ body: () -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    /// With the lock held.
    func wake(_ waiter: Waiter) { pthread_cond_broadcast(conditions[waiter.rawValue]) }

    /// With the lock held, which is given up meanwhile. Returns after that moment at the latest, CLOCK_MONOTONIC,
    /// nanoseconds; `nil`: when it is woken.
    func wait(_ waiter: Waiter, until moment: UInt64? = nil) {
        let condition = conditions[waiter.rawValue]
        guard let moment else {
            pthread_cond_wait(condition, mutex)
            return
        }
        var deadline = timespec(tv_sec: Int(moment / 1_000_000_000), tv_nsec: Int(moment % 1_000_000_000))
        pthread_cond_timedwait(condition, mutex, &deadline)
    }

    /// Begins a thread that takes no signals: they are for those that wait for them. False where the system has none.
    static func begin(_ name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
        final class Work: Sendable {
            let name: String
            let body: @Sendable () -> Void

            init(_ name: String, _ body: @escaping @Sendable () -> Void) {
                self.name = name
                self.body = body
            }
        }
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        let work = Unmanaged.passRetained(Work(name, body))
        let code = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                let work = Unmanaged<Work>.fromOpaque(argument).takeRetainedValue()
                _ = claviger_name_thread(work.name)
                work.body()
                return nil
            }, work.toOpaque())
        if code != 0 { work.release() }
        return code == 0
    }
}
