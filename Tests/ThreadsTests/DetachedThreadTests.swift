// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing
import Threads

@Suite("Threads that nobody joins")
struct DetachedThreadTests {
    /// What a thread sees of itself that is begun by one that takes all signals.
    private func thread(_ name: String, takesSignals: Bool = false) async -> (name: String?, takesTerm: Bool) {
        await withCheckedContinuation { continuation in
            let begun = DetachedThread.begin("outer") {
                var none = sigset_t()
                sigemptyset(&none)
                pthread_sigmask(SIG_SETMASK, &none, nil)
                _ = DetachedThread.begin(name, stackSize: 1 << 18, takesSignals: takesSignals) {
                    var mask = sigset_t()
                    pthread_sigmask(SIG_BLOCK, nil, &mask)
                    let name = try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)
                    continuation.resume(returning: (name, sigismember(&mask, SIGTERM) == 0))
                }
            }
            #expect(begun)
        }
    }

    @Test("each has its name, and takes no signals unless it is to")
    func begun() async {
        let own = await thread("a name of more than fifteen bytes")
        #expect(own.name == "a name of more \n" && !own.takesTerm)
        let signalled = await thread("short", takesSignals: true)
        #expect(signalled.name == "short\n" && signalled.takesTerm)
    }

    @Test("where the system gives none, that is said")
    func none() {
        #expect(!DetachedThread.begin("huge", stackSize: 1 << 56) { Issue.record("it has begun") })
    }
}
