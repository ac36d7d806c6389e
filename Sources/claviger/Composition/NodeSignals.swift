// SPDX-License-Identifier: Apache-2.0
@preconcurrency import Dispatch
import Glibc
import PrivateFiles
import Synchronization

/// What a running node is asked from outside its listeners.
enum NodeSignal: Sendable, Equatable {
    /// End in good order: SIGTERM from a supervisor, SIGINT from a terminal, `claviger drain`.
    case stop
    /// Read the configuration anew: SIGHUP.
    case reload
    /// One that means nothing to a node, and would end another process: SIGUSR1, a timer of a library.
    case stray(name: String)
}

/// Signals of the operating system as a stream.
struct NodeSignals: Sendable {
    private static let meanings: [(number: Int32, meaning: NodeSignal)] = [
        (SIGTERM, .stop), (SIGINT, .stop), (SIGHUP, .reload), (SIGUSR1, .stray(name: "SIGUSR1")),
        (SIGUSR2, .stray(name: "SIGUSR2")), (SIGALRM, .stray(name: "SIGALRM")),
        (SIGVTALRM, .stray(name: "SIGVTALRM")),
    ]
    /// Others that would end a process: they are ignored without a word. Of the real-time signals the C library keeps the
    /// first two for itself.
    private static let ignored = [SIGPROF, SIGIO, SIGPWR, SIGSTKFLT] + Array(34...64)

    let stream: AsyncStream<NodeSignal>
    private let continuation: AsyncStream<NodeSignal>.Continuation

    /// From now on these signals do not end the process. Call it before anything is started: a signal that comes early
    /// is then in the stream already.
    static func prepare() -> NodeSignals {
        let (stream, continuation) = AsyncStream.makeStream(of: NodeSignal.self)
        for number in Self.ignored { signal(number, SIG_IGN) }
        let sources = Self.meanings.map { number, meaning in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number)
            source.setEventHandler {
                // While the node starts, files and commands may take their time: nothing is waited for any more.
                if meaning == .stop, startup.load(ordering: .relaxed) { Patience.end(true) }
                continuation.yield(meaning)
            }
            source.resume()
            return source
        }
        continuation.onTermination = { _ in
            for source in sources { source.cancel() }
        }
        return NodeSignals(stream: stream, continuation: continuation)
    }

    private static let startup = Atomic(true)

    /// Whether the node is still starting: then a signal to stop ends at once what it waits for.
    static func isStarting(_ isStarting: Bool) {
        startup.store(isStarting, ordering: .relaxed)
        // One that came in the last moment is in the stream; what is read to end in good order may take its time.
        if !isStarting { Patience.end(false) }
    }

    /// As if the signal had come.
    func send(_ signal: NodeSignal) { continuation.yield(signal) }

    /// Stops the node when standard input ends: the process that holds its other end has gone. A queue of
    /// its own waits for that, for as long as the process lives.
    func stopWithStandardInput() {
        DispatchQueue(label: "claviger.standard-input").async {
            var byte: UInt8 = 0
            while true {
                let count = read(STDIN_FILENO, &byte, 1)
                if count == 0 || (count < 0 && errno != EINTR) { break }
            }
            send(.stop)
        }
    }

    /// Returns when the node is to stop; everything else is handed to `perform` as it comes.
    func untilStop(perform: (NodeSignal) async -> Void) async {
        for await signal in stream {
            guard signal != .stop else { return }
            await perform(signal)
        }
    }
}
