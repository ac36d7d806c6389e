// SPDX-License-Identifier: Apache-2.0
import Foundation
import RequestTraces
import Testing
import XKSProtocol

private let context = TraceContext(traceHigh: 1, traceLow: 0xAB, spanID: 0xCD)

/// A request that was recorded, with so many calls of an HSM.
private func trace(calls: Int = 1, _ change: (inout RequestTrace) -> Void = { _ in }) -> RequestTrace {
    var trace = RequestTrace()
    trace.operation = .decrypt
    trace.keyStore = "/bank"
    trace.externalKeyID = "payments"
    trace.metadata = RequestMetadata(kmsOperation: "Decrypt", kmsRequestId: "4112f4d6")
    trace.receivedAt = 5_000_000_000
    trace.totalMicroseconds = 3_000
    trace.status = 200
    trace.recording = RequestRecording(
        context: context, parentID: nil,
        calls: (0..<calls).map { index in
            .init(
                spanID: UInt64(index + 1), purpose: .decrypt, target: "hsm-a", startedAt: 5_001_000_000,
                endedAt: 5_002_000_000, outcome: "ok", hasFailed: false)
        })
    change(&trace)
    return trace
}

@Suite struct TraceDocumentTests {
    private func spans(_ traces: RequestTrace..., showsKeys: Bool = false) throws -> [[String: Any]] {
        var document = TraceDocument(
            .init(node: "fra-1", site: "fra", version: "1.2.3"), epoch: 1_000, showsKeys: showsKeys)
        for trace in traces { document.add(trace) }
        let json = try JSONSerialization.jsonObject(with: Data(document.text.utf8)) as? [String: Any]
        let resource = (json?["resourceSpans"] as? [[String: Any]])?.first
        let scope = (resource?["scopeSpans"] as? [[String: Any]])?.first
        let spans = try #require(scope?["spans"] as? [[String: Any]])
        #expect(spans.count == document.spanCount)
        return spans
    }

    private func attributes(_ span: [String: Any]) -> [String: String] {
        let list = span["attributes"] as? [[String: Any]] ?? []
        return list.reduce(into: [:]) { result, attribute in
            guard let key = attribute["key"] as? String, let value = attribute["value"] as? [String: Any] else {
                return
            }
            result[key] = value.values.first.map { "\($0)" }
        }
    }

    @Test func aRequestAndItsCallsAreSpans() throws {
        let spans = try spans(trace())
        #expect(spans.count == 2)
        #expect(spans[0]["traceId"] as? String == "000000000000000100000000000000ab")
        #expect(spans[0]["spanId"] as? String == "00000000000000cd" && spans[0]["parentSpanId"] == nil)
        #expect(spans[0]["startTimeUnixNano"] as? String == "5000001000")
        #expect(spans[0]["endTimeUnixNano"] as? String == "5003001000")
        #expect(spans[0]["kind"] as? Int == 2 && spans[0]["name"] as? String == "XKS Decrypt")
        #expect(spans[0]["status"] == nil && attributes(spans[0])["kmsRequestId"] == "4112f4d6")
        #expect(spans[1]["parentSpanId"] as? String == "00000000000000cd" && spans[1]["kind"] as? Int == 3)
        #expect(
            spans[1]["startTimeUnixNano"] as? String == "5001001000" && attributes(spans[1])["claviger.hsm"] == "hsm-a")
        // What was not recorded is no span.
        #expect(try self.spans(trace { $0.recording = nil }).isEmpty)
    }

    @Test func aPeersSpanIsTheParent() throws {
        let spans = try spans(trace { $0.recording?.parentID = 0xEF })
        #expect(spans[0]["parentSpanId"] as? String == "00000000000000ef")
    }

    @Test(arguments: [false, true]) func keysAreNamedWhereThatIsWanted(showsKeys: Bool) throws {
        let refused = trace {
            $0.error = .keyNotFound
            $0.reason = "no HSM has the key payments"
            $0.status = 404
        }
        let span = try spans(refused, showsKeys: showsKeys)[0]
        #expect(attributes(span)["claviger.key"] == (showsKeys ? "payments" : nil))
        #expect("\(span)".contains("payments") == showsKeys)
        let status = span["status"] as? [String: Any]
        #expect(
            status?["code"] as? Int == 2 && (status?["message"] as? String)?.hasPrefix("KeyNotFoundException") == true)
        #expect(attributes(span)["claviger.outcome"] == "KeyNotFoundException")
    }

    @Test func whatCallersSayStaysWhatItIs() throws {
        let odd = "a\"b\\c\u{1}\n\u{7F}é🔑\u{2028}</script>"
        let span = try spans(
            trace {
                $0.metadata?.kmsRequestId = odd
                $0.error = .internalFailure
                $0.reason = odd
            }, showsKeys: true)[0]
        #expect(attributes(span)["kmsRequestId"] == odd)
        let status = span["status"] as? [String: Any]
        #expect(status?["message"] as? String == "InternalException: \(odd)")
    }
}

