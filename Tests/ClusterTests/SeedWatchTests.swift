// SPDX-License-Identifier: Apache-2.0
import Cluster
import Testing

@Suite("Seeds that do not answer")
struct SeedWatchTests {
    private struct Failure: Error, CustomStringConvertible {
        var description = "nowhere: Name or service not known"
    }

    private let second: UInt64 = 1_000_000_000

    private func troubles(_ watch: inout SeedWatch, known: Set<String> = [], at second: UInt64) -> [String: String] {
        watch.troubles(known: known, now: second * self.second)
    }

    @Test("a seed is said when it has been silent for ten seconds, and not any more once it answers")
    func silent() {
        var watch = SeedWatch()
        watch.resolved("a:1", .success(["10.0.0.1:1"]))
        #expect(troubles(&watch, at: 0).isEmpty, "not tried yet")
        watch.contacted("10.0.0.1:1", problem: "no answer in time")
        #expect(troubles(&watch, at: 1).isEmpty && troubles(&watch, at: 10).isEmpty)
        #expect(troubles(&watch, at: 11) == ["a:1": "no answer in time"])
        watch.contacted("10.0.0.1:1", problem: nil)
        #expect(troubles(&watch, at: 12).isEmpty)
        watch.contacted("10.0.0.1:1", problem: "it closed the connection")
        #expect(troubles(&watch, at: 13).isEmpty, "the ten seconds begin anew")
        #expect(troubles(&watch, at: 23) == ["a:1": "it closed the connection"])
    }

    @Test("one address that answers is enough, and so is one of a node that is known")
    func several() {
        var watch = SeedWatch()
        watch.resolved("a:1", .success(["10.0.0.1:1", "10.0.0.2:1"]))
        watch.contacted("10.0.0.1:1", problem: "no answer in time")
        #expect(troubles(&watch, at: 0).isEmpty && troubles(&watch, at: 60).isEmpty)
        watch.contacted("10.0.0.2:1", problem: "no answer in time")
        #expect(troubles(&watch, known: ["10.0.0.2:1"], at: 61).isEmpty)
        #expect(troubles(&watch, at: 62).isEmpty && troubles(&watch, at: 72).count == 1)
    }

    @Test("a name that cannot be resolved is said; one whose node is known is not missed")
    func unresolved() {
        var watch = SeedWatch()
        watch.resolved("nowhere:1", .failure(Failure()))
        #expect(troubles(&watch, at: 0).isEmpty)
        #expect(
            troubles(&watch, at: 10)
                == ["nowhere:1": "its name cannot be resolved (nowhere: Name or service not known)"])
        watch.resolved("b:1", .success(["10.0.0.3:1"]))
        watch.resolved("b:1", .failure(Failure()))
        #expect(troubles(&watch, known: ["10.0.0.3:1"], at: 100)["b:1"] == nil)
        watch.keep(["b:1"])
        #expect(troubles(&watch, known: ["10.0.0.3:1"], at: 101).isEmpty, "it was taken out")
    }

    @Test("addresses of others are not kept")
    func strangers() {
        var watch = SeedWatch()
        watch.contacted("10.9.9.9:1", problem: "no answer in time")
        watch.resolved("a:1", .success(["10.9.9.9:1"]))
        #expect(troubles(&watch, at: 0).isEmpty && troubles(&watch, at: 20).isEmpty)
    }
}
