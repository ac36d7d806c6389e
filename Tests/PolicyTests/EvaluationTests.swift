// SPDX-License-Identifier: Apache-2.0
import Policy
import Testing

/// IAM's documented evaluation: an explicit Deny wins, then an Allow, and what nobody allows is denied.
struct EvaluationTests {
    private static func statement(_ sid: String, _ effect: String, matches: Bool) -> String {
        let resource = matches ? "payments" : "other"
        return
            #""Sid": "\#(sid)", "Effect": "\#(effect)", "Principal": "*", "Action": "xks:*", "Resource": "\#(resource)""#
    }

    struct Row: Sendable {
        let allow: Bool?
        let deny: Bool?
        let decision: PolicyDecision
    }

    /// `nil`: there is no such statement; false: it does not match.
    static let table = [
        Row(allow: true, deny: nil, decision: .allowed(by: "A")),
        Row(allow: true, deny: false, decision: .allowed(by: "A")),
        Row(allow: true, deny: true, decision: .denied(by: "D")),
        Row(allow: false, deny: nil, decision: .notAllowed),
        Row(allow: false, deny: false, decision: .notAllowed),
        Row(allow: false, deny: true, decision: .denied(by: "D")),
        Row(allow: nil, deny: true, decision: .denied(by: "D")),
        Row(allow: nil, deny: false, decision: .notAllowed),
    ]

    @Test(arguments: table, [false, true]) func aDenyWinsAndWithoutAnAllowAllIsDenied(row: Row, denyFirst: Bool) throws
    {
        let allow = row.allow.map { "{\(Self.statement("A", "Allow", matches: $0))}" }
        let deny = row.deny.map { "{\(Self.statement("D", "Deny", matches: $0))}" }
        let statements = (denyFirst ? [deny, allow] : [allow, deny]).compactMap { $0 }.joined(separator: ",")
        let policy = try KeyStorePolicy(text: Array("{\"Statement\": [\(statements)]}".utf8))
        #expect(policy.decide(Sample.request()) == row.decision)
    }

    @Test func ofSeveralTheFirstIsNamedAndWithoutASidByItsNumber() throws {
        let all = #""Principal": "*", "Action": "xks:*", "Resource""#
        let policy = try policy(
            #""Effect": "Allow", \#(all): "pay*""#, #""Sid": "A", "Effect": "Allow", \#(all): "payments""#,
            #""Effect": "Deny", \#(all): "*-old""#, #""Sid": "D", "Effect": "Deny", \#(all): "pay*-old""#)
        #expect(policy.decide(Sample.request()) == .allowed(by: "statement 1"))
        #expect(policy.decide(Sample.request(.encrypt, "payments-old")) == .denied(by: "statement 3"))
    }

    @Test(arguments: PolicyAction.allCases) func anActionIsOnlyWhatIsNamed(action: PolicyAction) throws {
        let rest = #""Effect": "Allow", "Principal": "*", "Resource": "*", "Action""#
        let one = try policy(#"\#(rest): "\#(action.rawValue)""#)
        let all = try policy(#"\#(rest): "xks:*""#)
        let two = try policy(#"\#(rest): ["xks:Encrypt", "xks:Decrypt"]"#)
        for asked in PolicyAction.allCases {
            #expect(one.decide(Sample.request(asked)).isAllowed == (asked == action))
            #expect(all.decide(Sample.request(asked)).isAllowed)
            #expect(two.decide(Sample.request(asked)).isAllowed == (asked != .getKeyMetadata))
        }
    }

    struct Principal: Sendable {
        let written: String
        let caller: String?
        let matches: Bool
    }

    static let principals = [
        Principal(written: #""*""#, caller: Sample.alice, matches: true),
        Principal(written: #""*""#, caller: nil, matches: true),
        Principal(written: #"{"AWS": "*"}"#, caller: "ec2.amazonaws.com", matches: true),
        Principal(written: #""\#(Sample.alice)""#, caller: Sample.alice, matches: true),
        Principal(written: #""\#(Sample.alice)""#, caller: Sample.alice + "x", matches: false),
        Principal(written: #""\#(Sample.alice)""#, caller: nil, matches: false),
        Principal(written: #"{"AWS": ["\#(Sample.alice)x", "\#(Sample.alice)"]}"#, caller: Sample.alice, matches: true),
        Principal(written: #""111122223333""#, caller: Sample.alice, matches: true),
        Principal(written: #""111122223333""#, caller: "arn:aws:iam::111122223334:user/Alice", matches: false),
        Principal(written: #""111122223333""#, caller: "111122223333", matches: false),
        Principal(written: #"{"AWS": "arn:aws:iam::111122223333:root"}"#, caller: Sample.alice, matches: true),
        Principal(
            written: #"["444455556666", "arn:aws:iam::*:user/Alice"]"#, caller: Sample.alice, matches: true),
        Principal(written: #"{"AWS": "arn:aws:iam::*:role/*"}"#, caller: Sample.alice, matches: false),
        Principal(written: #"{"Service": "ec2.amazonaws.com"}"#, caller: "ec2.amazonaws.com", matches: true),
        Principal(
            written: #"{"AWS": "111122223333", "Service": "ec2.amazonaws.com"}"#, caller: "ec2.amazonaws.com",
            matches: true),
        Principal(written: #""AWS Internal""#, caller: "AWS Internal", matches: true),
    ]

    @Test(arguments: principals) func aPrincipalIsAnARNAnAccountAServiceOrAnybody(row: Principal) throws {
        let policy = try policy(
            #""Effect": "Allow", "Action": "xks:*", "Resource": "*", "Principal": \#(row.written)"#)
        #expect(policy.decide(Sample.request(principal: row.caller)).isAllowed == row.matches)
    }

    @Test func allOperatorsAndAllKeysMustHoldAndOneOfTheValues() throws {
        let policy = try policy(
            condition: #"""
                "StringEquals": {"kmsOperation": ["Decrypt", "ReEncrypt"], "xks:KeyStore": "/bank"},
                "IpAddress": {"xks:ClientAddress": "192.0.2.0/24"}
                """#)
        #expect(policy.decide(Sample.request()).isAllowed)
        #expect(policy.decide(Sample.request { $0.kmsOperation = "ReEncrypt" }).isAllowed)
        #expect(!policy.decide(Sample.request { $0.kmsOperation = "Encrypt" }).isAllowed)
        #expect(!policy.decide(Sample.request(keyStore: "/bank2")).isAllowed)
        #expect(!policy.decide(Sample.request(client: "198.51.100.1:1")).isAllowed)
    }

    @Test(arguments: [
        ("payments", "payments", true), ("payments", "Payments", false), ("pay*", "payments", true),
        ("pay?ents", "payments", true), ("pay?", "payments", false), ("*", "x", true),
    ]) func resourcesAreExternalKeyIDs(pattern: String, id: String, matches: Bool) throws {
        let policy = try policy(
            #""Effect": "Allow", "Principal": "*", "Action": "xks:*", "Resource": ["none", "\#(pattern)"]"#)
        #expect(policy.decide(Sample.request(.encrypt, id)).isAllowed == matches)
    }
}
