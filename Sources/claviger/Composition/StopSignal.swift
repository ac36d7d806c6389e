// SPDX-License-Identifier: Apache-2.0
@preconcurrency import Dispatch
import Glibc

/// Waits for the request to stop: SIGTERM from a supervisor, SIGINT from a terminal.
enum StopSignal {
    /// From now on these signals stop the node in good order, instead of ending the process. Call it before anything
    /// is started: a signal that comes early is then in the stream already.
    static func prepare() -> AsyncStream<CInt> {
        AsyncStream { continuation in
            let sources = [SIGTERM, SIGINT].map { number in
                signal(number, SIG_IGN)
                let source = DispatchSource.makeSignalSource(signal: number)
                source.setEventHandler { continuation.yield(number) }
                source.resume()
                return source
            }
            continuation.onTermination = { _ in
                for source in sources { source.cancel() }
            }
        }
    }
}
