// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension EndToEnd {
    @Suite("two nodes on one host", .devTokens(3))
    struct Upgrade {
        private static let sessions = 6
        /// A node that has room for all of its lanes holds two sessions more: for the login, and for probes.
        private static let limit = 10

        /// Looks at both nodes' lanes again and again while an upgrade goes on.
        private final class Watch: Sendable {
            private struct State {
                var isWatching = true
                var hasEnded = false
                var looks = 0
                var most = 0
            }

            private let state = Observed(State())

            /// - Parameters:
            ///   - growing: the node whose lanes become more; it is asked first, so that what it has taken after the
            ///     other gave it back is not counted twice.
            init(growing: Node, shrinking: Node) {
                let state = state
                Thread.detachNewThread {
                    while state.read({ $0.isWatching }) {
                        let sums = ["hsm-1", "hsm-2", "hsm-3"].map { hsm in
                            Self.sessions(growing, hsm) + Self.sessions(shrinking, hsm)
                        }
                        state.update { state in
                            state.looks += 1
                            state.most = max(state.most, sums.max() ?? 0)
                        }
                        Thread.sleep(forTimeInterval: 0.01)
                    }
                    state.update { $0.hasEnded = true }
                }
            }

            deinit { state.update { $0.isWatching = false } }

            private static func sessions(_ node: Node, _ hsm: String) -> Int {
                let lanes = (try? node.health())?.hsm(hsm)?.lanes.open ?? 0
                return lanes > 0 ? lanes + 2 : 0
            }

            /// Most sessions with a token that were seen.
            func end() throws -> Int {
                state.update { $0.isWatching = false }
                guard state.wait(atMost: 10, until: { $0.hasEnded ? true : nil }) == true else {
                    throw HarnessError("the watch did not end")
                }
                guard state.read({ $0.looks }) > 3 else { throw HarnessError("the watch has seen nothing") }
                return state.read { $0.most }
            }
        }

        private func lanes(_ node: Node) throws -> [Int] { try node.health().hsms.map(\.lanes.open) }

        @Test("start the new one, stop the old one: no request fails, and the token's sessions are never exceeded")
        func upgrade() throws {
            let faults = try Faults()
            // The library refuses a process what the token would refuse all of them together.
            let limited = ["session-limit \(Self.limit)"]
            try faults.set(["hsm-1": limited, "hsm-2": limited, "hsm-3": limited])
            var first = try ServeConfiguration(with: faults)
            first.setInAll("[[hsm]]", "sessions", "\(Self.sessions)")
            first.setInAll("[[hsm]]", "session_limit", "\(Self.limit)")
            let old = try Node.serve(first)
            try eventually("the old node has all of its lanes") { try lanes(old) == [6, 6, 6] }
            try Operator(first).proven()
            let oldLoad = Load(old, connections: 8)
            try oldLoad.more(100)

            var second = try ServeConfiguration(with: faults)
            second.stateDirectory = first.stateDirectory
            second.setInAll("[[hsm]]", "sessions", "\(Self.sessions)")
            second.setInAll("[[hsm]]", "session_limit", "\(Self.limit)")
            let path = try second.write()
            #expect(path != first.scratch.file("claviger.toml"))
            let new = try Node.serve(second)
            let watch = Watch(growing: new, shrinking: old)
            try eventually("they share the sessions equally", within: 20, every: 0.1) {
                let (new, old) = (try lanes(new), try lanes(old))
                return new == [3, 3, 3] && old == [3, 3, 3]
            }
            #expect(try Operator(first).status().running, "the old node serves the admin socket")
            let newLoad = Load(new, connections: 8)
            try newLoad.more(100)
            try oldLoad.more(100)
            #expect(try watch.end() <= Self.limit)

            // What a load balancer does: nothing goes to a node any more that is about to end.
            let oldReport = try oldLoad.stop()
            #expect(oldReport.failures.isEmpty, "\(oldReport.failures.prefix(5))")
            #expect(try old.stop() == .exited(0))
            try eventually("the new node has all of the lanes", within: 20, every: 0.1) {
                try lanes(new) == [6, 6, 6]
            }
            try newLoad.more(100)
            let newReport = try newLoad.stop()
            #expect(newReport.failures.isEmpty, "\(newReport.failures.prefix(5))")
            #expect(try oldReport.lost(on: new) == 0)
            #expect(try new.health().hsms.allSatisfy { $0.state == "active" })
            try eventually("the new node serves the admin socket", within: 15, every: 0.2) {
                try Operator(second).call("status").isSuccess
            }
            for log in [old.log, new.log] { #expect(!log.contains { $0.message == "worker killed" }) }
            #expect(try new.stop() == .exited(0))
        }
    }
}
