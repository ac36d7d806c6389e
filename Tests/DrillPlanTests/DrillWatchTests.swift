// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import DrillPlan
import StatusVocabulary
import Testing

/// A node as its metrics and status tell of it, second by second.
private struct Scene {
    var at = 0.0
    var good = 0.0
    var bad = 0.0
    var failovers = 0.0
    var slow = 0.0
    var start = 1_000.0
    var isDrained = false
    var state = HSMState.active
    var conditions: [Condition] = []

    var sample: DrillSample {
        let all = good + bad
        let text = """
            claviger_requests_reliability_total{keystore="/p",reliable="true"} \(good)
            claviger_requests_reliability_total{keystore="/p",reliable="false"} \(bad)
            claviger_requests_total{operation="Encrypt",keystore="/p",outcome="ok",exception=""} \(good)
            claviger_requests_total{operation="Encrypt",keystore="/p",outcome="error",exception="ThrottlingException"} \(bad)
            claviger_requests_total{operation="GetHealthStatus",keystore="/p",outcome="error",exception="Other"} 99
            claviger_request_duration_seconds_bucket{operation="Encrypt",keystore="/p",le="0.01"} \(all - slow)
            claviger_request_duration_seconds_bucket{operation="Encrypt",keystore="/p",le="0.02"} \(all)
            claviger_request_duration_seconds_bucket{operation="Encrypt",keystore="/p",le="+Inf"} \(all)
            claviger_hsm_second_calls_total{reason="failover"} \(failovers)
            process_start_time_seconds \(start)
            """
        let hsms = ["a", "b"].map { name in
            HSMStatus(
                name: name, state: name == "a" ? state : .active, sinceUnixSeconds: 0,
                lanes: .init(open: 1, inUse: 0, overdue: 0), keys: 1, drained: name == "a" && isDrained)
        }
        return DrillSample(
            at: at, metrics: MetricsText(text),
            status: NodeStatus(node: "fra-1", version: "1", draining: false, hsms: hsms, conditions: conditions),
            hsm: "a")
    }

    /// A second later, after so many good answers.
    mutating func pass(_ good: Double = 100, bad: Double = 0) {
        at += 1
        self.good += good
        self.bad += bad
    }
}

@Suite("A drill")
struct DrillWatchTests {
    private func watch(before: Double = 3, out: Double = 10, after: Double = 3, stopShare: Double = 0.01) -> DrillWatch
    {
        DrillWatch(.init(hsm: "a", before: before, out: out, after: after, stopShare: stopShare))
    }

    private func report(_ watch: DrillWatch) -> DrillReport {
        DrillReport(watch, version: "1", node: "fra-1", beganUnixSeconds: 1_700_000_000)
    }

    /// Until an order other than to go on comes, at most so many seconds.
    private func go(
        _ watch: inout DrillWatch, _ scene: inout Scene, _ change: (inout Scene) -> Void = { $0.pass() }
    ) -> DrillWatch.Order {
        for _ in 0..<200 {
            let order = watch.add(scene.sample)
            if order != .goOn { return order }
            change(&scene)
        }
        return .goOn
    }

    private func begun(_ scene: inout Scene) -> DrillWatch {
        var watch = watch()
        let order = go(&watch, &scene)
        #expect(order == .takeOut && scene.at == 3)
        scene.isDrained = true
        scene.conditions = [
            Condition(code: "hsm-drained", severity: .warning, node: "fra-1", subject: "hsm a", text: "t")
        ]
        scene.pass()
        return watch
    }

    @Test("goes to its planned end, and tells what was before, meanwhile and after")
    func planned() throws {
        var scene = Scene()
        var watch = begun(&scene)
        let back = go(&watch, &scene) {
            $0.pass(50)
            $0.failovers += 2
            $0.slow += 10
        }
        #expect(back == .giveBack && scene.at == 13)
        scene.pass()
        scene.isDrained = false
        scene.conditions = []
        let end = go(&watch, &scene)
        #expect(end == .finish)
        let report = report(watch)
        #expect(report.isGood && report.outSeconds == 10 && report.plannedSeconds == 10 && report.stopped == nil)
        let (before, during) = (try #require(report.before), try #require(report.during))
        #expect(before.requests == 300 && before.perSecond == 100 && before.servedShare == 1)
        // A second of 100 while it was taken out, nine of 50.
        #expect(during.requests == 550 && during.failovers == 18 && during.unreliable == 0)
        // 90 of 550 took 10 to 20 ms, evenly spread: p99 is 5.5 of them before the end.
        #expect(abs((during.p99 ?? 0) - (10 + 10 * (544.5 - 460) / 90)) < 0.01 && (during.p50 ?? 0) < 10)
        #expect(report.servesAgainAfterSeconds == 1 && report.after?.requests ?? 0 > 0)
        #expect(report.conditions.map(\.code) == ["hsm-drained"])
        #expect(report.conditions.first?.began == 4 && report.conditions.first?.ended == 14)
        #expect(
            report.sentences.contains("All 550 requests were answered reliably meanwhile: callers noticed nothing."))
        #expect(report.text.contains("HSM a of node fra-1 was out for 10 s."))
    }