@Suite struct TraceContextTests {
    @Test func aContextIsReadAsItWasWritten() throws {
        #expect(context.traceparent == "00-000000000000000100000000000000ab-00000000000000cd-01")
        #expect(TraceContext(traceparent: context.traceparent) == context)
    }

    @Test(arguments: [
        "", "00", "00-000000000000000100000000000000ab-00000000000000cd-00",
        "01-000000000000000100000000000000ab-00000000000000cd-01",
        "00-00000000000000000000000000000000-00000000000000cd-01",
        "00-000000000000000100000000000000ab-0000000000000000-01",
        "00-000000000000000100000000000000AB-00000000000000cd-01",
        "00-+00000000000000100000000000000ab-00000000000000cd-01",
        "00-000000000000000100000000000000ab-00000000000000cd-01-x",
        "00-0000000000000001000000000000é0ab-00000000000000cd-01",
    ]) func whatHasAnotherFormIsNone(text: String) {
        #expect(TraceContext(traceparent: text) == nil)
    }
}

@Suite struct TraceSamplerTests {
    @Test(arguments: [0, 0.01, 0.5, 1]) func theShareOfTheRequestsIsTraced(ratio: Double) {
        let sampler = TraceSampler(ratio: ratio)
        // As alike as ids can be: counted up.
        let taken = (0..<100_000).count { sampler.takes("4112f4d6-db54-4af4-ae30-\($0)") }
        #expect(abs(Double(taken) - ratio * 100_000) <= (ratio == 0 || ratio == 1 ? 0 : 1_000), "\(taken)")
    }

    @Test func whatIsBeyondCountsAsTheNearest() {
        #expect(TraceSampler(ratio: -1) == TraceSampler(ratio: 0) && TraceSampler(ratio: 7) == TraceSampler(ratio: 1))
        #expect(TraceSampler(ratio: .nan) == TraceSampler(ratio: 0))
    }

    /// So each node decides alike, also of another version: what comes of an id is fixed. These were worked out apart.
    @Test func theSameRequestIsTracedAtEachNodeAndAgain() {
        let taken = ["a", "b", "c", "d", "e", "f", "g", "h"].filter { TraceSampler(ratio: 0.5).takes($0) }
        #expect(taken == ["a", "b", "c", "d", "g"])
        // Whoever is traced at a small share is at a larger one.
        let ids = (0..<10_000).map { "request-\($0)" }
        let (few, many) = (TraceSampler(ratio: 0.1), TraceSampler(ratio: 0.2))
        #expect(ids.filter(few.takes).allSatisfy(many.takes))
    }
}

