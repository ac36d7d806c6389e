// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import Foundation
import Logging
import Observability
import SecureMemory
import Testing
import XKSProtocol

@Suite struct LogHandlerTests {
    /// What the body logs, line by line.
    private func logged(
        _ style: LogStyle = LogStyle(), level: Logger.Level = .info, _ body: (inout Logger) -> Void
    ) throws -> [String] {
        let pipe = try TestPipe()
        let sink = LogSink(descriptor: pipe.writing)
        var logger = Logger(label: "test") {
            LineLogHandler(label: $0, sink: sink, style: style, level: LogLevel(level))
        }
        body(&logger)
        logger.critical("end")
        #expect(sink.close())
        var lines: [String] = []
        while lines.last?.contains("end") != true {
            let more = pipe.lines(1)
            try #require(!more.isEmpty)
            lines += more
        }
        return Array(lines.dropLast())
    }

    private struct Failure: Error, CustomStringConvertible {
        var description: String { "it \"broke\"" }
    }

    @Test func metadataBecomesFields() throws {
        let lines = try logged { logger in
            logger[metadataKey: "node"] = "fra-1"
            logger[metadataKey: "hsm"] = "a"
            logger.notice(
                "hello \"you\"",
                metadata: [
                    "hsm": "b", "list": ["x", ["y"]], "table": ["k": ["l": "m"]], "number": .stringConvertible(7),
                    "level": "mine",
                ])
        }
        var fields = try object(try #require(lines.first))
        let timestamp = try #require(fields["timestamp"])
        fields["timestamp"] = nil
        #expect(timestamp.count == 27 && timestamp.hasSuffix("Z"))
        #expect(
            fields == [
                "level": "notice", "message": "hello \"you\"", "logger": "test", "node": "fra-1", "hsm": "b",
                "list.0": "x", "list.1.0": "y", "table.k.l": "m", "number": "7", "level_": "mine",
            ])
    }

    @Test func anErrorIsAField() throws {
        let lines = try logged { $0.error("no", error: Failure()) }
        #expect(try object(try #require(lines.first))["error"] == "it \"broke\"")
    }

    @Test func depthIsBounded() throws {
        var value: Logger.MetadataValue = "deep"
        for _ in 0..<1000 { value = .array([value]) }
        let lines = try logged { $0.info("m", metadata: ["a": value]) }
        #expect(try object(try #require(lines.first))["a.0.0.0.0.0.0.0.0"] == "…")
    }

    @Test func levelsBelowTheHandlersAreLeftOut() throws {
        #expect(try logged { $0.debug("quiet") } == [])
        #expect(try logged(level: .debug) { $0.debug("loud") }.count == 1)
    }

    @Test func textIsForPeople() throws {
        let style = LogStyle(node: "fra-1", format: .text)
        let lines = try logged(style) {
            $0.warning("hsm a is slow", metadata: ["p99": "80 ms", "lanes": "3", "why": "a=b"])
        }
        let line = try #require(lines.first)
        #expect(line.dropFirst(28) == "WARN   fra-1: hsm a is slow lanes=3 p99=\"80 ms\" why=\"a=b\"")
    }

    /// With 16631be no line said which node had written it: of several in one journal nobody could tell.
    @Test func eachLineNamesItsNode() throws {
        let lines = try logged(LogStyle(node: "fra-1")) { logger in
            logger.info("m", metadata: ["node": "fra-2", "nodeID": "mine"])
            RequestLog(logger: logger).answered(trace)
        }
        let event = try object(try #require(lines.first))
        #expect(event["nodeID"] == "fra-1" && event["node"] == "fra-2" && event["nodeID_"] == "mine")
        #expect(try object(try #require(lines.last))["nodeID"] == "fra-1")
        let notice = String(decoding: LogLine.dropNotice(LogLineCounts(), style: LogStyle(node: "n")), as: UTF8.self)
        #expect(notice.contains(#""nodeID":"n""#))
    }

    @Test func howLinesLookChangesWhileALoggerIsInUse() throws {
        let style = LogStyle(node: "n")
        let lines = try logged(style) { logger in
            for format in LogFormat.allCases {
                style.format = format
                logger.notice("clé", metadata: ["a": "\u{1B}[2J"])
            }
            style.format = .json
        }
        #expect(lines.count == 3)
        #expect(lines.first?.hasPrefix("{") == true)
        #expect(
            lines.dropFirst().map { $0.dropFirst(28) } == [
                #"NOTICE n: clé a="\u001b[2J""#, #"NOTICE n: cl\u00e9 a="\u001b[2J""#,
            ])
    }

    // MARK: - Requests

