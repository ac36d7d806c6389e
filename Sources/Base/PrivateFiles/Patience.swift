// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Glibc
import Synchronization
import Threads

/// Calls that may never return: opening or reading what lies on a dead network mount.
///
/// Each is made on a thread of its own, which is left behind when the time is over; it ends when the call does. While it
/// has not, no further thread is made for the same path, so that trying again and again costs nothing.
package enum Patience {
    /// How long a file may take to be read.
    package static let ofFiles = Duration.seconds(5)

    private static let abandoned = Mutex<Set<String>>([])
    private static let isOver = Atomic(false)

    /// The process is to end before it has begun: from now on nothing is waited for. Or, with `false`, it is again.
    package static func end(_ isEnding: Bool) { isOver.store(isEnding, ordering: .relaxed) }

    /// Whether nothing is to be waited for any more.
    package static var isEnded: Bool { isOver.load(ordering: .relaxed) }

    /// What `body` gives; `nil` when it has not returned within `limit`, or an earlier call for the same path has not
    /// returned yet, or the process is to end.
    package static func perform<Value: Sendable>(
        on path: String, within limit: Duration = ofFiles, _ body: @escaping @Sendable () -> Value
    ) -> Value? {
        guard !isEnded, !abandoned.withLock({ $0.contains(path) }) else { return nil }
        let attempt = Attempt(path: path, body)
        guard begin({ attempt.run() }) else { return body() }
        let deadline = ContinuousClock.now + limit
        while !attempt.wait(milliseconds: 50) {
            guard !isEnded, ContinuousClock.now < deadline else { return attempt.abandon() }
        }
        return attempt.value
    }

    /// Performs `body` on a thread of its own: it may block for good, and nobody waits for it.
    package static func detach(_ body: @escaping @Sendable () -> Void) {
        if !begin(body) { body() }
    }

    private static func begin(_ body: @escaping @Sendable () -> Void) -> Bool {
        DetachedThread.begin("patience", stackSize: 1 << 20, body)
    }

    private final class Attempt<Value: Sendable>: Sendable {
        private enum State { case running, done(Value), abandoned }

        private let path: String
        private let body: @Sendable () -> Value
        private let state = Mutex(State.running)
        private let ended = DispatchSemaphore(value: 0)

        init(path: String, _ body: @escaping @Sendable () -> Value) {
            self.path = path
            self.body = body
        }

        func run() {
            let value = body()
            state.withLock { state in
                if case .abandoned = state {
                    Patience.abandoned.withLock { _ = $0.remove(path) }
                } else {
                    state = .done(value)
                }
            }
            ended.signal()
        }

        func wait(milliseconds: Int) -> Bool { ended.wait(timeout: .now() + .milliseconds(milliseconds)) == .success }

        var value: Value? { state.withLock { if case .done(let value) = $0 { value } else { nil } } }

        /// The value, if it came in the last moment.
        func abandon() -> Value? {
            state.withLock { state in
                if case .done(let value) = state { return value }
                state = .abandoned
                Patience.abandoned.withLock { _ = $0.insert(path) }
                return nil
            }
        }
    }
}
