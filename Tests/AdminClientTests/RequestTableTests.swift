// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import Testing

@Suite struct RequestTableTests {
    @Test func whatIsUnderWayAndWhatWasSlow() {
        let text = RequestTable.text(Example.requests, on: Page(columns: 110))
        #expect(
            text == """
                node fra-1: 3 requests in flight

                under way, the oldest first
                for ms  operation  at                  calls  key  key store  kmsRequestId
                  81.5  Encrypt    nshield-a + luna        2  foo  /bank      id-1
                   1.5  Decrypt    (waits for a lane)      0  foo  /bank      id-2
                   0.9  Decrypt    peer iad-1              0  foo  -          -

                slowest of the last minute; times in ms
                  ms  waited    HSM  peer  other  operation  at          calls   ago  outcome  kmsRequestId
                90.0    10.0   60.0   0.0   20.0  Decrypt    nshield-a      2h   4 s  ok       id-3
                80.0     0.0    0.0  75.0    5.0  Encrypt    peer iad-1      0  12 s  ok       id-4
                """)
    }

    @Test func aNodeThatIsIdle() {
        let report = RequestsReport(node: "fra-1", inFlight: 1, underWay: [], slowest: [])
        #expect(
            RequestTable.text(report, on: Page(columns: nil))
                == "node fra-1: 1 request in flight\n\nno request of the last minute")
    }

    @Test(arguments: [60, 80, 200]) func itFitsTheTerminal(columns: Int) {
        let lines = RequestTable.text(Example.requests, on: Page(columns: columns)).split(separator: "\n")
        #expect(lines.allSatisfy { $0.count <= columns }, "\(lines)")
        #expect(lines.contains { $0.contains("id-3") })
    }
}
