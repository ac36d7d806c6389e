// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import SigV4
import Testing
import XKSProtocol

@Suite struct SignerTests {
    private func signer() throws -> SigV4Signer {
        SigV4Signer(credential: try Scenario.credential(), region: "eu-central-1")
    }

    @Test func signsAsThePlainestCodeDoes() throws {
        let scenario = Scenario()
        let signed = try signer().sign(
            method: scenario.method, target: scenario.target, headers: Array(scenario.headers.prefix(2)),
            body: SecretBytes(scenario.body), now: Scenario.now)
        #expect(signed.map(\.name) == ["Host", "Content-Type", "x-amz-date", "Authorization"])
        #expect(signed[2].value == scenario.date)
        #expect(signed[3].value == scenario.authorization)
    }

    @Test(arguments: ["authorization", "Authorization", "X-Amz-Date"])
    func refusesWhatIsSignedAlready(name: String) throws {
        let headers = [HeaderField(name: "host", value: "x"), HeaderField(name: name, value: "x")]
        #expect(throws: SigningError.self) {
            try signer().sign(method: "POST", target: "/", headers: headers, body: SecretBytes(), now: Scenario.now)
        }
    }

    @Test(arguments: [Int64.min, -62_135_596_801, 253_402_300_800, Int64.max])
    func refusesTimesWithoutAForm(now: Int64) throws {
        #expect(throws: SigningError.timeOutOfRange) {
            try signer().sign(method: "POST", target: "/", headers: [], body: SecretBytes(), now: now)
        }
    }

    @Test func refusesHeadersThatCannotBeSigned() throws {
        let many = (0..<32).map { HeaderField(name: "h\($0)", value: "") }
        let bad = ["", "a b", "a;b", "é", String(repeating: "a", count: 129)]
        for headers in [many] + bad.map({ [HeaderField(name: $0, value: "")] }) {
            #expect(throws: SigningError.unsignableHeaders) {
                try signer().sign(method: "POST", target: "/", headers: headers, body: SecretBytes(), now: 0)
            }
        }
        #expect(throws: SigningError.unacceptable(.malformedRequestLine)) {
            try signer().sign(method: "POST", target: "x", headers: [], body: SecretBytes(), now: 0)
        }
    }

    @Test func signsBodiesOfAnySize() throws {
        let verifier = try Scenario.verifier()
        for size in [0, 1, 55, 56, 64, 1_000, 100_000] {
            let body = SecretBytes([UInt8](repeating: 0xA5, count: size))
            let headers = try signer().sign(
                method: "POST", target: "/x", headers: [HeaderField(name: "host", value: "h")], body: body,
                now: Scenario.now)
            let request = ProxyRequest(
                method: "POST", target: "/x", headers: headers, body: body, receivedAt: 0, peer: "")
            #expect(refusalOf(request, by: verifier, now: Scenario.now) == nil)
        }
    }
}