@Suite struct TraceOutboxTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func aMessageIsDueWhenItIsFullOrTheOldestHasWaited() {
        var outbox = TraceOutbox()
        outbox.add(trace(), now: 10)
        #expect(outbox.next(now: 10) == nil && outbox.next(now: 9 + TraceOutbox.linger) == nil)
        #expect(outbox.next(now: 10 + TraceOutbox.linger)?.count == 1)
        #expect(outbox.ended(.taken(rejecting: 0), now: 20) == .none)
        for _ in 0..<(TraceOutbox.batch + 1) { outbox.add(trace(), now: 30) }
        #expect(outbox.next(now: 30)?.count == TraceOutbox.batch && outbox.waiting == 1)
        #expect(outbox.ended(.taken(rejecting: 0), now: 30) == .none)
        #expect(outbox.next(now: 30) == nil && outbox.next(now: 30, isLast: true)?.count == 1)
        #expect(outbox.counts.sent == 2 + UInt64(TraceOutbox.batch) * 2)
    }

    @Test func whatFindsNoRoomIsCounted() {
        var outbox = TraceOutbox()
        for _ in 0..<(TraceOutbox.capacity + 10) { outbox.add(trace(calls: 2), now: 0) }
        #expect(outbox.waiting == TraceOutbox.capacity && outbox.counts.crowdedOut == 30)
    }

    @Test func aMessageIsTriedSomeTimesWithGrowingPauses() {
        var outbox = TraceOutbox()
        outbox.add(trace(), now: 0)
        var now = TraceOutbox.linger
        var pauses: [UInt64] = []
        for attempt in 1...TraceOutbox.mostTries {
            #expect(outbox.next(now: now) != nil)
            #expect(outbox.ended(.notNow, now: now) == (attempt == 1 ? .failing : .none))
            outbox.add(trace(), now: now)
            let before = now
            while outbox.next(now: now) == nil { now += Self.second / 2 }
            pauses.append((now - before) / Self.second)
        }
        #expect(pauses == [1, 2, 4, 8])
        #expect(outbox.counts == .init(unsent: 2) && outbox.isFailing)
        // The next message goes, and it is over.
        #expect(outbox.ended(.taken(rejecting: 1), now: now) == .mended(lost: 3))
        #expect(!outbox.isFailing && outbox.counts.refused == 1)
    }

    @Test func thePauseHasABound() {
        var outbox = TraceOutbox()
        var now: UInt64 = 0
        for _ in 0..<100 {
            outbox.add(trace(), now: now)
            now += TraceOutbox.longestPause
            #expect(outbox.next(now: now) != nil)
            _ = outbox.ended(.notNow, now: now)
        }
        #expect(outbox.next(now: now + TraceOutbox.longestPause - 1) == nil)
        #expect(outbox.next(now: now + TraceOutbox.longestPause) != nil)
    }

    @Test func whatIsRefusedIsNotTriedAgain() {
        var outbox = TraceOutbox()
        outbox.add(trace(calls: 2), now: 0)
        #expect(outbox.next(now: 0, isLast: true) != nil)
        #expect(outbox.ended(.refused, now: 0) == .failing)
        #expect(outbox.next(now: 0, isLast: true) == nil && outbox.counts == .init(refused: 3))
        outbox.add(trace(), now: 0)
        #expect(outbox.next(now: 0, isLast: true) != nil)
        // Whatever number a collector names.
        #expect(outbox.ended(.taken(rejecting: .max), now: 0) == .mended(lost: 5))
        #expect(outbox.counts == .init(refused: 5))
    }

    @Test func anotherCollectorIsAskedAtOnce() {
        var outbox = TraceOutbox()
        outbox.add(trace(), now: 0)
        for attempt in 0..<UInt64(TraceOutbox.mostTries - 1) {
            #expect(outbox.next(now: attempt * TraceOutbox.longestPause + Self.second) != nil)
            _ = outbox.ended(.notNow, now: attempt * TraceOutbox.longestPause + Self.second)
        }
        let now = UInt64(TraceOutbox.mostTries - 2) * TraceOutbox.longestPause + Self.second
        #expect(outbox.next(now: now) == nil)
        outbox.begin()
        #expect(outbox.next(now: now)?.count == 1 && outbox.ended(.notNow, now: now) == .none)
        // It is told as one with what was before, until that one takes something.
        #expect(outbox.next(now: now + TraceOutbox.firstPause) != nil)
        #expect(outbox.ended(.taken(rejecting: 0), now: now) == .mended(lost: 0))
    }

    @Test func withoutACollectorNothingWaits() {
        var outbox = TraceOutbox()
        for _ in 0..<300 { outbox.add(trace(), now: 0) }
        #expect(outbox.next(now: 0) != nil)
        _ = outbox.ended(.notNow, now: 0)
        outbox.clear()
        #expect(outbox.waiting == 0 && outbox.counts == .init(unsent: 600) && !outbox.isFailing)
        #expect(outbox.next(now: 0, isLast: true) == nil)
    }
}

@Suite struct ExportResponseTests {
    @Test(arguments: [
        (#"{"partialSuccess":{"rejectedSpans":"12","errorMessage":"no"}}"#, 12),
        (#"{ "partialSuccess" : { "rejectedSpans" : 3 } }"#, 3), ("{}", 0), ("", 0), ("\u{0}\u{FF}", 0),
        (#"{"partialSuccess":{"rejectedSpans":-4}}"#, 0), (#"{"partialSuccess":{"rejectedSpans":"#, 0),
        (#"{"rejectedSpans":"99999999999999999999999999"}"#, Int.max),
    ]) func whatIsNotTakenIsRead(text: String, number: Int) {
        #expect(ExportResponse.rejectedSpans(Array(text.utf8)) == number)
    }
}