    @Test("the stop rule puts the HSM back at once, and a few failures of many do not")
    func stopRule() {
        var scene = Scene()
        var watch = begun(&scene)
        // 1 % is not more than 1 %.
        for _ in 0..<5 {
            let order = watch.add(scene.sample)
            #expect(order == .goOn)
            scene.pass(99, bad: 1)
        }
        scene.pass(95, bad: 5)
        let order = watch.add(scene.sample)
        #expect(order == .giveBack)
        let stopped = report(watch)
        #expect(stopped.stopped == .failing && !stopped.isGood && stopped.outSeconds < 10)
        #expect(stopped.sentences.first?.contains("requests failed within") == true)
        #expect(stopped.during?.failures == [.init(what: "ThrottlingException", requests: 10)])
    }

    @Test("three of four requests of a quiet node are no reason")
    func fewRequests() {
        var scene = Scene()
        var watch = begun(&scene)
        scene.pass(1, bad: 3)
        let order = watch.add(scene.sample)
        #expect(order == .goOn)
        scene.pass(0, bad: 2)
        let next = watch.add(scene.sample)
        #expect(next == .giveBack)
    }

    @Test("nothing is taken out where requests fail already")
    func failingBefore() {
        var (scene, watch) = (Scene(), watch())
        let order = go(&watch, &scene) { $0.pass(90, bad: 10) }
        #expect(order == .finish)
        let report = report(watch)
        #expect(report.stopped == .failingBefore && report.during == nil && !report.isGood)
        #expect(report.sentences.last == "a was not out: nothing follows from it.")
    }

    @Test("a critical condition that was not there before ends it; one that was does not")
    func critical() {
        func condition(_ code: String) -> Condition {
            Condition(code: code, severity: .critical, node: "fra-1", subject: "x", text: "\(code) it is")
        }
        var (scene, watch) = (Scene(conditions: [condition("old")]), watch())
        let taken = go(&watch, &scene)
        #expect(taken == .takeOut)
        scene.isDrained = true
        scene.pass()
        let fine = watch.add(scene.sample)
        #expect(fine == .goOn)
        scene.conditions.append(condition("new"))
        scene.pass()
        let stopped = watch.add(scene.sample)
        #expect(stopped == .giveBack)
        #expect(report(watch).stopReason == "new it is" && report(watch).stopped == .critical)
    }

    @Test("a node that is silent, or started anew, and an HSM that somebody puts back, end it")
    func otherEnds() {
        var scene = Scene()
        var silent = begun(&scene)
        let orders = (0..<3).map { silent.missed(at: scene.at + Double($0), "no answer") }
        #expect(orders == [.goOn, .goOn, .giveBack] && report(silent).stopped == .silent)

        scene = Scene()
        var restarted = begun(&scene)
        scene.start += 1
        let order = restarted.add(scene.sample)
        #expect(order == .giveBack && report(restarted).stopped == .restarted)

        scene = Scene()
        var taken = begun(&scene)
        let back = taken.halt(.takenBack, "somebody", at: scene.at)
        let end = taken.add(scene.sample)
        #expect(back == .giveBack && end == .finish, "whoever has drained it for good keeps it")

        scene = Scene()
        var inUse = begun(&scene)
        scene.isDrained = false
        let seen = go(&inUse, &scene)
        #expect(seen == .giveBack && report(inUse).stopped == .takenBack && report(inUse).outSeconds <= 3)
    }

    @Test("a person may end it at any time: an HSM that is out is put back, and waited for")
    func interrupted() {
        var before = watch()
        let early = before.halt(.interrupted, "somebody ended it", at: 0)
        #expect(early == .finish && report(before).during == nil)
        var scene = Scene()
        var out = begun(&scene)
        scene.pass()
        _ = out.add(scene.sample)
        let back = out.halt(.interrupted, "somebody ended it", at: scene.at)
        #expect(back == .giveBack && out.isInterrupted)
        scene.pass()
        let waits = out.add(scene.sample)
        #expect(waits == .goOn, "it is drained still")
        scene.isDrained = false
        scene.pass()
        let end = out.add(scene.sample)
        #expect(end == .finish && report(out).servesAgainAfterSeconds == 2 && !report(out).isGood)
    }

    @Test("an HSM that does not serve again is told of, and not waited for without end")
    func notBack() {
        var scene = Scene()
        var watch = begun(&scene)
        let back = go(&watch, &scene)
        #expect(back == .giveBack)
        (scene.isDrained, scene.state) = (false, .probing)
        let end = go(&watch, &scene)
        let report = report(watch)
        #expect(end == .finish && report.stopped == .notBack && report.servesAgainAfterSeconds == nil && scene.at < 80)
        #expect(report.sentences.last?.contains("look at claviger status") == true)
    }

    @Test("without requests nothing is proven")
    func idle() {
        var (scene, watch) = (Scene(), watch())
        for _ in 0..<3 {
            let order = go(&watch, &scene) { $0.pass(0) }
            scene.isDrained = order == .takeOut
            scene.pass(0)
            if order == .finish { break }
        }
        let report = report(watch)
        #expect(report.stopped == nil && !report.isGood && report.during?.servedShare == nil)
        #expect(report.sentences.contains { $0.hasPrefix("No request came meanwhile") })
    }
}
