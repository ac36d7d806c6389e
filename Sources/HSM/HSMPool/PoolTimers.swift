// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Synchronization

/// The pool's timers on its event loops. None is begun once the pool has stopped: its owner may end the loops then, and
/// a timer that is begun on an ended loop is an error in NIO (in a debug build it ends the process). The threads that
/// wait for the end of a worker's process come at any time, so that only a lock around both can tell.
package final class PoolTimers: Sendable {
    private let hasEnded = Mutex(false)

    package init() {}

    /// Does `body` on the loop, once, after a pause; never after `end`, unless it was begun before.
    package func after(_ pause: TimeAmount, on loop: any EventLoop, _ body: @escaping @Sendable () -> Void) {
        hasEnded.withLock { if !$0 { loop.scheduleTask(in: pause, body) } }
    }

    /// Does `body` on the loop after a pause, and again after each further one, until it returns false.
    package func every(
        _ pause: TimeAmount, first: TimeAmount, on loop: any EventLoop, _ body: @escaping @Sendable () -> Bool
    ) {
        hasEnded.withLock { hasEnded in
            guard !hasEnded else { return }
            loop.scheduleRepeatedTask(initialDelay: first, delay: pause) { task in
                if !body() { task.cancel() }
            }
        }
    }

    /// From now on none is begun.
    package func end() { hasEnded.withLock { $0 = true } }
}
