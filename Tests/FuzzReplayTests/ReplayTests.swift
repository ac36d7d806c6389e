// SPDX-License-Identifier: Apache-2.0
import Foundation
import FuzzTargets
import Testing

/// What libFuzzer has found worth keeping: inputs that reach different places of a parser, and those that once were a
/// finding. `make fuzz` begins with them.
@Suite struct ReplayTests {
    static let corpus = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Corpus")

    @Test(arguments: FuzzTarget.all.map(\.name))
    func takesWhatWasFoundBefore(_ name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let directory = Self.corpus.appendingPathComponent(name)
        let files = try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
        // A corpus that is not found must not count as one that is taken well.
        #expect(files.count >= 8)
        for file in files {
            let input = try Data(contentsOf: directory.appendingPathComponent(file))
            let complaint = input.withUnsafeBytes { target.take($0) }
            #expect(complaint == nil, "\(name)/\(file)")
        }
    }

    /// A corpus without a target would be replayed by nobody.
    @Test func everyCorpusHasATarget() throws {
        let directories = try FileManager.default.contentsOfDirectory(atPath: Self.corpus.path)
        #expect(Set(directories) == Set(FuzzTarget.all.map(\.name)))
    }
}
