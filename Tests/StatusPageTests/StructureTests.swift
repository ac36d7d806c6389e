// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Foundation
import StatusPage
import StatusVocabulary
import Testing

/// What keyboards, screen readers and a strict policy ask of the page's markup.
@Suite struct StructureTests {
    private struct Tag {
        var name: String
        var isEnd: Bool
        var attributes: [String: String]
    }

    /// The tags of a page that is known to be well-formed in its text.
    private func tags(_ page: String) throws -> [Tag] {
        let tag = /<(\/?)([a-zA-Z][a-zA-Z0-9]*)((?:\s+[a-zA-Z:-]+(?:="[^"]*")?)*)\s*(\/?)>/
        return page.matches(of: tag).map { match in
            var attributes: [String: String] = [:]
            for pair in match.output.3.matches(of: /([a-zA-Z:-]+)(?:="([^"]*)")?/) {
                attributes[String(pair.output.1)] = String(pair.output.2 ?? "")
            }
            return Tag(name: String(match.output.2), isEnd: match.output.1 == "/", attributes: attributes)
        }
    }

    private var pages: [String] {
        get throws {
            let sick = [Scene.hsm("hsm-1"), Scene.hsm("hsm-2", .unavailable)]
            var full = Scene.snapshot(
                hsms: sick,
                keys: [Scene.key("a", ["hsm-1": .proven, "hsm-2": .different]), Scene.key("b", ["hsm-1": .absent])],
                others: [Scene.node("iad-1", site: "iad", [Scene.hsm("hsm-3")], liveness: .dead)],
                blocks: [
                    BlockView(
                        id: "b", target: "--all", reason: "", madeAtUnixSeconds: 0, expiresAtUnixSeconds: nil,
                        madeBy: "")
                ], showsKeys: true)
            full.transitions = [HSMTransition(atUnixSeconds: 0, hsm: "hsm-2", from: .active, to: .unavailable)]
            full.certificateEnds = ["xks.certificate": Scene.now - 5]
            return [
                try Scene.page(Scene.snapshot()), try Scene.page(full),
                try Scene.page(Scene.snapshot(hsms: [], keys: [])),
            ]
        }
    }

    @Test func nothingNeedsAnExceptionFromTheStrictPolicy() throws {
        for page in try pages {
            for tag in try tags(page) {
                #expect(tag.name != "style" && tag.attributes["style"] == nil)
                #expect(!tag.attributes.keys.contains { $0.hasPrefix("on") })
                if tag.name == "script", !tag.isEnd { #expect(tag.attributes["src"]?.hasPrefix("/status.js") == true) }
                for reference in ["src", "href", "action"].compactMap({ tag.attributes[$0] }) {
                    #expect(
                        reference.hasPrefix("/") && !reference.hasPrefix("//") || reference.hasPrefix("#"),
                        "\(reference)")
                }
            }
            #expect(!page.contains("<script>") && !page.contains("javascript:") && !page.contains("://"))
        }
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"] {
            #expect(StatusPage.contentSecurityPolicy.contains(part))
        }
        #expect(!StatusPage.contentSecurityPolicy.contains("unsafe"))
    }

    @Test func headingsAreInOrderAndIdentifiersUnique() throws {
        for page in try pages {
            let tags = try tags(page)
            let levels = tags.filter { !$0.isEnd }.compactMap { $0.name.first == "h" ? Int($0.name.dropFirst()) : nil }
            #expect(levels.count { $0 == 1 } == 1 && levels.first == 1)
            for (before, after) in zip(levels, levels.dropFirst()) { #expect(after <= before + 1, "\(levels)") }
            let identifiers = tags.compactMap { $0.attributes["id"] }
            #expect(Set(identifiers).count == identifiers.count)
            let named = tags.compactMap { $0.attributes["aria-labelledby"] }.flatMap { $0.split(separator: " ") }
            #expect(!named.isEmpty && named.allSatisfy { identifiers.contains(String($0)) })
            let used = tags.filter { $0.name == "use" }.compactMap { $0.attributes["href"]?.dropFirst() }
            #expect(used.allSatisfy { identifiers.contains(String($0)) })
            #expect(page.contains("<html lang=\"en\">") && page.contains("<a class=\"skip\" href=\"#main\">"))
            #expect(page.contains("<noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript>"))
        }
    }

    @Test func tablesHaveCaptionsAndTheirHeadersScopes() throws {
        for page in try pages {
            let tags = try tags(page).filter { !$0.isEnd }
            for tag in tags where tag.name == "th" {
                #expect(["col", "row"].contains(tag.attributes["scope"]))
            }
            let tables = page.components(separatedBy: "<table").dropFirst()
            #expect(!tables.isEmpty && tables.allSatisfy { $0.contains("<caption") && $0.contains("<thead>") })
            // Each row has as many cells as its table has heads.
            for table in tables {
                let table = table.prefix(upTo: table.range(of: "</table>")?.lowerBound ?? table.endIndex)
                let heads = table.components(separatedBy: "scope=\"col\"").count - 1
                for row in table.components(separatedBy: "<tbody>").last?.components(separatedBy: "<tr").dropFirst()
                    ?? []
                {
                    let cells = row.components(separatedBy: "<td").count + row.components(separatedBy: "<th").count - 2
                    #expect(cells == heads, "\(row)")
                }
            }
        }
    }

    @Test func drawingsAreNamedOrHiddenFromWhoCannotSeeThem() throws {
        for page in try pages {
            for drawing in try tags(page) where drawing.name == "svg" && !drawing.isEnd {
                let isHidden = drawing.attributes["aria-hidden"] == "true"
                let isNamed = drawing.attributes["role"] == "img" && drawing.attributes["aria-labelledby"] != nil
                #expect(isHidden != isNamed && drawing.attributes["focusable"] == "false")
            }
            #expect(page.contains("<title id=\"requests-title\">") && page.contains("<desc id=\"latency-desc\">"))
        }
    }

    @Test func endTagsMatchTheirBeginnings() throws {
        let empty: Set = ["meta", "link", "circle", "path", "rect", "use", "br"]
        for page in try pages {
            var open: [String] = []
            for tag in try tags(page) where !empty.contains(tag.name) {
                if tag.isEnd { #expect(open.popLast() == tag.name) } else { open.append(tag.name) }
            }
            #expect(open == [])
            #expect(!page.contains("{{") && !page.contains("}}"))
        }
    }
}
