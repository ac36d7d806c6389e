// SPDX-License-Identifier: Apache-2.0
import NodeStore

extension NodeStore {
    /// `saved()`, for whoever cannot wait for a slow disk: `nil` when it is not known after `limit`.
    ///
    /// - Parameter done: called in any case, once it is known.
    func saved(within limit: Duration, done: @escaping @Sendable (Bool) -> Void) async -> Bool? {
        let (results, result) = AsyncStream.makeStream(of: Bool?.self)
        Task {
            let durable = await saved()
            done(durable)
            result.yield(durable)
        }
        let timer = Task {
            try? await Task.sleep(for: limit)
            result.yield(nil)
        }
        defer { timer.cancel() }
        for await first in results { return first }
        return nil
    }
}
