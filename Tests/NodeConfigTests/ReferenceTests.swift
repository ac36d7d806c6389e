// SPDX-License-Identifier: Apache-2.0
import Foundation
import NodeConfig
import Testing

@Suite struct ReferenceTests {
    private var document: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/reference/configuration.md")
    }

    /// After a change of keys: `CLAVIGER_WRITE_REFERENCE=1 swift test --filter ReferenceTests`, and read what changed.
    @Test func theReferenceIsUpToDate() throws {
        let text = ConfigurationReference.markdown()
        if ProcessInfo.processInfo.environment["CLAVIGER_WRITE_REFERENCE"] != nil {
            try Data(text.utf8).write(to: document)
        }
        #expect(try String(contentsOf: document, encoding: .utf8) == text)
    }

    @Test func everyKeySaysWhatItMeans() throws {
        let text = try String(contentsOf: document, encoding: .utf8)
        for table in ConfigurationReference.tables {
            #expect(!table.keys.isEmpty)
            for key in table.keys {
                #expect(text.contains("### `\(key.name)`"))
                #expect(!key.meaning.isEmpty && !key.type.isEmpty && !key.standard.isEmpty)
            }
        }
    }

    @Test func theExampleOfTheReferenceIsRight() throws {
        let text = try String(contentsOf: document, encoding: .utf8)
        let example = text.components(separatedBy: "```toml\n").dropFirst().first?
            .components(separatedBy: "```").first
        let settings = try parse(try #require(example))
        #expect(settings.keyStores.first?.keys.count == 3)
    }
}
