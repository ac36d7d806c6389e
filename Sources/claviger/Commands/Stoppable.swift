// SPDX-License-Identifier: Apache-2.0
@preconcurrency import Dispatch
import Glibc

/// Does something until it is done, or until SIGINT, SIGTERM or SIGHUP asks for its end: then its task is cancelled, and it
/// comes to an orderly end by itself. A second signal changes nothing: what has to be put back is put back.
func untilStopped<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
    let task = Task { try await body() }
    let sources = [SIGINT, SIGTERM, SIGHUP].map { number in
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number)
        source.setEventHandler { task.cancel() }
        source.resume()
        return source
    }
    defer { for source in sources { source.cancel() } }
    return try await task.value
}
