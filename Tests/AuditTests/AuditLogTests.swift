// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Audit
import AuditChain
import Foundation
import Glibc
import Logging
import Synchronization
import Testing
import XKSProtocol

/// A directory of a test's own.
final class AuditScratch: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/audit-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

@Suite("The audit log on a disk", .timeLimit(.minutes(1)))
struct AuditLogTests {
    private let scratch: AuditScratch
    private let directory: AuditDirectory
    private let key: AuditKey
    private let heads = Heads()

    final class Heads: Sendable {
        let all = Mutex<[SignedAuditHead]>([])
        var last: SignedAuditHead? { all.withLock(\.last) }
    }

    init() throws {
        scratch = try AuditScratch()
        directory = AuditDirectory(scratch.path + "/audit")
        key = try OwnAuditKey.load(stateDirectory: scratch.path)
    }

    private func log(
        _ rule: FullDiskRule = .continue, size: Int = 1 << 20, age: UInt64 = 3_600_000_000_000, run: UInt64 = 1,
        at path: String? = nil, keep: Int64 = 1_000
    ) -> AuditLog {
        let heads = heads
        let log = AuditLog(
            settings: AuditSettings(
                directory: path ?? directory.path, journals: scratch.path + "/journals",
                rules: SegmentRules(size: size, age: age, keep: keep),
                backlog: .init(rule: rule, patience: 10_000_000_000, capacity: 1 << 20), node: "n", version: "1",
                run: run), key: key, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        ) { head in heads.all.withLock { $0.append(head) } }
        log.start()
        return log
    }

    private func record(_ number: Int) -> RecordText {
        var trace = RequestTrace()
        trace.operation = .encrypt
        trace.metadata = RequestMetadata(kmsOperation: "Encrypt", kmsRequestId: "request-\(number)")
        return RecordText(trace, at: .now, node: "n")
    }

    /// Writes so many records from several threads, and returns the verdicts.
    private func write(_ count: Int, to log: AuditLog) async -> [AuditVerdict] {
        await withTaskGroup(of: AuditVerdict.self) { group in
            for number in 0..<count { group.addTask { log.record(record(number)) } }
            return await group.reduce(into: []) { $0.append($1) }
        }
    }

    /// Waits until all that was recorded is in a segment.
    private func written(_ log: AuditLog) async throws {
        while log.facts.waitingBytes > 0 { try await Task.sleep(for: .milliseconds(2)) }
    }

    private func verify(chain: Int = 1, heads: [SignedAuditHead] = []) throws -> AuditReport {
        let files = try directory.segments().map { (name: $0, path: directory.file($0)) }
        let chains = AuditChainFiles.chains(of: files)
        let own = try #require(chains.first { $0.chain == chain })
        return try own.verify(node: "n", heads: heads, isPart: false) { signed in
            OwnAuditKey.isGenuine(signed.signature, of: signed.text, publicKey: signed.signer.publicKey ?? "")
        }
    }

    private func mode(_ path: String) -> mode_t {
        var facts = stat()
        return stat(path, &facts) == 0 ? facts.st_mode & 0o777 : 0
    }

