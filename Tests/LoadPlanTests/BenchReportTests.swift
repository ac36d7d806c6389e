// SPDX-License-Identifier: Apache-2.0
import LoadPlan
import Testing

@Suite("What follows from a measurement")
struct BenchReportTests {
    private func trial(_ rate: Double, failed: Int = 0) -> Trial {
        var trial = Trial(seconds: 2)
        for number in 0..<Int(rate * 2) {
            trial.answered(offset: UInt64(Double(number) / rate * 1e9), nanoseconds: 4_000_000)
        }
        for _ in 0..<failed { trial.failed(.answered(status: 429, exception: "ThrottlingException"), offset: 0) }
        (trial.sentBytes, trial.receivedBytes) = (trial.requests * 1_500, trial.requests * 800)
        trial.connections.opened = 3
        return trial
    }

    private func report(
        _ rates: [(rate: Double?, lost: String?)], mode: BenchReport.Mode = .search, isLimit: Bool = false,
        wasStopped: Bool = false, failed: Int = 0
    ) -> BenchReport {
        BenchReport(
            version: "1", url: "https://proxy.example.com/a", mode: mode, operations: ["encrypt", "decrypt"],
            roundTrip: 12,
            findings: rates.map { rate, lost in
                let summary = TrialSummary(
                    trial(rate ?? 1, failed: failed), offered: mode == .closed ? nil : rate,
                    demand: AnswerDemand(roundTrip: 12))
                return .init(
                    lostHSM: lost, trials: [summary],
                    outcome: mode == .search ? .init(rate: rate, isGeneratorsLimit: isLimit) : nil)
            }, wasStopped: wasStopped)
    }

    @Test("it ends with the sentence that one can act on")
    func conclusion() {
        let good = report([(4_650, nil), (3_100, "a")])
        #expect(good.sentences.last == "Carries 3,100/s with one HSM lost; ask AWS for quota 3,000.")
        #expect(good.isGood && good.text.hasSuffix(good.sentences[2]))
        #expect(
            report([(600, nil), (420, "a")]).sentences.last
                == "Carries 420/s with one HSM lost; ask AWS for quota 400, in place of the default of 1,800.")
        #expect(report([(4_650, nil)]).sentences.last?.contains("with one lost is not known") == true)
        #expect(
            report([(90_000, nil), (80_000, "a")], isLimit: true).sentences.last?.contains("at least 80,000/s") == true)
        let none = report([(600, nil), (nil, "a")])
        #expect(!none.isGood && none.sentences.last == "It cannot serve a key store as it is.")
    }

    @Test("what was stopped concludes nothing")
    func stopped() {
        let stopped = report([(600, nil)], wasStopped: true)
        #expect(stopped.sentences == ["It was stopped before its time: nothing follows from it."] && !stopped.isGood)
    }

    @Test("one rate: whether it holds; a closed loop: what it does not tell")
    func others() {
        let open = report([(100, nil)], mode: .open)
        #expect(open.isGood && open.sentences[0].contains("100 % of the requests are answered well within 238 ms"))
        let bad = report([(100, nil)], mode: .open, failed: 3)
        #expect(!bad.isGood && bad.sentences[0].contains("98.52 %") && bad.sentences[0].contains("does not hold"))
        #expect(bad.text.contains("Failed: 3 × 429 ThrottlingException."))
        let closed = report([(100, nil)], mode: .closed)
        #expect(closed.sentences.last?.contains("the open loop tells") == true)
        #expect(closed.text.contains("1,000 requests a second: 12 Mbit/s to the proxy, 6.4 Mbit/s from it."))
    }

    @Test(
        "a quota is a round number below what is carried",
        arguments: [
            (3_100.0, 3_000.0), (1_800, 1_700), (420, 400), (99, 96), (104, 100), (9, 8), (1, 1), (12_345, 11_000),
        ])
    func quota(_ carried: Double, _ quota: Double) {
        #expect(BenchSentences.quota(for: carried) == quota)
    }

    @Test("numbers never look better than they are")
    func numbers() {
        #expect(BenchText.percent(0.99996) == "99.996 %" && BenchText.percent(1) == "100 %")
        #expect(BenchText.percent(0.999) == "99.90 %" && BenchText.percent(0.5) == "50.00 %")
        #expect(BenchText.percent(0.99999999) == "99.999999 %" && BenchText.percent(.nan) == "0 %")
        #expect(BenchText.milliseconds(0.05) == "0.05 ms" && BenchText.milliseconds(12.345) == "12.3 ms")
        #expect(BenchText.milliseconds(nil) == "failed" && BenchText.rate(1_234_567) == "1,234,567")
    }

    @Test("the chart is one SVG file, whatever names are in it, and draws the deadline where it matters")
    func chart() {
        var slow = Trial(seconds: 3)
        for number in 0..<1_000 { slow.answered(offset: UInt64(number) * 3_000_000, nanoseconds: 400_000_000) }
        let lines: [BenchChart.Line] = [
            .init(name: "3,100/s, <a> & \"b\"\u{1B}", trial: trial(3_100)), .init(name: "slow", trial: slow),
        ]
        let svg = BenchChart(title: "t]]><x", lines: lines, deadline: 238).svg
        #expect(svg.hasPrefix("<svg ") && svg.contains("&lt;a&gt; &amp; &quot;b&quot;<") && !svg.contains("<x"))
        #expect(occurrences(of: "<path", in: svg) == 2 * 3)
        // Once in each panel, and in the legend.
        #expect(occurrences(of: "#b91c1c", in: svg) == 3)
        #expect(BenchChart(title: "", lines: [], deadline: 250).svg.contains("</svg>"))
    }

    private func occurrences(of word: String, in text: String) -> Int { text.ranges(of: word).count }
}
