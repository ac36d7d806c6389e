// SPDX-License-Identifier: Apache-2.0
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
}
