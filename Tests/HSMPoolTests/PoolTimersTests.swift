// SPDX-License-Identifier: Apache-2.0
import HSMPool
import NIOPosix
import Synchronization
import Testing

@Suite("The pool's timers")
struct PoolTimersTests {
    @Test("what comes after the end begins no timer, also where the event loops have ended")
    func afterTheEnd() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let timers = PoolTimers()
        let rounds = Mutex(0)
        await withCheckedContinuation { continuation in
            timers.every(.milliseconds(1), first: .zero, on: loop) {
                let count = rounds.withLock { rounds in
                    rounds += 1
                    return rounds
                }
                if count == 3 { continuation.resume() }
                return count < 3
            }
        }
        await withCheckedContinuation { continuation in timers.after(.zero, on: loop) { continuation.resume() } }
        #expect(rounds.withLock { $0 } == 3, "one that returned false has no further round")
        timers.end()
        timers.after(.zero, on: loop) { Issue.record("a timer after the end") }
        timers.every(.zero, first: .zero, on: loop) {
            Issue.record("a repeated timer after the end")
            return false
        }
        try await group.shutdownGracefully()
        // NIO ends the process for this where the pool's guard is missing.
        timers.after(.zero, on: loop) {}
        timers.every(.zero, first: .zero, on: loop) { false }
    }
}