    @Test("each record comes into a file within moments; the chain goes on over restarts and segments")
    func written() async throws {
        for run in 1...3 as ClosedRange<UInt64> {
            let log = log(size: 30_000, run: run)
            #expect(await write(300, to: log).allSatisfy { $0 == .answer })
            try await written(log)
            let now = try verify()
            #expect(now.counts.requests == run * 300 && now.isGood, "\(now.findings)")
            #expect(log.close())
        }
        let head = try #require(heads.last)
        let report = try verify(heads: [head])
        #expect(report.isGood && report.agreeing == 1 && report.last.seq == head.head.seq, "\(report.findings)")
        #expect(
            OwnAuditKey.isGenuine(
                head.signature, of: Array(head.head.signedText.utf8), publicKey: head.signer.publicKey ?? ""))
        let segments = try directory.segments()
        #expect(segments.count > 5)
        #expect(mode(directory.path) == 0o700 && mode(scratch.path + "/audit.key") == 0o600)
        #expect(segments.allSatisfy { mode(directory.file($0)) == 0o400 })
    }

    @Test("what a killed process left half written is said by the next one; a file without a record is removed")
    func torn() async throws {
        let first = log()
        #expect(await write(5, to: first) == [.answer, .answer, .answer, .answer, .answer])
        first.close()
        let segment = try #require(try directory.segments().last)
        let file = try #require(FileHandle(forWritingAtPath: directory.file(segment)))
        try file.seekToEnd()
        try file.write(contentsOf: Data("{\"kind\":\"requ".utf8))
        _ = FileManager.default.createFile(
            atPath: directory.file(SegmentName(chain: 1, first: 100)), contents: Data("{".utf8))
        let second = log()
        #expect(await write(5, to: second).count == 5)
        second.close()
        let report = try verify()
        #expect(report.isGood && report.counts.requests == 10, "\(report.findings)")
        #expect(try directory.segments().count == 2)
    }

    @Test("two processes at a time write a chain each")
    func together() async throws {
        let first = log()
        #expect(await write(3, to: first).count == 3)
        let second = log()
        #expect(await write(4, to: second).count == 4)
        #expect(first.facts.chain == 1 && second.facts.chain == 2)
        first.close()
        second.close()
        #expect(try verify(chain: 1).counts.requests == 3 && verify(chain: 2).counts.requests == 4)
    }

    @Test(
        "a directory that cannot be had counts as a full disk, by the rule, until it can",
        arguments: FullDiskRule.allCases)
    func impossible(rule: FullDiskRule) async throws {
        let blocked = scratch.path + "/blocked"
        _ = FileManager.default.createFile(atPath: blocked, contents: nil)
        let log = log(rule, at: blocked)
        defer { log.close() }
        let verdicts = await write(20, to: log)
        #expect(verdicts.allSatisfy { $0 == (rule == .refuse ? .refuse : .answer) })
        #expect(log.facts.trouble?.contains(blocked) == true && log.facts.isRefusing == (rule == .refuse))
        // An order is done, and its record kept, by either rule.
        let order = RecordText(AuditedOrder(words: "block", user: "root", status: 200), at: .now, node: "n")
        #expect(log.record(order, mustStand: true) == .answer)
        unlink(blocked)
        while log.facts.trouble != nil { try await Task.sleep(for: .milliseconds(5)) }
        #expect(await write(1, to: log) == [.answer])
        log.close()
        let files = try AuditDirectory(blocked).segments().map { (name: $0, path: "\(blocked)/\($0.file)") }
        let report = try AuditChainFiles.chains(of: files)[0].verify(node: "n", heads: [], isPart: false) { signed in
            OwnAuditKey.isGenuine(signed.signature, of: signed.text, publicKey: signed.signer.publicKey ?? "")
        }
        #expect(report.isGood, "\(report.findings)")
        #expect(report.counts.orders == 1 && report.counts.gaps == 1 && report.counts.lost == 0)
        #expect(report.counts.requests == (rule == .refuse ? 1 : 21))
        #expect(report.counts.refused == (rule == .refuse ? 20 : 0))
    }

    /// As it is after kill -9: what was answered is in the journal, and no more of it.
    private func killed(
        after seq: UInt64, _ numbers: [Int], file: String = "a", chain: Int = 1, turn: UInt64 = 2
    ) throws {
        let journals = try AuditJournal.directory(in: scratch.path + "/journals", of: directory.path)
        var bytes = JournalText.header(chain: chain, turn: turn, after: seq)
        for number in numbers { bytes += record(number).bytes + [UInt8(ascii: "\n")] }
        try Data(bytes).write(to: URL(fileURLWithPath: "\(journals)/chain-\(chain).\(file)"))
    }

    private func ids() throws -> [String] {
        try directory.segments().flatMap { name in
            try String(contentsOfFile: directory.file(name), encoding: .utf8).split(separator: "\n")
        }.compactMap { line in
            line.firstRange(of: "\"kmsRequestId\":\"").map { String(line[$0.upperBound...].prefix { $0 != "\"" }) }
        }
    }

    @Test("what a killed process had answered for comes next after the first record of the next one, each once")
    func recovered() async throws {
        let first = log()
        for number in 1...3 { #expect(first.record(record(number)) == .answer) }
        first.close()
        // The end of the chain: a first record, three of requests, a last one. Of what was taken, two are written.
        try killed(after: 3, [3, 99, 4], file: "b", turn: 1)
        try killed(after: 0, [5, 6])
        // Of a process that wrote a chain of its own.
        try killed(after: 0, [7], chain: 2)
        let second = log(run: 2)
        #expect(second.record(record(8)) == .answer)
        #expect(second.facts.trouble == nil)
        second.close()
        #expect(try ids() == ["1", "2", "3", "4", "5", "6", "7", "8"].map { "request-\($0)" })
        #expect(try verify().isGood && verify().counts.requests == 8)
        let last = try String(contentsOfFile: directory.file(#require(directory.segments().last)), encoding: .utf8)
        #expect(last.split(separator: "\n").first?.contains("\"recovered\":4") == true)
        // None is left for a third.
        let third = log(run: 3)
        third.close()
        #expect(try ids().count == 8)
    }

    @Test("segments whose time is over are removed, and a record says so")
    func expires() async throws {
        for _ in 0..<3 {
            let log = log()
            #expect(await write(2, to: log).count == 2)
            log.close()
        }
        let old = try directory.segments()
        #expect(old.count == 3)
        for name in old.prefix(2) {
            var times = [timeval(tv_sec: 1, tv_usec: 0), timeval(tv_sec: 1, tv_usec: 0)]
            #expect(utimes(directory.file(name), &times) == 0)
        }
        let last = log()
        while try directory.segments().count != 2 { try await Task.sleep(for: .milliseconds(5)) }
        last.close()
        let report = try verify()
        #expect(report.isGood && report.first == old[2].first, "\(report.findings)")
        // Without the record, it would be a fault.
        unlink(directory.file(old[2]))
        #expect(try verify().findings.map(\.kind) == [.missing])
    }

    @Test("another key begins another segment")
    func rekeyed() async throws {
        let log = log()
        #expect(await write(2, to: log).count == 2)
        let elsewhere = try AuditScratch()
        log.use(try OwnAuditKey.load(stateDirectory: elsewhere.path))
        while try directory.segments().count != 2 { try await Task.sleep(for: .milliseconds(5)) }
        log.close()
        let report = try verify()
        #expect(report.isGood, "\(report.findings)")
    }

    /// While `body` runs, the disk of the segment that is written is full.
    private func full(_ body: () async throws -> Void) async throws {
        let name = try #require(try directory.segments().last)
        let segment = URL(fileURLWithPath: directory.file(name)).resolvingSymlinksInPath().path
        let descriptor = try #require(
            (3..<4_096).first {
                (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == segment
            })
        let (kept, full) = (dup(Int32(descriptor)), open("/dev/full", O_WRONLY))
        #expect(kept >= 0 && full >= 0 && dup2(full, Int32(descriptor)) == descriptor)
        try await body()
        #expect(dup2(kept, Int32(descriptor)) == descriptor)
        close(kept)
        close(full)
    }

    @Test("a key that others could read is closed to them, which is said; one that is none is a flaw")
    func openKey() throws {
        let path = scratch.path + "/audit.key"
        #expect(OwnAuditKey.flaw(stateDirectory: scratch.path) == nil)
        #expect(chmod(path, 0o666) == 0)
        #expect(OwnAuditKey.flaw(stateDirectory: scratch.path)?.mend.hasPrefix("chmod 600 \(path)") == true)
        #expect(mode(path) == 0o666)
        var told: [String] = []
        #expect(try OwnAuditKey.load(stateDirectory: scratch.path) { told.append($0) }.signer == key.signer)
        #expect(told == ["\(path) had mode 666, and has 600 now"] && mode(path) == 0o600)
        try Data("garbage".utf8).write(to: URL(fileURLWithPath: path))
        let flaw = try #require(OwnAuditKey.flaw(stateDirectory: scratch.path))
        #expect(flaw.message.contains("\(path) holds no private key"))
        unlink(path)
        #expect(OwnAuditKey.flaw(stateDirectory: scratch.path) == nil && access(path, F_OK) != 0)
    }

    // MARK: What is removed while it is written

    enum Removal: CaseIterable, Sendable { case segment, directory, moved, replaced, lock }

    /// In an idle log: nobody writes who could notice it.
    private func remove(_ removal: Removal) throws {
        let segment = directory.file(try #require(try directory.segments().last))
        switch removal {
        case .segment: #expect(unlink(segment) == 0)
        case .directory: try FileManager.default.removeItem(atPath: directory.path)
        case .moved: #expect(rename(directory.path, scratch.path + "/moved") == 0)
        case .replaced:
            #expect(unlink(segment) == 0)
            #expect(FileManager.default.createFile(atPath: segment, contents: nil))
        case .lock: #expect(unlink(directory.path + "/chain-1.lock") == 0)
        }
    }

    @Test(
        "a segment or directory that is removed while the log is idle counts as a disk that fails; the log goes on in another one",
        arguments: Removal.allCases)
    func removedWhileIdle(removal: Removal) async throws {
        let log = log(.refuse)
        #expect(await write(3, to: log) == [.answer, .answer, .answer])
        try await written(log)
        try remove(removal)
        while log.facts.gaps == 0 || log.facts.trouble != nil { try await Task.sleep(for: .milliseconds(5)) }
        #expect(await write(2, to: log) == [.answer, .answer])
        // It holds its chain again.
        let other = self.log(run: 2)
        #expect(other.facts.chain == 2)
        other.close()
        #expect(log.close())
        let report = try verify()
        #expect(report.counts.gaps == 1 && mode(directory.path) == 0o700)
        let lines = try directory.segments().filter { $0.chain == 1 }.map {
            try String(contentsOfFile: directory.file($0), encoding: .utf8)
        }.joined()
        #expect(
            lines.contains("\"cause\":\"\(directory.path)")
                || lines.contains("\"cause\":\"the directory \(directory.path)"))
        if removal == .lock {
            #expect(report.isGood && report.counts.requests == 5, "\(report.findings)")
        } else {
            #expect(report.counts.requests == 2 && report.findings.map(\.kind) == [.missing], "\(report.findings)")
            #expect(lines.contains("\"cause\":\"removed\""))
        }
        guard removal == .moved else { return }
        // What was moved away goes before it.
        let files = try [AuditDirectory(scratch.path + "/moved"), directory].flatMap { place in
            try place.segments().map { (name: $0, path: place.file($0)) }
        }
        let whole = try #require(AuditChainFiles.chains(of: files).first { $0.chain == 1 })
            .verify(node: "n", heads: [], isPart: false) { _ in true }
        #expect(whole.isGood && whole.counts.requests == 5, "\(whole.findings)")
    }

    @Test("where the directory cannot be made again, requests are refused, and the trouble says both")
    func removedForGood() async throws {
        let log = log(.refuse)
        defer { log.close() }
        #expect(await write(1, to: log) == [.answer])
        try await written(log)
        try FileManager.default.removeItem(atPath: directory.path)
        #expect(FileManager.default.createFile(atPath: directory.path, contents: nil))
        while log.facts.trouble?.contains("cannot open") != true { try await Task.sleep(for: .milliseconds(5)) }
        #expect(log.facts.trouble?.contains("has been removed") == true && log.isRefusing)
        #expect(log.record(record(9)) == .refuse)
        unlink(directory.path)
        while log.facts.trouble != nil { try await Task.sleep(for: .milliseconds(5)) }
        #expect(log.record(record(10)) == .answer)
    }

    @Test("a segment that is removed on a full disk takes no record with it that it did not have yet")
    func removedWhenFull() async throws {
        let log = log()
        #expect(await write(3, to: log).count == 3)
        try await written(log)
        try await full {
            #expect(log.record(record(7)) == .answer)
            while log.facts.trouble == nil { try await Task.sleep(for: .milliseconds(2)) }
            try remove(.segment)
            while try ids().isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        }
        #expect(log.close())
        #expect(try ids() == ["request-7"])
    }

    @Test("a log that ends before anybody has looked still ends where it is found")
    func removedAtTheEnd() async throws {
        let log = log()
        #expect(await write(3, to: log).count == 3)
        try await written(log)
        try remove(.directory)
        #expect(log.close())
        let text = try String(contentsOfFile: directory.file(#require(directory.segments().last)), encoding: .utf8)
        #expect(text.contains("\"kind\":\"gap\"") && text.contains("\"cause\":\"stop\""))
    }

    /// What the next start would find.
    private func journaled() throws -> [RecordText] {
        let journals = try AuditJournal.directory(in: scratch.path + "/journals", of: directory.path)
        let files = ["a", "b"].map {
            [UInt8](FileManager.default.contents(atPath: "\(journals)/chain-1.\($0)") ?? Data())
        }
        return JournalText.left(of: files, chain: 1, end: 0).records
    }

    @Test(
        "journal files that are removed are made anew, and have what comes from then on", arguments: ["all", "a", "b"])
    func journalRemoved(which: String) async throws {
        let log = log(.refuse)
        #expect(log.record(record(1)) == .answer)
        try await written(log)
        let journals = try AuditJournal.directory(in: scratch.path + "/journals", of: directory.path)
        if which == "all" {
            try FileManager.default.removeItem(atPath: scratch.path + "/journals")
        } else {
            #expect(unlink("\(journals)/chain-1.\(which)") == 0)
        }
        let made = (which == "all" ? ["a", "b"] : [which]).map { "\(journals)/chain-1.\($0)" }
        while !made.allSatisfy({ (FileManager.default.contents(atPath: $0) ?? Data()).count > 100 }) {
            try await Task.sleep(for: .milliseconds(5))
        }
        // Both have had their turn.
        for number in 2...5 {
            #expect(log.record(record(number)) == .answer)
            try await written(log)
        }
        #expect(log.facts.gaps == 0)
        try await full {
            #expect(log.record(record(6)) == .answer)
            while log.facts.trouble == nil { try await Task.sleep(for: .milliseconds(2)) }
            #expect(try journaled().count == 1)
        }
        while log.facts.trouble != nil { try await Task.sleep(for: .milliseconds(2)) }
        #expect(log.close())
        #expect(try ids() == (1...6).map { "request-\($0)" } && verify().isGood)
    }

    @Test("a journal that cannot be made anew counts as one without room, until it can")
    func journalRemovedForGood() async throws {
        let log = log(.refuse)
        #expect(log.record(record(1)) == .answer)
        try await written(log)
        let parent = scratch.path + "/journals"
        try FileManager.default.removeItem(atPath: parent)
        #expect(FileManager.default.createFile(atPath: parent, contents: nil))
        while log.facts.trouble?.contains("cannot be made anew") != true { try await Task.sleep(for: .milliseconds(5)) }
        #expect(log.record(record(2)) == .refuse)
        unlink(parent)
        while log.facts.trouble != nil { try await Task.sleep(for: .milliseconds(5)) }
        #expect(log.record(record(3)) == .answer)
        #expect(log.close())
        #expect(try ids() == ["request-1", "request-3"] && verify().isGood && verify().counts.gaps == 1)
    }

    @Test(
        "a segment whose last record finds the disk full ends with that record all the same",
        arguments: [true, false])
    func fullAtTheEnd(goesOn: Bool) async throws {
        let log = log()
        #expect(await write(3, to: log).count == 3)
        try await written(log)
        let elsewhere = try AuditScratch()
        let other = try OwnAuditKey.load(stateDirectory: elsewhere.path)
        try await full {
            log.use(other)
            while log.facts.trouble == nil { try await Task.sleep(for: .milliseconds(2)) }
            #expect(await write(4, to: log) == [.answer, .answer, .answer, .answer])
        }
        if goesOn {
            while log.facts.trouble != nil { try await Task.sleep(for: .milliseconds(2)) }
            #expect(await write(2, to: log).count == 2)
        }
        #expect(log.close())
        let report = try verify()
        #expect(report.isGood && report.counts.requests == (goesOn ? 9 : 7), "\(report.findings)")
        #expect(report.counts.gaps == 1)
        #expect(try directory.segments().count == 2)
    }
}