    private var trace: RequestTrace {
        var trace = RequestTrace()
        (trace.peer, trace.operation, trace.keyStore, trace.externalKeyID) = ("[::1]:5", .encrypt, "/a", "foo")
        trace.metadata = RequestMetadata(
            awsPrincipalArn: "arn:aws:iam::123456789012:user/Al\"ice", kmsKeyArn: "arn:key", kmsOperation: "Encrypt",
            kmsRequestId: "4112f4d6-db54-4af4-ae30-c55a22a8dfae", awsSourceVpc: "vpc-1", awsSourceVpce: "vpce-2",
            kmsViaService: "ebs.us-east-1.amazonaws.com")
        trace.region = "us-east-1"
        (trace.accessKeyID, trace.hsm, trace.attempts) = ("AAAABBBBCCCCDDDD2222", "b", 2)
        (trace.totalMicroseconds, trace.hsmMicroseconds, trace.status, trace.reason) = (812, 47, 200, "why")
        return trace
    }

    @Test func aRequestIsOneLine() throws {
        let lines = try logged { RequestLog(logger: $0).answered(trace) }
        #expect(lines.count == 1)
        var fields = try object(try #require(lines.first))
        fields["timestamp"] = nil
        #expect(
            fields == [
                "level": "info", "message": "request", "kmsRequestId": "4112f4d6-db54-4af4-ae30-c55a22a8dfae",
                "operation": "Encrypt", "keystore": "/a", "key": "foo",
                "principal": "arn:aws:iam::123456789012:user/Al\"ice", "hsm": "b", "attempts": "2", "total_us": "812",
                "hsm_us": "47", "outcome": "ok", "status": "200", "peer": "[::1]:5", "reason": "why",
                "accessKeyID": "AAAABBBBCCCCDDDD2222", "kmsOperation": "Encrypt", "kmsKeyArn": "arn:key",
                "viaService": "ebs.us-east-1.amazonaws.com", "sourceVpc": "vpc-1", "sourceVpce": "vpce-2",
                "region": "us-east-1",
            ])
    }

