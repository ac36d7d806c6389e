// SPDX-License-Identifier: Apache-2.0
import Foundation
import KMSWords
import Testing

@Suite struct KMSWordReferenceTests {
    private var document: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/guides/what-kms-says.md")
    }

    /// After a change: `CLAVIGER_WRITE_REFERENCE=1 swift test --filter ReferenceTests`, and read what changed.
    @Test func thePageIsUpToDate() throws {
        let text = KMSWordsPage.markdown()
        if ProcessInfo.processInfo.environment["CLAVIGER_WRITE_REFERENCE"] != nil {
            try Data(text.utf8).write(to: document)
        }
        #expect(try String(contentsOf: document, encoding: .utf8) == text)
    }

    @Test func eachEntryIsWhole() {
        #expect(Set(KMSWord.all.map(\.id)).count == KMSWord.all.count)
        for word in KMSWord.all {
            #expect(word.id.allSatisfy { $0.isLowercase || $0 == "-" }, "\(word.id)")
            #expect(!word.names.isEmpty || !word.sentences.isEmpty, "\(word.id)")
            for texts in [[word.meaning], [word.answer], word.look, word.node, word.aws] {
                #expect(!texts.isEmpty && texts.allSatisfy { !$0.isEmpty }, "\(word.id)")
            }
        }
    }
}
