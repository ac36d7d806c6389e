// SPDX-License-Identifier: Apache-2.0
import Foundation
import PrivateFiles
import SecureMemory
import Testing

@Suite final class FileGroupTests {
    private let directory: String

    init() throws {
        directory = FileManager.default.temporaryDirectory.path + "/file-group-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    private func file(_ name: String, _ text: String, mode: mode_t = 0o600) -> NewFile {
        NewFile(path: directory + "/" + name, content: SecretBytes(Array(text.utf8)), mode: mode)
    }

    /// What is in the directory, by name.
    private func content() throws -> [String: String] {
        let names = try FileManager.default.contentsOfDirectory(atPath: directory)
        return Dictionary(
            uniqueKeysWithValues: names.map {
                ($0, (try? String(contentsOfFile: "\(directory)/\($0)", encoding: .utf8)) ?? "")
            }
        )
    }

    @Test func allAreWrittenWithTheirModes() throws {
        try FileGroup.write([file("a", "1"), file("b", "2", mode: 0o640)], replacing: false)
        #expect(try content() == ["a": "1", "b": "2"])
        var facts = stat()
        #expect(stat(directory + "/b", &facts) == 0 && facts.st_mode & 0o777 == 0o640)
        try FileGroup.write([file("a", "3"), file("c", "4")], replacing: true)
        #expect(try content() == ["a": "3", "b": "2", "c": "4"])
    }

    @Test func nothingIsReplacedUnasked() throws {
        try FileGroup.write([file("b", "mine")], replacing: false)
        #expect(throws: PrivateFileError.self) {
            try FileGroup.write([file("a", "1"), file("b", "2"), file("c", "3")], replacing: false)
        }
        #expect(try content() == ["b": "mine"])
    }

    @Test func whatFailsInTheMiddleLeavesWhatWasThere() throws {
        try FileGroup.write([file("a", "old")], replacing: false)
        try FileManager.default.createDirectory(atPath: directory + "/b", withIntermediateDirectories: false)
        #expect(throws: PrivateFileError.self) {
            try FileGroup.write([file("a", "1"), file("new", "2"), file("b", "3")], replacing: true)
        }
        #expect(try content() == ["a": "old", "b": ""])
        #expect(throws: PrivateFileError.self) {
            try FileGroup.write([file("a", "1"), file("nowhere/x", "2")], replacing: true)
        }
        #expect(try content() == ["a": "old", "b": ""])
    }
}
