// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser
import Foundation
import KMSWords

/// `claviger explain`
struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Say what a text from AWS means for the nodes, where to look, and what to do.",
        discussion:
            "The text is an exception's name, a connection error code, a metric's name, a sentence of KMS, or events of "
            + "CloudTrail as JSON; \"-\" reads it from standard input. Nothing is asked, neither AWS nor a node. Status 0: "
            + "it is known. Status 1: it is not; the nearest entries are named.")

    @Argument(help: "What AWS says.")
    var text: [String]

    @Flag(help: "Print JSON, on one line (docs/reference/commands.md).")
    var json = false

    func run() throws {
        let input = text == ["-"] ? try standardInput() : text.joined(separator: " ")
        let explanations = KMSWordSearch.texts(in: input).map { Explanation(text: $0, KMSWordSearch.find($0)) }
        if json {
            for explanation in explanations { printLine(try JSONLine.text(explanation), isForPrograms: true) }
        } else {
            let page = Terminals.page
            printLine(explanations.map { $0.text(on: page) }.joined(separator: "\n\n"))
        }
        if explanations.contains(where: { !$0.found }) { throw ExitStatus.notDone }
    }

    private func standardInput() throws -> String {
        do {
            let data = try FileHandle.standardInput.read(upToCount: KMSWordSearch.mostBytes) ?? Data()
            return String(decoding: data, as: UTF8.self)
        } catch {
            throw failure(
                "standard input cannot be read: \(error.localizedDescription)", status: ExitStatus.configuration)
        }
    }
}

/// What is said of one text.
private struct Explanation: Encodable {
    struct Entry: Encodable {
        var id: String
        var title: String
        var meaning: String
        var answered: String
        var look: [String]
        var onTheNode: [String]
        var inAWS: [String]

        init(_ word: KMSWord) {
            id = word.id
            title = word.title
            meaning = word.meaning
            answered = word.answer
            look = word.look
            onTheNode = word.node
            inAWS = word.aws
        }
    }

    /// What was looked for, at most 512 characters.
    var text: String
    var found: Bool
    /// What it means, or what is nearest to it.
    var entries: [Entry]

    init(text: String, _ result: KMSWordSearch.Result) {
        self.text = String(text.prefix(512))
        switch result {
        case .found(let words): (found, entries) = (true, words.map(Entry.init))
        case .unknown(let nearest): (found, entries) = (false, nearest.map(Entry.init))
        }
    }

    func text(on page: Page) -> String {
        guard found else {
            let known = "what KMS is known to say of external key stores stands in docs/guides/what-kms-says.md"
            guard !entries.isEmpty else { return page.text("Nothing like this is known; \(known).") }
            return ([page.text("Not known. Nearest to it; \(known):")] + entries.map { page.entry($0.title) })
                .joined(separator: "\n")
        }
        return entries.map { entry in
            var parts = [page.text(entry.title), "", page.text(entry.meaning), ""]
            parts += lines("the node answered", [entry.answered], page) + lines("where to look", entry.look, page)
            parts += lines("on the node", entry.onTheNode, page) + lines("in AWS", entry.inAWS, page)
            return parts.joined(separator: "\n")
        }.joined(separator: "\n\n")
    }

    private func lines(_ head: String, _ texts: [String], _ page: Page) -> [String] {
        [page.text("\(head):")] + texts.map { page.entry(Self.withoutLinks($0)) }
    }

    /// `[a page](guides/page.md)` is for the page; a terminal is shown where it lies.
    private static func withoutLinks(_ text: String) -> String {
        text.replacing(/\[([^\]]+)\]\(([^)]+)\)/) { "\($0.output.1) (docs/guides/\($0.output.2))" }
            .replacing("docs/guides/../", with: "docs/")
    }
}
