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
        // What an interrupted write left, open to all: it is neither kept nor are its permissions.
        try Data("partial".utf8).write(to: URL(fileURLWithPath: file + ".partial"))
        #expect(chmod(file + ".partial", 0o666) == 0)
        try PrivateFiles.write("second", to: file)
        #expect(try PrivateFiles.read(file)?.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } == "second")
        #expect(try mode(file) == 0o600)
        try PrivateFiles.write("third", to: file, mode: 0o644)
        #expect(try mode(file) == 0o644)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["a"])
    }

    @Test func aLinkInThePlaceOfThePartialFileIsNotFollowed() throws {
        try Data("mine".utf8).write(to: URL(fileURLWithPath: directory + "/other"))
        try FileManager.default.createSymbolicLink(
            atPath: directory + "/a.partial", withDestinationPath: directory + "/other")
        #expect(throws: PrivateFileError.self) { try PrivateFiles.write("x", to: directory + "/a") }
        #expect(try String(contentsOfFile: directory + "/other", encoding: .utf8) == "mine")
    }

    @Test func whatIsMissingIsNothingAndWhatIsTooLargeAnError() throws {
        #expect(try PrivateFiles.read(directory + "/none") == nil)
        try Data(repeating: 0, count: 64 * 1024 + 1).write(to: URL(fileURLWithPath: directory + "/large"))
        let failure = #expect(throws: PrivateFileError.self) { try PrivateFiles.read(directory + "/large") }
        #expect(failure?.description.contains(directory + "/large") == true)
        let missing = #expect(throws: PrivateFileError.self) { try PrivateFiles.write("x", to: directory + "/b/c") }
        #expect(missing?.description.contains("/b/c.partial: No such file or directory.") == true)
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
