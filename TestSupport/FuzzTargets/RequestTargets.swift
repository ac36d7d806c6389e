// SPDX-License-Identifier: Apache-2.0
import Foundation
import SecureMemory
import SigV4
import XKSProtocol

extension FuzzTarget {
    /// Four lines: the values of Authorization and X-Amz-Date, the target, and the rest is the body.
    static let authorization = FuzzTarget(name: "authorization") { bytes in
        let lines = FuzzInput(bytes).lines(4)
        guard lines.count == 4 else { return nil }
        let request = ProxyRequest(
            method: "POST", target: lines[2].text,
            headers: [
                HeaderField(name: "host", value: "xks.example.com"),
                HeaderField(name: "content-type", value: "application/json"),
                HeaderField(name: "x-amz-date", value: lines[1].text),
                HeaderField(name: "authorization", value: lines[0].text),
            ], body: SecretBytes(copying: lines[3]), receivedAt: 0, peer: "fuzz")
        guard let verifier else { return "the verifier cannot be made" }
        // The second time the signing key is in the cache.
        let verdicts = (0..<2).map { _ in Verdict(verifier, request) }
        return verdicts[0] == verdicts[1] ? nil : "one request was judged \(verdicts[0]) and then \(verdicts[1])"
    }

    /// What the corpus's requests are signed with, at this second (2026-11-23T22:51:00Z).
    private static let signedAt: Int64 = 1_795_474_260
    private static let verifier = try? SigV4Verifier(credentials: [
        Credential(
            unvalidated: "AAAAAAAAAAAAAAAAAAAA",
            secret: SecretBytes("0123456789012345678901234567890123456789012".utf8))
    ])

    private enum Verdict: Equatable {
        case accepted(VerifiedIdentity)
        case refused(String)

        init(_ verifier: SigV4Verifier, _ request: ProxyRequest) {
            do throws(AuthenticationFailure) {
                self = .accepted(try verifier.verify(request, now: signedAt))
            } catch {
                self = .refused("\(error)")
            }
        }
    }

    /// The first byte says of which operation, the others are the body.
    static let requests = FuzzTarget(name: "requests") { bytes in
        var input = FuzzInput(bytes)
        let kind = input.byte() % 5
        let body = SecretBytes(copying: input.bytes)
        let isTaken =
            switch kind {
            case 0: (try? EncryptRequest(body: body, limits: .standard)) != nil
            case 1: (try? DecryptRequest(body: body, limits: .standard)) != nil
            case 2: (try? GetKeyMetadataRequest(body: body, limits: .standard)) != nil
            case 3: (try? HealthRequest(body: body, limits: .standard)) != nil
            default: (try? EncryptedFields(readingBack: body)) != nil
            }
        _ = try? XKSRoute(target: input.bytes.text)
        // What is taken must be JSON for everybody else as well.
        guard isTaken, (try? JSONSerialization.jsonObject(with: Data(input.bytes))) == nil else { return nil }
        return "a body of kind \(kind) was taken that is no JSON"
    }
}
