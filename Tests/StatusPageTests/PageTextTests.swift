// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import StatusPage
import StatusVocabulary
import Testing

/// Times and numbers, as they come out on the page.
@Suite struct PageTextTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"), (951_868_800, "2000-03-01T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"), (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"), (253_402_300_799, "9999-12-31T23:59:59Z"),
            (Int64.min, "1970-01-01T00:00:00Z"), (Int64.max, "9999-12-31T23:59:59Z"),
        ] as [(Int64, String)])
    func timesAreThoseOfTheCalendar(unixSeconds: Int64, text: String) throws {
        var snapshot = Scene.snapshot()
        snapshot.transitions = [HSMTransition(atUnixSeconds: unixSeconds, hsm: "h", from: .starting, to: .active)]
        #expect(try Scene.page(snapshot).contains("<td><time datetime=\"\(text)\">"))
    }

    @Test(
        arguments: [
            (5, "5 s"), (119, "119 s"), (120, "2 min"), (7_199, "119 min"), (7_200, "2 h"), (172_799, "47 h"),
            (172_800, "2 days"), (86_400 * 400, "400 days"), (-1, "ended"), (Int64.min, "ended"),
        ] as [(Int64, String)])
    func whatIsLeftIsInTheLargestUnitOfTwo(seconds: Int64, text: String) throws {
        var snapshot = Scene.snapshot()
        snapshot.certificateEnds = ["xks.certificate": seconds == .min ? .min : Scene.now + seconds]
        let page = try Scene.page(snapshot)
        #expect(page.contains("</time></td><td class=\"n\">\(text)</td></tr>"))
        #expect(page.contains("<tr class=\"bad\"><th scope=\"row\">xks.certificate") == (text == "ended"))
    }

    @Test func extremeNumbersAreShown() throws {
        var hsm = Scene.hsm("hsm-1")
        hsm.latencyMicroseconds = .init(p50: 9_949, p95: 0, p99: .max)
        hsm.work = .init(callsPerSecond: 1_234_567)
        hsm.sinceUnixSeconds = .min
        let page = try Scene.page(Scene.snapshot(hsms: [hsm]))
        #expect(
            page.contains(
                "<td class=\"n\">9.9</td><td class=\"n\">1000000000</td><td class=\"n\">1\u{202F}234\u{202F}567</td>"))
    }
}
