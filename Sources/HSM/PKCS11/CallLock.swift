// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Lets one thread at a time into a library that cannot be called by several. Not recursive.
///
/// `@unchecked Sendable`: the mutex is the system's, at an address that never moves, and is used by any thread.
final class CallLock: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>

    init() {
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    func lock() { pthread_mutex_lock(mutex) }
    func unlock() { pthread_mutex_unlock(mutex) }
}
