// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Observability
import Testing

@Suite struct LogSinkTests {
    private func append(_ text: String, to sink: LogSink, in room: LogRoom = .orders) {
        Array(text.utf8).withUnsafeBytes { sink.append($0, in: room) }
    }

    @Test func linesComeOutInTheirOrder() throws {
        let pipe = try TestPipe()
        let sink = LogSink(descriptor: pipe.writing)
        for number in 0..<1000 { append("line \(number)\n", to: sink) }
        #expect(pipe.lines(1000) == (0..<1000).map { "line \($0)" })
        #expect(sink.close() && sink.droppedLines.sum == 0)
    }

    @Test func theLastLinesAreKeptWhole() throws {
        let null = open("/dev/null", O_WRONLY | O_CLOEXEC)
        defer { close(null) }
        let sink = LogSink(descriptor: null)
        #expect(sink.tail.isEmpty)
        append("first\n", to: sink)
        #expect(sink.flush() && sink.tail == ["first"])
        // Far more than is kept, in many batches.
        for number in 0..<40 {
            for line in 0..<500 {
                append("line \(number * 500 + line) \(String(repeating: "x", count: 90))\n", to: sink)
            }
            #expect(sink.flush())
        }
        let tail = sink.tail
        let numbers = tail.compactMap { Int($0.split(separator: " ").dropFirst().first ?? "") }
        #expect(tail.allSatisfy { $0.hasPrefix("line ") && $0.hasSuffix("x") })
        #expect(numbers.last == 19_999 && numbers == Array((20_000 - numbers.count)..<20_000))
        #expect((4_000...12_000).contains(numbers.count), "\(numbers.count)")
        sink.close()
    }

    @Test func flushWaitsUntilAllIsWritten() throws {
        let pipe = try TestPipe()
        let sink = LogSink(descriptor: pipe.writing)
        #expect(sink.flush())
        append("one\n", to: sink)
        #expect(sink.flush())
        // It is in the pipe by now: nothing is left to wait for.
        #expect(pipe.read(4) == Array("one\n".utf8))
        sink.close()
    }

    @Test func closeWritesWhatIsLeftAndEndsTheSink() throws {
        let pipe = try TestPipe()
        let sink = LogSink(descriptor: pipe.writing)
        append("last\n", to: sink)
        #expect(sink.close())
        append("too late\n", to: sink)
        #expect(sink.droppedLines.sum == 1)
        #expect(pipe.lines(1) == ["last"])
        #expect(sink.close() && sink.flush())
    }

    /// The reader stops reading. Whoever logs goes on at once; what finds no room is counted, and said when lines flow
    /// again.
    @Test(arguments: [false, true])
    func aStalledReaderCostsLinesAndNothingElse(nonBlocking: Bool) throws {
        let pipe = try TestPipe(nonBlocking: nonBlocking)
        let stuffing = pipe.stall()
        let sink = LogSink(descriptor: pipe.writing, capacity: 1000)
        let line = String(repeating: "a", count: 99) + "\n"
        for _ in 0..<25 { append(line, to: sink) }
        // Ten lines fit, whether the writer has taken some of them already or not.
        #expect(sink.droppedLines.sum == 15)
        #expect(!sink.flush(within: 20), "the reader is stalled")
        #expect(pipe.read(stuffing).count == stuffing)
        // One notice, or several where the writer was quicker than the loop above.
        var kept = 0
        var reported = 0
        while kept < 10 || reported < 15 {
            let lines = pipe.lines(1)
            try #require(!lines.isEmpty, "kept \(kept), told \(reported)")
            for text in lines where text + "\n" != line {
                let notice = try object(text)
                #expect(notice["level"] == "warning")
                reported += try #require(notice["dropped"].flatMap { Int($0) })
            }
            kept += lines.count { $0 + "\n" == line }
        }
        #expect(kept == 10 && reported == 15)
        // And on it goes.
        #expect(sink.flush(within: 10_000))
        append(line, to: sink)
        #expect(pipe.lines(1).map { $0 + "\n" } == [line])
        #expect(sink.close() && sink.droppedLines.sum == 15)
    }

