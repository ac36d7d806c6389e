// SPDX-License-Identifier: Apache-2.0
import Chance
import SecureMemory
import SeededRandom
import SigV4
import Testing
import XKSProtocol

/// Nothing that comes in traps, and nothing that was changed after signing is believed.
///
/// Where SigV4 itself takes two spellings for one request (blanks), the tests say so; everything else must be refused.
@Suite struct MutationTests {
    private let verifier: SigV4Verifier
    private let scenario = Scenario()

    init() throws {
        verifier = try Scenario.verifier()
        // The signing key is remembered from here on: the mutated requests meet the short way as well.
        _ = try verifier.verify(scenario.request(), now: Scenario.now)
    }

    private func isAccepted(_ request: ProxyRequest) -> Bool {
        refusalOf(request, by: verifier, now: Scenario.now) == nil
    }

    private func withoutBlanks(_ text: String) -> [UInt8] {
        text.utf8.filter { $0 != 0x20 && !($0 >= 0x09 && $0 <= 0x0D) }
    }

    @Test func authorizationHeaders() {
        var random = RandomChoice(seed: 1)
        let right = scenario.authorization
        for round in 0..<4_000 {
            var text = right
            for _ in 0...random.below(3) { text = random.mutated(text) }
            if isAccepted(scenario.request(authorization: [text])) {
                #expect(withoutBlanks(text) == withoutBlanks(right), "round \(round): \(text)")
            }
        }
    }

    /// Elements cut, repeated and exchanged as wholes reach deeper than single bytes.
    @Test func authorizationFields() {
        var random = RandomChoice(seed: 2)
        let fields = [
            "AWS4-HMAC-SHA256", " ", ",", ", ", "Credential=", "SignedHeaders=", "Signature=", "/", ";", "host",
            "x-amz-date", ":authority", "20231114", "eu-central-1", "kms-xks-proxy", "aws4_request",
            scenario.signature, String(repeating: "0", count: 64), scenario.credentialElement,
            scenario.signedHeadersElement, Scenario.accessKeyID,
        ]
        for round in 0..<4_000 {
            var text = random.below(4) == 0 ? "" : "AWS4-HMAC-SHA256 "
            for _ in 0..<random.below(12) { text += fields[random.below(fields.count)] }
            // The forged ones lack the right signature under its own header list, unless all three came up.
            if isAccepted(scenario.request(authorization: [text])) {
                #expect(text.contains(scenario.signature), "round \(round): \(text)")
                #expect(text.contains(scenario.credentialElement), "round \(round): \(text)")
            }
        }
    }

    @Test func dates() {
        var random = RandomChoice(seed: 3)
        let right = scenario.authorization
        for round in 0..<4_000 {
            var changed = scenario
            let date =
                random.below(2) == 0
                ? random.mutated(scenario.date) : random.text(of: "0123456789TZ- ", length: 0...18)
            changed.date = date
            if isAccepted(changed.request(authorization: [right])) {
                #expect(withoutBlanks(date) == withoutBlanks(scenario.date), "round \(round): \(date)")
            }
            // Signed rightly, whatever it is: only dates that exist, near now.
            changed.scopeDate = String(date.prefix(8))
            if isAccepted(changed.request()) { #expect(date.hasPrefix("20231114T22"), "round \(round): \(date)") }
        }
    }

    @Test func targets() {
        var random = RandomChoice(seed: 4)
        let right = scenario.authorization
        for round in 0..<4_000 {
            var changed = scenario
            changed.target = random.mutated(scenario.target)
            if isAccepted(changed.request(authorization: [right])) {
                // An empty query is no query.
                #expect([scenario.target, scenario.target + "?"].contains(changed.target), "round \(round)")
            }
        }
    }

    @Test func randomTargetsSignAndVerify() throws {
        var random = RandomChoice(seed: 5)
        let signer = SigV4Signer(credential: try Scenario.credential(), region: "eu-central-1")
        for round in 0..<2_000 {
            var request = scenario.request(authorization: [])
            request.target = "/" + random.text(of: "ab%2F?&==+ ~é/\n.", length: 0...40)
            request.headers = try signer.sign(
                method: "POST", target: request.target, headers: [scenario.headers[0]], body: request.body,
                now: Scenario.now)
            #expect(isAccepted(request), "round \(round): \(request.target)")
        }
    }

    @Test func methodsHeadersAndBodies() {
        var random = RandomChoice(seed: 6)
        let right = scenario.authorization
        for round in 0..<4_000 {
            var changed = scenario
            switch random.below(3) {
            case 0:
                changed.method = random.mutated(scenario.method)
                guard changed.method != scenario.method else { continue }
            case 1:
                let index = random.below(2)
                changed.headers[index].value = random.mutated(scenario.headers[index].value)
                let value = changed.headers[index].value
                guard value.split(whereSeparator: \.isWhitespace) != [scenario.headers[index].value[...]] else {
                    continue
                }
            default:
                changed.body = Array(random.mutated(String(decoding: scenario.body, as: UTF8.self)).utf8)
                guard changed.body != scenario.body else { continue }
            }
            #expect(!isAccepted(changed.request(authorization: [right])), "round \(round): \(changed)")
        }
    }

    /// Requests without sense of any kind: the only thing asked is an answer.
    @Test func nonsense() {
        var random = RandomChoice(seed: 7)
        let names = ["Authorization", "x-amz-date", "host", "x-amz-content-sha256", ":authority", "", "é", "a b"]
        for round in 0..<2_000 {
            let headers = (0..<random.below(8)).map { _ in
                HeaderField(
                    name: random.mutated(names[random.below(names.count)]),
                    value: random.text(of: "AWS4-HMAC-SHA256 Credential=,/;é\n\u{0}", length: 0...80))
            }
            let request = ProxyRequest(
                method: random.text(of: "POST\n é", length: 0...6), target: random.text(of: "/?&=%é\n", length: 0...30),
                headers: headers, body: SecretBytes(), receivedAt: 0, peer: "")
            #expect(!isAccepted(request), "round \(round)")
        }
    }

    /// The largest of everything that fits the bounds still takes its turn quickly.
    @Test(.timeLimit(.minutes(1))) func largestRequests() throws {
        var large = scenario
        large.headers += (0..<5_000).map {
            HeaderField(name: "x-filler-\($0)", value: String(repeating: " ", count: 500))
        }
        let right = large.authorization
        large.target = "/?" + String(repeating: "&", count: 8_000)
        for _ in 0..<20 { #expect(!isAccepted(large.request(authorization: [right]))) }
    }
}
