// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc

/// Stops every worker of a node, and every new one as soon as it is seen, until it is asked to let them go.
final class WorkerHolder: Sendable {
    private struct State {
        var isHolding = true
        var held: Set<Int32> = []
        var hasEnded = false
    }

    private let state = Observed(State())

    init(_ node: Node) {
        let pid = node.pid
        let state = state
        Thread.detachNewThread {
            while state.read({ $0.isHolding }) {
                for worker in Processes.workers(of: pid).values where !Processes.isStopped(worker) {
                    state.update { state in
                        if kill(worker, SIGSTOP) == 0 { state.held.insert(worker) }
                    }
                }
                Thread.sleep(forTimeInterval: 0.001)
            }
            state.update { state in
                for worker in state.held where Processes.isStopped(worker) { kill(worker, SIGCONT) }
                state.hasEnded = true
            }
        }
    }

    deinit { state.update { $0.isHolding = false } }

    func release() {
        state.update { $0.isHolding = false }
        _ = state.wait(atMost: 5) { $0.hasEnded ? true : nil }
    }
}
