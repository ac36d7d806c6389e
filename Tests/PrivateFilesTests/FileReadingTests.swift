// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import PrivateFiles
import Synchronization
import Testing

@Suite struct FileReadingTests {
    /// A directory that goes away with the test.
    private final class Scratch {
        let path = NSTemporaryDirectory() + "claviger-reading-" + UUID().uuidString
        init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(atPath: path) }

        func file(_ name: String, _ text: String, mode: mode_t = 0o600) throws -> String {
            let file = path + "/" + name
            try Data(text.utf8).write(to: URL(fileURLWithPath: file))
            try #require(chmod(file, mode) == 0)
            return file
        }
    }

    private func failure(
        _ path: String, as content: FileReading.Content = .secret, atMost limit: Int = 100
    ) -> FileReading.Failure? {
        do throws(FileReading.Failure) {
            _ = try FileReading.read(path, as: content, atMost: limit)
            return nil
        } catch {
            return error
        }
    }

    @Test func whatIsSecretIsNobodyElses() throws {
        let scratch = try Scratch()
        for (mode, problem) in [
            (0o600, nil), (0o640, nil), (0o400, nil), (0o440, nil), (0o604, "is open to every user of this host"),
            (0o602, "is open to every user of this host"), (0o660, "can be replaced by its group"),
        ] as [(mode_t, String?)] {
            let file = try scratch.file("\(mode)", "x", mode: mode)
            #expect(failure(file)?.message == problem, "\(String(mode, radix: 8))")
            #expect(failure(file, as: .plain) == nil)
        }
    }

    /// 16631be took a PIN file of anybody.
    @Test(.enabled(if: geteuid() == 0)) func whatIsSecretBelongsToRootOrToThisUser() throws {
        let scratch = try Scratch()
        let file = try scratch.file("a", "x")
        #expect(chown(file, 54_321, 0) == 0)
        let found = failure(file)
        #expect(found?.message == "belongs to uid 54321, who could read and replace it")
        #expect(found?.fix.contains("chown root \(file)") == true)
        #expect(failure(file, as: .plain) == nil)
    }

    @Test func aVolumeOfKubernetesIsMendedWhereItIsMade() throws {
        let scratch = try Scratch()
        let file = try scratch.file("pin", "x", mode: 0o444)
        #expect(failure(file)?.fix == "run chmod o= \(file)")
        #expect(symlink("..2026", scratch.path + "/..data") == 0)
        #expect(failure(file)?.fix.contains("defaultMode: 0440") == true)
    }

    @Test func whatIsNoFileOrTooLongIsRefused() throws {
        let scratch = try Scratch()
        #expect(failure(scratch.path + "/none")?.message == "does not exist")
        #expect(failure(scratch.path)?.message == "is not a regular file")
        #expect(mkfifo(scratch.path + "/pipe", 0o600) == 0)
        #expect(failure(scratch.path + "/pipe")?.message == "is not a regular file")
        let file = try scratch.file("long", String(repeating: "x", count: 101))
        #expect(failure(file)?.message == "is larger than 100 bytes")
        let fits = try scratch.file("fits", String(repeating: "x", count: 100))
        #expect(try FileReading.read(fits, as: .secret, atMost: 100).count == 100)
    }

    @Test func whatDoesNotReturnIsNotWaitedFor() throws {
        let path = "/dead/" + UUID().uuidString
        let calls = Atomic(0)
        let gate = DispatchSemaphore(value: 0)
        func ask() -> Int? {
            Patience.perform(on: path, within: .milliseconds(100)) {
                calls.add(1, ordering: .relaxed)
                gate.wait()
                return 7
            }
        }
        let began = ContinuousClock.now
        #expect(ask() == nil)
        #expect(ContinuousClock.now - began >= .milliseconds(100))
        // No further thread is spent on it while the first one hangs; other paths are read.
        for _ in 0..<100 { #expect(ask() == nil) }
        #expect(calls.load(ordering: .relaxed) == 1)
        #expect(Patience.perform(on: path + "-other") { 1 } == 1)
        gate.signal()
        gate.signal()
        let end = ContinuousClock.now + .seconds(10)
        while ask() != 7 {
            try #require(ContinuousClock.now < end, "it answers again")
            gate.signal()
        }
    }
}
