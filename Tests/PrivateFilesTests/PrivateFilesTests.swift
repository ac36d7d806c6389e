// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import PrivateFiles
import SecureMemory
import Testing

@Suite final class PrivateFilesTests {
    private let directory: String

    init() throws {
        directory = NSTemporaryDirectory() + "claviger-test-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    private func mode(_ path: String) throws -> Int {
        (try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int) ?? -1
    }

    @Test func aFileIsReplacedAndNothingElseIsLeft() throws {
        let file = directory + "/a"
        try PrivateFiles.write("first", to: file)
        #expect(try mode(file) == 0o600)
        try PrivateFiles.write("second", to: file)
        #expect(try PrivateFiles.read(file)?.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } == "second")
        #expect(try mode(file) == 0o600)
        try PrivateFiles.write("third", to: file, mode: 0o644)
        #expect(try mode(file) == 0o644)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["a"])
    }

    /// 16631be wrote the content into the file that somebody had prepared under the name `a.partial`: who had it open
    /// read a key there.
    @Test func whatSomebodyHasPreparedIsNotWrittenTo() throws {
        let prepared = directory + "/a.partial"
        try Data("prepared".utf8).write(to: URL(fileURLWithPath: prepared))
        #expect(chmod(prepared, 0o666) == 0)
        let open = try FileHandle(forReadingFrom: URL(fileURLWithPath: prepared))
        try PrivateFiles.write("secret", to: directory + "/a")
        #expect(try open.readToEnd() == Data("prepared".utf8))
        #expect(try String(contentsOfFile: prepared, encoding: .utf8) == "prepared")
        #expect(try mode(directory + "/a") == 0o600)
        #expect(try Set(FileManager.default.contentsOfDirectory(atPath: directory)) == ["a", "a.partial"])
    }

    @Test func whatCannotBeMovedIntoItsPlaceLeavesNothing() throws {
        try FileManager.default.createDirectory(atPath: directory + "/a/b", withIntermediateDirectories: true)
        #expect(throws: PrivateFileError.self) { try PrivateFiles.write("x", to: directory + "/a") }
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["a"])
    }

    @Test func whatIsMissingIsNothingAndWhatIsTooLargeAnError() throws {
        #expect(try PrivateFiles.read(directory + "/none") == nil)
        try Data(repeating: 0, count: 64 * 1024 + 1).write(to: URL(fileURLWithPath: directory + "/large"))
        let failure = #expect(throws: PrivateFileError.self) { try PrivateFiles.read(directory + "/large") }
        #expect(failure?.description.contains(directory + "/large") == true)
        let missing = #expect(throws: PrivateFileError.self) { try PrivateFiles.write("x", to: directory + "/b/c") }
        #expect(missing?.description.contains("/b/c.partial-") == true)
    }

    @Test func aDirectoryIsHeldWhileItIsWorkedIn() throws {
        func isFree() -> Bool {
            let descriptor = open(directory, O_RDONLY | O_DIRECTORY)
            defer { close(descriptor) }
            return flock(descriptor, LOCK_EX | LOCK_NB) == 0
        }
        #expect(try PrivateFiles.exclusively(in: directory) { isFree() } == false)
        #expect(isFree())
        #expect(throws: CancellationError.self) {
            try PrivateFiles.exclusively(in: directory) { throw CancellationError() }
        }
        #expect(isFree())
        #expect(throws: PrivateFileError.self) { try PrivateFiles.exclusively(in: directory + "/none") {} }
    }
}
