// SPDX-License-Identifier: Apache-2.0
import Chance
import DrillPlan
import SeededRandom
import Testing

@Suite("Metrics as text")
struct MetricsTextTests {
    private let page = """
        # HELP a words {x="y"} 5
        # TYPE a counter
        a{k="/p",outcome="ok"} 5
        a{k="/q \\"x\\" \\\\ \\n,}",outcome="ok"} 7
        a{k="/p",outcome="error"} 1.5e1
        b 3 1700000000000
        c NaN
        d +Inf
        broken{k="v" 3
        broken
        {} 4
        e{} 9
        """

    @Test("samples are read with their labels, whatever is in these; what is none is passed over")
    func read() {
        let metrics = MetricsText(page)
        #expect(metrics.sum("a") == 27 && metrics.sum("a", ["outcome": "ok"]) == 12)
        #expect(metrics.sum("a", ["k": "/q \"x\" \\ \n,}"]) == 7 && metrics.sum("b") == 3 && metrics.sum("e") == 9)
        #expect(metrics.sum("a", ["k": "/r"]) == 0 && metrics.sum("nothing") == 0)
        #expect(metrics.samples.count == 5)
    }

    @Test("no page traps")
    func anything() {
        var random = RandomChoice(seed: 5)
        for _ in 0..<5_000 {
            var bytes = Array(page.utf8)
            for _ in 0..<random.between(1, 12) {
                let place = random.below(bytes.count)
                switch random.below(3) {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.removeSubrange(place..<min(bytes.count, place + random.below(40)))
                default: bytes.insert(Array("{}\",=\\\n ".utf8)[random.below(8)], at: place)
                }
                if bytes.isEmpty { bytes = [0x0A] }
            }
            _ = MetricsText(String(decoding: bytes, as: UTF8.self)).samples
        }
    }
}