    /// With 16631be a flood of refused requests filled the buffer, and an order's line was dropped. With one room
    /// for all kinds, 16 lines of the refused were kept, and no other.
    @Test func whatStrangersCauseLeavesRoomForTheRest() throws {
        let pipe = try TestPipe()
        let stuffing = pipe.stall()
        let sink = LogSink(descriptor: pipe.writing, capacity: 1_600)
        let names: [LogRoom: String] = [.refused: "r", .ordinary: "o", .authenticated: "a", .orders: "x"]
        func line(_ room: LogRoom) -> String { String(repeating: names[room] ?? "", count: 99) + "\n" }
        // Each kind floods, the least important first; each finds its part of the 16 places.
        for room in [LogRoom.refused, .ordinary, .authenticated, .orders] {
            for _ in 0..<100 { append(line(room), to: sink, in: room) }
        }
        let dropped = sink.droppedLines
        #expect(dropped[.refused] == 96 && dropped[.ordinary] == 96 && dropped[.authenticated] == 94)
        #expect(dropped[.orders] == 98 && dropped.sum == 384)
        #expect(pipe.read(stuffing).count == stuffing)
        var kept: [String] = []
        var reported: [String: Int] = [:]
        while kept.count < 16 || reported["dropped", default: 0] < 384 {
            let lines = pipe.lines(1)
            try #require(!lines.isEmpty)
            for text in lines {
                guard text.hasPrefix("{") else {
                    kept.append(String(text.prefix(1)))
                    continue
                }
                for (key, value) in try object(text) where key.hasPrefix("dropped") {
                    reported[key, default: 0] += Int(value) ?? 0
                }
            }
        }
        #expect(kept.joined() == "rrrrooooaaaaaaxx")
        #expect(
            reported == [
                "dropped": 384, "dropped_refused": 96, "dropped_ordinary": 96, "dropped_authenticated": 94,
                "dropped_orders": 98,
            ])
        sink.close()
    }

    /// Where the sink's own notice took room, the last line found none.
    @Test func theNoticeOfWhatWasDroppedTakesNoRoom() throws {
        let pipe = try TestPipe()
        let stuffing = pipe.stall()
        let sink = LogSink(descriptor: pipe.writing, capacity: 1000)
        let line = String(repeating: "a", count: 99) + "\n"
        for _ in 0..<9 { append(line, to: sink) }
        append(line + line, to: sink)
        // In this time the writer takes what there is, and makes the notice.
        #expect(!sink.flush(within: 200), "the reader is stalled")
        append(line, to: sink)
        #expect(sink.droppedLines.sum == 1)
        #expect(pipe.read(stuffing).count == stuffing)
        #expect(sink.flush(within: 10_000))
        sink.close()
    }

    @Test func aLineThatFitsNowhereIsDropped() throws {
        let pipe = try TestPipe()
        let sink = LogSink(descriptor: pipe.writing, capacity: 100)
        append(String(repeating: "a", count: 101) + "\n", to: sink)
        #expect(try object(try #require(pipe.lines(1).first))["dropped"] == "1")
        sink.close()
    }

    @Test func closeDoesNotWaitForEver() throws {
        let pipe = try TestPipe()
        let stuffing = pipe.stall()
        let sink = LogSink(descriptor: pipe.writing)
        append("never read\n", to: sink)
        #expect(!sink.close(within: 50))
        // Let the writer end before its descriptor is closed.
        _ = pipe.read(stuffing)
        #expect(pipe.lines(1) == ["never read"])
        #expect(sink.flush(within: 10_000))
    }

    @Test func aReaderThatIsGoneEndsNothing() throws {
        signal(SIGPIPE, SIG_IGN)
        let pipe = try TestPipe()
        let gone = dup(pipe.writing)
        let sink = LogSink(descriptor: gone)
        close(gone)
        append("lost\n", to: sink)
        #expect(sink.flush(within: 10_000))
        #expect(sink.close())
    }

    @Test func manyWritersMakeWholeLines() async throws {
        let pipe = try TestPipe()
        let sink = LogSink(descriptor: pipe.writing)
        let writers = 8
        let each = 2000
        await withTaskGroup(of: Void.self) { group in
            for writer in 0..<writers {
                group.addTask {
                    for number in 0..<each {
                        let line = "\(writer) \(number) " + String(repeating: "\(writer)", count: number % 300) + "\n"
                        Array(line.utf8).withUnsafeBytes { sink.append($0) }
                    }
                }
            }
            group.addTask {
                var next = [Int](repeating: 0, count: writers)
                for line in pipe.lines(writers * each) {
                    let fields = line.split(separator: " ", omittingEmptySubsequences: false)
                    guard fields.count == 3, let writer = Int(fields[0]), next.indices.contains(writer) else {
                        Issue.record("a broken line: \(line)")
                        continue
                    }
                    // The lines of one writer keep their order.
                    #expect(fields[1] == "\(next[writer])" && fields[2].count == next[writer] % 300)
                    next[writer] += 1
                }
                #expect(next == [Int](repeating: each, count: writers))
            }
        }
        #expect(sink.close() && sink.droppedLines.sum == 0)
    }
}
