// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Synchronization

// A disk may take seconds for each write that is to last. Whoever asks the store something waits a moment for the queue,
// and then goes by what memory knows.
extension NodeStore {
    /// How long the queue is waited for.
    static let patience = DispatchTimeInterval.seconds(1)
    /// How long reading the file may take at the start. It needs no write that lasts; a new file does.
    static let openTime = DispatchTimeInterval.seconds(10)
    /// How long writing what is left may take at the end.
    package static let closeSeconds = 5

    /// What `body` gives on the queue; `nil` where the queue has not come to its end in time: then it does so later. While
    /// the queue is late, nobody waits.
    func onQueue<Value: Sendable>(
        within limit: DispatchTimeInterval = patience, _ body: @escaping @Sendable () -> Value
    ) -> Value? {
        let result = LateResult<Value>()
        queue.async { [self] in
            result.set(body())
            isLate.store(false, ordering: .relaxed)
        }
        let limit = isLate.load(ordering: .relaxed) ? .nanoseconds(0) : limit
        guard result.wait(limit) else {
            isLate.store(true, ordering: .relaxed)
            return nil
        }
        return result.value
    }
}

/// A value that may come after nobody waits for it any more.
private final class LateResult<Value: Sendable>: Sendable {
    private let stored = Mutex<Value?>(nil)
    private let came = DispatchSemaphore(value: 0)

    var value: Value? { stored.withLock { $0 } }

    func set(_ value: Value) {
        stored.withLock { $0 = value }
        came.signal()
    }

    func wait(_ limit: DispatchTimeInterval) -> Bool { came.wait(timeout: .now() + limit) == .success }
}
