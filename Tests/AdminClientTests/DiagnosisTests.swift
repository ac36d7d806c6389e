// SPDX-License-Identifier: Apache-2.0
import AdminClient
import Testing

@Suite struct DiagnosisTests {
    private static let findings = [
        Diagnosis.Finding("host", "open files", .ok, "1024 may be open"),
        Diagnosis.Finding("peers", "fra-2.example.com:7443", .failure, "no connection: refused", advice: "look at it"),
        Diagnosis.Finding("host", "disk", .warning, "/var has 3 MiB free", advice: "make room"),
        Diagnosis.Finding("requests", "node", .skipped, "no node runs here"),
    ]

    @Test func itIsATreeWithAdviceAndTheCountFirst() {
        let diagnosis = Diagnosis(node: "fra-1", version: "0.1.0", findings: Self.findings)
        #expect(diagnosis.state == .failure)
        #expect(
            diagnosis.text(on: Page(columns: 60)) == """
                node fra-1, claviger 0.1.0: 1 failed, 1 warned

                host
                  ok    open files: 1024 may be open
                  warn  disk: /var has 3 MiB free
                        → make room

                peers
                  FAIL  fra-2.example.com:7443: no connection: refused
                        → look at it

                requests
                  -     node: no node runs here
                """)
    }

    @Test func theGravestFindingDecides() {
        var diagnosis = Diagnosis(node: "n", version: "1")
        #expect(diagnosis.state == .ok && diagnosis.text(on: Page(columns: 80)).hasSuffix("nothing is wrong"))
        diagnosis.add([Self.findings[3]])
        #expect(diagnosis.state == .ok)
        diagnosis.add([Self.findings[2]])
        #expect(diagnosis.state == .warning)
        diagnosis.add([Self.findings[1], Self.findings[0]])
        #expect(diagnosis.state == .failure)
    }

    @Test func namesMoveNoCursorAndLinesFit() {
        let odd = "a\u{1B}[2Jb" + String(repeating: "c", count: 200)
        let diagnosis = Diagnosis(
            node: odd, version: odd, findings: [.init(odd, odd, .failure, odd, advice: odd)])
        for columns in [60, 80, 200] {
            let text = diagnosis.text(on: Page(columns: columns, isASCII: true))
            #expect(!text.contains("\u{1B}") && text.utf8.allSatisfy { $0 < 0x80 })
            #expect(text.split(separator: "\n").allSatisfy { $0.count <= columns }, "\(columns): \(text)")
        }
    }
}