    @Test func whatARefusedRequestClaimsStandsUnderNamesOfItsOwn() throws {
        var refused = RefusedRequest(
            ProxyRequest(
                method: "POST", target: "/b/kms/xks/v1/health", headers: [HeaderField(name: "Host", value: "h")],
                body: SecretBytes(#"{"requestMetadata":{"kmsRequestId":"id"}}"#.utf8), receivedAt: 0, peer: "p"))
        (refused.authentication, refused.accessKeyID, refused.nearestPath) = ("clock-skew", "AAAA", "/a/kms/xks/v1")
        var stranger = RequestTrace()
        (stranger.status, stranger.error, stranger.refused) = (401, .authenticationFailed, refused)
        var signed = stranger
        (signed.status, signed.accessKeyID, signed.region) = (400, "BBBB", "eu-central-1")
        let lines = try logged { logger in
            RequestLog(logger: logger).answered(stranger)
            RequestLog(logger: logger).answered(signed)
        }
        let (first, second) = (try object(try #require(lines.first)), try object(try #require(lines.last)))
        #expect(first["claimedRequestId"] == "id" && first["claimedAccessKeyID"] == "AAAA")
        #expect(first["kmsRequestId"] == nil && first["authentication"] == "clock-skew")
        #expect(first["path"] == "/b/kms/xks/v1/health" && first["host"] == "h")
        #expect(first["nearestPath"] == "/a/kms/xks/v1" && first["region"] == nil)
        #expect(second["kmsRequestId"] == "id" && second["claimedRequestId"] == nil)
        #expect(second["claimedAccessKeyID"] == nil && second["region"] == "eu-central-1")
    }

    /// The listener counts them; here they share the lines of strangers.
    @Test func whatTheListenerRefusesHasAsManyLinesAsStrangersHave() throws {
        let counter = RefusalCounter { 0 }
        var trace = RequestTrace()
        (trace.peer, trace.status, trace.error, trace.reason) = ("192.0.2.1:5", 413, .validation, "why")
        trace.refused = RefusedRequest(
            ProxyRequest(
                method: "POST", target: "/p", headers: [], body: SecretBytes(#"{"kmsRequestId":"id"}"#.utf8),
                receivedAt: 0,
                peer: "p"))
        let lines = try logged { logger in
            let log = RequestLog(logger: logger, refusals: counter)
            for _ in 0..<100 where log.hasLine(peer: trace.peer, error: .validation) { log.refused(trace) }
            #expect((75...80).contains(log.withheldLines))
            #expect(log.hasLine(peer: "192.0.2.2:5", error: .validation))
        }
        #expect((20...25).contains(lines.count) && counter.sum == 0)
        let first = try object(try #require(lines.first))
        #expect(first["level"] == "info" && first["status"] == "413" && first["outcome"] == "ValidationException")
        #expect(first["claimedRequestId"] == "id" && first["path"] == "/p" && first["reason"] == "why")
    }

    @Test func whatNobodyHasGotIsAWarningAndIsCountedWhereItWasSigned() throws {
        let counter = RefusalCounter { 0 }
        var (signed, stranger) = (trace, RequestTrace())
        (signed.peer, signed.isUndelivered) = ("192.0.2.1:5", true)
        (stranger.peer, stranger.isUndelivered, stranger.status) = ("192.0.2.1:5", true, 401)
        stranger.error = .authenticationFailed
        let lines = try logged { logger in
            let log = RequestLog(logger: logger, refusals: counter)
            log.answered(signed)
            log.answered(stranger)
        }
        let first = try object(try #require(lines.first))
        #expect(first["outcome"] == "undelivered" && first["level"] == "warning" && first["status"] == "200")
        #expect(Set(counter.counts.map(\.kind)) == [.answerUndelivered, .unauthenticated])
    }

    @Test func whatIsUnknownIsLeftOutAndOurFaultIsAWarning() throws {
        for (status, level) in [(400, "info"), (501, "info"), (500, "warning"), (503, "warning")] {
            var bare = RequestTrace()
            (bare.peer, bare.operation, bare.totalMicroseconds) = ("p", .decrypt, 1)
            (bare.status, bare.error) = (status, .internalFailure)
            let lines = try logged { RequestLog(logger: $0).answered(bare) }
            var fields = try object(try #require(lines.first))
            fields["timestamp"] = nil
            #expect(
                fields == [
                    "level": level, "message": "request", "operation": "Decrypt", "attempts": "0", "total_us": "1",
                    "outcome": "InternalException", "status": "\(status)", "peer": "p",
                ])
        }
    }

    /// The level is every logger's at once, unless one has been given its own.
    @Test func theLevelChangesWhileLoggersAreInUse() throws {
        let pipe = try TestPipe()
        let sink = LogSink(descriptor: pipe.writing)
        let level = LogLevel(.notice)
        let logger = Logger(label: "test") { LineLogHandler(label: $0, sink: sink, level: level) }
        var quiet = logger
        quiet.logLevel = .critical
        logger.info("before")
        level.set(.debug)
        logger.debug("after")
        quiet.error("quiet")
        level.set(.info)
        logger.debug("later")
        logger.critical("end")
        #expect(sink.close())
        #expect(pipe.lines(2).map { try? object($0)["message"] } == ["after", "end"])
    }

    /// Four clients without a credential made 560,807 lines in a minute with 16631be. Without the allowance all 1,000 had one.
    @Test func strangersHaveFewLinesAndAreCounted() throws {
        let refusals = RefusalCounter { 1_000 }
        var stranger = RequestTrace()
        (stranger.peer, stranger.status, stranger.error) = ("192.0.2.7:1234", 401, .authenticationFailed)
        let signed = trace
        let lines = try logged { logger in
            let log = RequestLog(logger: logger, refusals: refusals)
            for _ in 0..<1_000 { log.answered(stranger) }
            for _ in 0..<50 { log.answered(signed) }
            #expect(log.withheldLines > 900)
        }
        #expect(lines.count { $0.contains("AAAABBBBCCCCDDDD2222") } == 50)
        #expect((20...60).contains(lines.count { $0.contains("192.0.2.7") }), "\(lines.count)")
        let row = try #require(refusals.counts.first)
        #expect((row.kind, row.count, row.address?.description) == (.unauthenticated, 1_000, "192.0.2.7"))
    }

    /// With one room for all kinds, and with every event in the same room, the order and the error were dropped.
    @Test func eachEventHasTheRoomOfItsKind() throws {
        let pipe = try TestPipe()
        let stuffing = pipe.stall()
        let sink = LogSink(descriptor: pipe.writing, capacity: 64 * 1024)
        let logger = Logger(label: "test") { LineLogHandler(label: $0, sink: sink) }
        let requests = RequestLog(logger: logger)
        let signed = trace
        // Each kind floods, what matters least first; each line has more than 400 bytes.
        for number in 0..<180 {
            var stranger = signed
            (stranger.peer, stranger.accessKeyID, stranger.error) = ("10.0.0.\(number):5", nil, .authenticationFailed)
            requests.answered(stranger)
        }
        let text = Logger.MetadataValue.string(String(repeating: "a", count: 400))
        for _ in 0..<200 { logger.warning("a condition", metadata: ["text": text]) }
        for _ in 0..<200 { requests.answered(signed) }
        logger.notice("an order", metadata: ["text": text])
        logger.error("to be acted on", metadata: ["text": text])
        let dropped = sink.droppedLines
        for room in [LogRoom.refused, .ordinary, .authenticated] {
            #expect((50..<180).contains(dropped[room]), "\(room): \(dropped)")
        }
        #expect(dropped[.orders] == 0)
        #expect(pipe.read(stuffing).count == stuffing)
        var lines: [String] = []
        while lines.last?.contains("to be acted on") != true {
            let more = pipe.lines(1)
            try #require(!more.isEmpty)
            // The sink's own, of what it has dropped.
            lines += more.filter { !$0.contains("\"dropped\"") }
        }
        #expect(lines.dropLast().last?.contains("an order") == true)
        sink.close()
    }

    @Test func requestsBelowTheLevelCostNothing() throws {
        #expect(try logged(level: .warning) { RequestLog(logger: $0).answered(trace) } == [])
    }
}
