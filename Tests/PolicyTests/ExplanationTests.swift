// SPDX-License-Identifier: Apache-2.0
import Policy
import Testing

struct ExplanationTests {
    private static let text = #"""
        {
          "Statement": [
            { "Sid": "Payments", "Effect": "Allow", "Principal": "arn:aws:iam::111122223333:role/pay",
              "Action": ["xks:Encrypt", "xks:Decrypt"], "Resource": "payments" },
            { "Effect": "Deny", "Principal": "*", "Action": "xks:*", "Resource": "old-*",
              "Condition": { "StringNotEquals": { "kmsOperation": "Decrypt" },
                             "StringEquals": { "awsSourceVpc": "vpc-1" },
                             "IpAddress": { "xks:ClientAddress": "198.51.100.0/24" },
                             "Null": { "kmsViaService": false } } }
          ]
        }
        """#

    @Test func eachStatementSaysWhyItDoesNotMatch() throws {
        let policy = try KeyStorePolicy(text: Array(Self.text.utf8))
        let request = Sample.request(.getKeyMetadata) { $0.awsPrincipalArn = "arn:aws:iam::444455556666:role/x" }
        #expect(
            policy.explain(request).description == """
                Payments (Allow, line 3): does not match
                    Action: xks:GetKeyMetadata is not among xks:Decrypt, xks:Encrypt
                    Principal: "arn:aws:iam::444455556666:role/x" does not fit "arn:aws:iam::111122223333:role/pay"
                statement 2 (Deny, line 5): does not match
                    Resource: "payments" does not fit "old-*"
                    StringNotEquals kmsOperation: "Decrypt" is excluded by "Decrypt"
                    StringEquals awsSourceVpc: it is absent: KMS never sends it for a caller of another account \
                (444455556666) than the key's (111122223333)
                    IpAddress xks:ClientAddress: "192.0.2.17:40000" does not fit "198.51.100.0/24"
                    Null kmsViaService: it is absent: KMS does not send it with GetKeyMetadata

                Denied: no statement allows it.
                """)
    }

    @Test func whatMatchesDecides() throws {
        let policy = try KeyStorePolicy(text: Array(Self.text.utf8))
        let explanation = policy.explain(Sample.request(principal: "arn:aws:iam::111122223333:role/pay"))
        #expect(explanation.decision == .allowed(by: "Payments"))
        #expect(explanation.statements.map(\.matches) == [true, false])
        #expect("\(explanation)".hasPrefix("Payments (Allow, line 3): matches\n"))
        #expect("\(explanation)".hasSuffix("\n\nAllowed by Payments."))
    }

    @Test func aRequestIsReadFromAFile() throws {
        let text = #"""
            {"action": "xks:Decrypt", "externalKeyId": "payments", "keyStore": "/bank", "clientAddress": "192.0.2.17:40000",
             "time": "2026-06-15T14:00:00+02:00", "requestMetadata": {"awsPrincipalArn": "arn:aws:iam::111122223333:user/Alice",
             "kmsKeyArn": "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
             "kmsOperation": "Decrypt", "kmsRequestId": "id-1", "kmsTier": ["a", 1, true]}}
            """#
        let request = try PolicyRequest.read(text: Array(text.utf8), now: 5)
        let expected = Sample.request { $0.others = [.init(name: "kmsTier", values: ["a", "1", "true"])] }
        #expect(request.action == expected.action)
        #expect(request.externalKeyID == expected.externalKeyID)
        #expect(request.keyStore == expected.keyStore)
        #expect(request.clientAddress == expected.clientAddress)
        #expect(request.time == expected.time)
        #expect(request.metadata == expected.metadata)
    }

    @Test(arguments: [
        ("{}", "the request has no requestMetadata"), ("[", "the request ends where a value was expected"),
        (#"{"action": "Decrypt", "requestMetadata": {}}"#, "the request, Action: \"Decrypt\" is no action"),
        (#"{"action": "xks:*", "requestMetadata": {}}"#, "the request, action names several"),
        (
            #"{"action": "xks:Decrypt", "time": "now", "requestMetadata": {}}"#,
            "the request, time: \"now\" is no moment"
        ),
        (#"{"action": "xks:Decrypt", "requestMetadata": [], "key": 1}"#, "the request: \"key\" is no member"),
    ]) func aRequestThatIsNoneIsRefused(text: String, message: String) {
        let problems = #expect(throws: PolicyProblems.self) { try PolicyRequest.read(text: Array(text.utf8), now: 0) }
        #expect(problems?.description.contains(message) == true, "\(problems?.description ?? "")")
    }

    @Test func whereNoTimeIsGivenItIsNow() throws {
        let text = #"{"action": "xks:Encrypt", "requestMetadata": {}}"#
        #expect(try PolicyRequest.read(text: Array(text.utf8), now: 5).time == 5)
    }
}
