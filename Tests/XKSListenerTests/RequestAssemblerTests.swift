// SPDX-License-Identifier: Apache-2.0
import Testing
import XKSListener
import XKSProtocol

@Suite struct RequestAssemblerTests {
    private let limits = AssemblerLimits(headerCount: 4, bodyBytes: 10)

    private func head(
        _ fields: [(String, String)], version: RequestHead.Version = .http11, method: String = "POST",
        target: String = "/a?b"
    ) -> RequestHead {
        RequestHead(
            version: version, method: method, target: target,
            headers: fields.map { HeaderField(name: $0.0, value: $0.1) })
    }

    private func refusal(_ head: RequestHead) -> Refusal? {
        var assembler = RequestAssembler(limits: limits)
        do throws(Refusal) {
            _ = try assembler.begin(head, receivedAt: 0)
            return nil
        } catch {
            return error
        }
    }

    private func append(_ text: String, to assembler: inout RequestAssembler) throws(Refusal) {
        let bytes = Array(text.utf8)
        let result = bytes.withUnsafeBytes { raw -> Result<Void, Refusal> in
            do throws(Refusal) { return .success(try assembler.append(raw)) } catch { return .failure(error) }
        }
        try result.get()
    }

    @Test func assemblesARequestFromPieces() throws {
        var assembler = RequestAssembler(limits: limits)
        let beginning = try assembler.begin(head([("HOST", "h"), ("Content-Length", "5")]), receivedAt: 7)
        #expect(!beginning.sendContinue && !beginning.closesAfter)
        try append("ab", to: &assembler)
        try append("cde", to: &assembler)
        #expect(assembler.bufferedBytes == 5)
        let request = try assembler.finish(peer: "p:1")
        #expect(request.method == "POST" && request.target == "/a?b" && request.peer == "p:1")
        #expect(request.receivedAt == 7)
        #expect(request.body.text == "abcde")
        #expect(
            request.headers == [
                HeaderField(name: "HOST", value: "h"), HeaderField(name: "Content-Length", value: "5"),
            ])
        #expect(assembler.bufferedBytes == 0)
    }

    @Test func takesNothingWithoutAHead() {
        var assembler = RequestAssembler(limits: limits)
        #expect(throws: Refusal.malformed) { try append("x", to: &assembler) }
        #expect(throws: Refusal.malformed) { _ = try assembler.finish(peer: "") }
    }

    @Test func boundsTheBodyDeclaredOrNot() throws {
        #expect(refusal(head([("Host", "h"), ("Content-Length", "11")])) == .bodyTooLarge)
        #expect(refusal(head([("Host", "h"), ("Content-Length", "10")])) == nil)
        var assembler = RequestAssembler(limits: limits)
        _ = try assembler.begin(head([("Host", "h"), ("Transfer-Encoding", "Chunked")]), receivedAt: 0)
        try append("0123456789", to: &assembler)
        #expect(throws: Refusal.bodyTooLarge) { try append("x", to: &assembler) }
        #expect(assembler.bufferedBytes == 0)
    }

    @Test func refusesABodyOfAnotherLengthThanDeclared() throws {
        var assembler = RequestAssembler(limits: limits)
        _ = try assembler.begin(head([("Host", "h"), ("Content-Length", "3")]), receivedAt: 0)
        try append("ab", to: &assembler)
        #expect(throws: Refusal.malformed) { _ = try assembler.finish(peer: "") }
    }

    @Test(arguments: ["", "+1", "-1", " 1", "1 ", "1,1", "0x1", "1.0", "99999999999999999999", "١"])
    func refusesALengthThatIsNoNumber(_ value: String) {
        #expect(refusal(head([("Host", "h"), ("content-length", value)])) == .ambiguousLength)
    }

    @Test func refusesWhatTwoReadersCouldUnderstandInTwoWays() {
        let host = ("Host", "h")
        let length = ("Content-Length", "1")
        let chunked = ("Transfer-Encoding", "chunked")
        #expect(refusal(head([host, length, length])) == .ambiguousLength)
        #expect(refusal(head([host, length, chunked])) == .ambiguousLength)
        #expect(refusal(head([host, chunked, chunked])) == .ambiguousLength)
        #expect(refusal(head([host, ("Transfer-Encoding", "gzip, chunked")])) == .ambiguousLength)
        #expect(refusal(head([host, ("Transfer-Encoding", "identity")])) == .ambiguousLength)
        #expect(refusal(head([host, chunked], version: .http10)) == .ambiguousLength)
        #expect(refusal(head([host, chunked], version: .http2)) == .ambiguousLength)
        #expect(refusal(head([length])) == .hostMissingOrRepeated)
        #expect(refusal(head([host, host])) == .hostMissingOrRepeated)
        #expect(refusal(head([("Host", "")])) == .hostMissingOrRepeated)
        #expect(refusal(head([], version: .http10)) == nil)
        #expect(refusal(head([host, host], version: .http10)) == .hostMissingOrRepeated)
    }

    @Test(arguments: ["", "*", "http://h/", "h:443", "a"])
    func refusesATargetThatIsNoPath(_ target: String) {
        #expect(refusal(head([("Host", "h")], target: target)) == .targetNotAPath)
    }

    @Test func boundsTheNumberOfFields() {
        let fields = [("Host", "h")] + (0..<4).map { ("x\($0)", "") }
        #expect(refusal(head(fields)) == .headerTooLarge)
        #expect(refusal(head(Array(fields.dropLast()))) == nil)
    }

    @Test func continuesOnlyWhereABodyIsWaitedFor() throws {
        func sends(_ fields: [(String, String)], _ version: RequestHead.Version = .http11) throws -> Bool {
            var assembler = RequestAssembler(limits: limits)
            return try assembler.begin(head([("Host", "h")] + fields, version: version), receivedAt: 0).sendContinue
        }
        let expect = ("Expect", "100-Continue")
        #expect(try sends([expect, ("Content-Length", "3")]))
        #expect(try sends([expect, ("Transfer-Encoding", "chunked")]))
        #expect(try !sends([expect, ("Content-Length", "0")]))
        #expect(try !sends([expect]))
        #expect(try !sends([expect, ("Content-Length", "3")], .http10))
        #expect(refusal(head([("Host", "h"), ("Expect", "tea")])) == .unknownExpectation)
        #expect(refusal(head([("Host", "h"), expect, ("Content-Length", "11")])) == .bodyTooLarge)
    }

    @Test func seesThatAClientMeansToLeaveHTTP() throws {
        var assembler = RequestAssembler(limits: limits)
        let upgrade = head([("Host", "h"), ("Upgrade", "h2c")])
        #expect(try assembler.begin(upgrade, receivedAt: 0).closesAfter)
    }

    @Test func refusalsAreAnswersOfTheAPI() {
        for refusal in Refusal.allCases {
            let text = refusal.response.body.text
            #expect(text == "{\"errorName\":\"\(refusal.error.rawValue)\",\"errorMessage\":\"\(refusal.message)\"}")
            #expect(refusal.message.utf8.allSatisfy { (0x20...0x7E).contains($0) && $0 != 0x22 && $0 != 0x5C })
            #expect((400...499).contains(refusal.status))
        }
    }
}
