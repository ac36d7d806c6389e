// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import Testing
import XKSProtocol

@Suite("What another node's answer may be, and which nodes may be asked")
struct ForwardingNeedsTests {
    private func isFit(_ status: Int, _ body: String) -> Bool {
        ProxyResponse(status: status, body: SecretBytes(body.utf8)).isFitToHandOn
    }

    @Test("answers and errors of the API are handed on", arguments: [200, 400, 401, 403, 404, 429, 500, 501, 503])
    func fit(status: Int) {
        #expect(isFit(status, #"{"errorName":"InternalException","a":[1,{"b":"}\"]"}],"c":-1.5e3,"d":null}"#))
        #expect(isFit(status, "{}") && isFit(status, " {\n} \r\n"))
    }

    // A peer's 204 with a body was handed on: its body stood before the next answer on KMS's connection.
    @Test(
        "no other status is", arguments: [Int.min, -1, 0, 100, 101, 201, 204, 205, 206, 301, 304, 405, 502, 600, .max])
    func strange(status: Int) { #expect(!isFit(status, "{}")) }

    @Test(
        "what is not one JSON object is not",
        arguments: [
            "", " ", "null", "[]", "\"{}\"", "{", "}", "{]", "{\"a\":[}", "{}{}", "{} x", "x{}", "{\"a",
            "{\"a\":\"\n\"}",
            "{\u{0}}", "HTTP/1.1 200 OK", String(repeating: "{", count: 17) + String(repeating: "}", count: 17),
        ])
    func malformed(body: String) { #expect(!isFit(200, body)) }

    @Test(
        "what a peer cannot do now, another may; of what may be offered elsewhere, one that does not know it decides nothing"
    )
    func decides() {
        let unoffered = ForwardingNeeds(mayNotOffer: true)
        for status in [500, 503, 429] {
            #expect(!ForwardingNeeds.none.isDecided(by: status) && ForwardingNeeds.none.isHandedOn(status))
            #expect(!unoffered.isDecided(by: status) && unoffered.isHandedOn(status))
        }
        for status in [200, 400, 403] {
            #expect(ForwardingNeeds.none.isDecided(by: status) && unoffered.isDecided(by: status))
        }
        for status in [401, 404] {
            #expect(ForwardingNeeds.none.isDecided(by: status) && ForwardingNeeds.none.isHandedOn(status))
            #expect(!unoffered.isDecided(by: status) && !unoffered.isHandedOn(status))
        }
    }

    @Test("a node is asked that reads the format, and is neither left out nor beside those that may be asked")
    func needs() {
        #expect(ForwardingNeeds.none.allow(node: "b", reading: 1))
        #expect(!ForwardingNeeds(format: 2).allow(node: "b", reading: 1))
        #expect(ForwardingNeeds(format: 2).allow(node: "b", reading: 3))
        #expect(!ForwardingNeeds(except: ["b"]).allow(node: "b", reading: 1))
        let only = ForwardingNeeds(only: ["c", "d"], except: ["d"])
        #expect(only.allow(node: "c", reading: 1) && !only.allow(node: "b", reading: 1))
        #expect(!only.allow(node: "d", reading: 1) && !ForwardingNeeds(only: []).allow(node: "b", reading: 9))
    }
}
