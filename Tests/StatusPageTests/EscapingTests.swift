// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Foundation
import StatusPage
import StatusVocabulary
import Testing

/// What HSMs, peers and configurations call things is text, whatever it looks like.
@Suite struct EscapingTests {
    /// - Parameter word: what is looked for in the page.
    private func page(of text: String) throws -> String {
        var hsm = Scene.hsm(text, .degraded)
        hsm.reason = text
        hsm.model = text
        hsm.serial = text
        hsm.firmware = text
        hsm.settingsRefused = text
        var node = Scene.node(
            text, site: text, [hsm],
            conditions: [
                Condition(code: text, severity: .warning, node: text, subject: text, text: text, details: [text])
            ])
        node.version = text
        node.drift = [text]
        var snapshot = Scene.snapshot(
            hsms: [hsm], keys: [Scene.key(text, [text: .absent], disputed: text)], others: [node],
            blocks: [
                BlockView(
                    id: text, target: text, reason: text, madeAtUnixSeconds: 0, expiresAtUnixSeconds: nil, madeBy: text)
            ], showsKeys: true
        ) { status in
            status.version = text
            status.disagreements = [text]
            status.overload = text
            status.store = .failing(reason: text)
            status.hsms[0].complaints = [text]
            status.keys[0].complaints = [text]
        }
        snapshot.transitions = [
            HSMTransition(atUnixSeconds: Scene.now, hsm: text, from: .active, to: .degraded, reason: text)
        ]
        snapshot.certificateEnds = [text: Scene.now]
        return try Scene.page(snapshot)
    }

    @Test(arguments: [
        "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)",
        "</title><script>alert(1)</script>", "{{version}}{{{title}}}", "<!--", "]]>", "&lt;b&gt;",
        // To Swift, a mark with an accent behind it is another character than the mark.
        "\"\u{301} onfocus=alert(1) x=\"\u{301}", "<\u{301}script>", "'\u{20E3}>\u{301}",
    ])
    func markupIsText(payload: String) throws {
        let clean = try page(of: "word")
        let page = try page(of: payload)
        // What makes markup is as often in the page as with a harmless word: nothing was added, nothing closed.
        func count(_ scalar: Unicode.Scalar, _ text: String) -> Int { text.unicodeScalars.count { $0 == scalar } }
        for scalar in ["<", ">", "\"", "'"] as [Unicode.Scalar] {
            #expect(count(scalar, page) == count(scalar, clean), "\(scalar)")
        }
        #expect(page.components(separatedBy: "<script").count == 2)
        let escaped = payload.unicodeScalars.reduce(into: "") { text, scalar in
            switch scalar {
            case "&": text += "&amp;"
            case "<": text += "&lt;"
            case ">": text += "&gt;"
            case "\"": text += "&quot;"
            case "'": text += "&#39;"
            default: text.unicodeScalars.append(scalar)
            }
        }
        // In nearly each place that has a name.
        #expect(page.components(separatedBy: escaped).count > 25)
    }

    @Test(arguments: [
        "\u{0}", "\u{1B}[31m", "a\r\nSet-Cookie: b", "\u{7F}", "\u{9B}31m", "\u{202E}evil", "\u{2066}x", "\u{200B}",
        "\u{FEFF}",
        "\u{E0041}", "\u{2028}", "\u{FFFF}",
    ])
    func whatControlsTerminalsOrTheDirectionOfTextIsShownAsUnknown(payload: String) throws {
        let page = try page(of: "before\(payload)after")
        let scalars = Set(
            payload.unicodeScalars.filter { $0 == "\n" || $0 == "\r" || !($0.value >= 0x20 && $0.value < 0x7F) })
        for scalar in scalars where scalar != "\n" { #expect(!page.unicodeScalars.contains(scalar), "\(scalar.value)") }
        #expect(page.contains("\u{FFFD}"))
        #expect(!page.contains("\nSet-Cookie"))
    }

    @Test func ordinaryTextOfAllLanguagesStaysAsItIs() throws {
        let text = "Schlüssel-für-Zürich 鍵 مفتاح naïve 👩‍💻"
        // A joiner of emoji is among what has no width: a name looks like another one with it.
        #expect(try page(of: text).contains("Schlüssel-für-Zürich 鍵 مفتاح naïve 👩\u{FFFD}💻"))
    }

    @Test func theTemplateGivesNothingUnescaped() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Sources/Node/StatusPage/Resources/status.html.mustache").standardized
        let template = try String(contentsOf: file, encoding: .utf8)
        #expect(
            template.contains("{{% CONTENT_TYPE:CLAVIGER}}") && !template.contains("{{{") && !template.contains("{{&"))
        // Partials would be escaped by the library's own rule.
        #expect(!template.contains("{{>") && !template.contains("{{<"))
    }
}
