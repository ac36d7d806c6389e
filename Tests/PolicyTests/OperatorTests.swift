// SPDX-License-Identifier: Apache-2.0
import Policy
import Testing

/// Each operator with values that fit, that do not, several, and none.
struct OperatorTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let test: String
        let policy: String
        /// One of the policy's values fits, none does.
        let fitting: String
        let other: String
        var isNegated = false

        var testDescription: String { test }
    }

    static let rows = [
        Row(test: "StringEquals", policy: #"["a", "b*"]"#, fitting: "b*", other: "bc"),
        Row(test: "StringNotEquals", policy: #"["a", "b*"]"#, fitting: "a", other: "A", isNegated: true),
        Row(test: "StringEqualsIgnoreCase", policy: #""Abc""#, fitting: "aBC", other: "abd"),
        Row(test: "StringNotEqualsIgnoreCase", policy: #""Abc""#, fitting: "ABC", other: "ab", isNegated: true),
        Row(test: "StringLike", policy: #"["x", "a*c?"]"#, fitting: "abbcd", other: "abbc"),
        Row(test: "StringNotLike", policy: #""a*""#, fitting: "abc", other: "Abc", isNegated: true),
        Row(
            test: "ArnEquals", policy: #""arn:aws:iam::*:role/a*""#, fitting: "arn:aws:iam::1:role/ab",
            other: "arn:aws:iam::1:x:role/a"),
        Row(test: "ArnLike", policy: #""arn:aws:iam::1:role/a""#, fitting: "arn:aws:iam::1:role/a", other: "role/a"),
        Row(
            test: "ArnNotEquals", policy: #""arn:*:iam::1:*""#, fitting: "arn:aws:iam::1:a:b",
            other: "arn:aws:iam::2:1:b", isNegated: true),
        Row(
            test: "ArnNotLike", policy: #""arn:*:iam::1:*""#, fitting: "arn:aws:iam::1:a", other: "text",
            isNegated: true),
        Row(test: "NumericEquals", policy: "[7, \"8.5\"]", fitting: "8.50", other: "8"),
        Row(test: "NumericNotEquals", policy: "7", fitting: "7.0", other: "x", isNegated: true),
        Row(test: "NumericLessThan", policy: "7", fitting: "-8", other: "7"),
        Row(test: "NumericLessThanEquals", policy: "7", fitting: "7", other: "7.5"),
        Row(test: "NumericGreaterThan", policy: "7", fitting: "7.5", other: "7"),
        Row(test: "NumericGreaterThanEquals", policy: "7", fitting: "7", other: "nan"),
        Row(test: "DateEquals", policy: #""2026-06-15T12:00:00Z""#, fitting: "1781524800", other: "1781524801"),
        Row(
            test: "DateNotEquals", policy: #""2026-06-15T12:00:00Z""#, fitting: "2026-06-15T14:00:00+02:00",
            other: "never", isNegated: true),
        Row(test: "DateLessThan", policy: #""2026-06-15""#, fitting: "2026-06-14T23:59:59Z", other: "2026-06-15"),
        Row(test: "DateLessThanEquals", policy: #""2026-06-15""#, fitting: "2026-06-15", other: "2026-06-15T00:00:01Z"),
        Row(test: "DateGreaterThan", policy: "1781524800", fitting: "1781524801", other: "1781524800"),
        Row(test: "DateGreaterThanEquals", policy: "1781524800", fitting: "1781524800", other: "soon"),
        Row(test: "Bool", policy: "true", fitting: "True", other: "false"),
    ]

    private func holds(_ test: String, _ row: Row, _ values: [String]) throws -> Bool {
        try policy(condition: #""\#(test)": {"kmsTier": \#(row.policy)}"#).decide(Sample.request(tier: values))
            .isAllowed
    }

    @Test(arguments: rows) func oneValueFitsOrDoesNot(row: Row) throws {
        #expect(try holds(row.test, row, [row.fitting]) != row.isNegated)
        #expect(try holds(row.test, row, [row.other]) == row.isNegated)
    }

    @Test(arguments: rows) func anAbsentValueFitsOnlyWhatIsNegated(row: Row) throws {
        #expect(try holds(row.test, row, []) == row.isNegated)
        #expect(try holds(row.test + "IfExists", row, []))
        #expect(try holds("ForAllValues:" + row.test, row, []))
        #expect(try !holds("ForAnyValue:" + row.test, row, []))
        #expect(try holds(row.test, row, [""]) == row.isNegated, "an empty value counts as absent")
    }

    @Test(arguments: rows) func ifExistsChangesNothingOfAPresentValue(row: Row) throws {
        #expect(try holds(row.test + "IfExists", row, [row.fitting]) != row.isNegated)
        #expect(try holds(row.test + "IfExists", row, [row.other]) == row.isNegated)
    }

    @Test(arguments: rows) func ofSeveralValuesOneFitsOrNoneMay(row: Row) throws {
        let mixed = [row.fitting, row.other]
        #expect(try holds(row.test, row, mixed) != row.isNegated)
        #expect(try holds(row.test, row, [row.other, row.other]) == row.isNegated)
        #expect(try holds("ForAnyValue:" + row.test, row, mixed))
        #expect(try !holds("ForAllValues:" + row.test, row, mixed))
        for quantifier in ["ForAnyValue:", "ForAllValues:"] {
            #expect(try holds(quantifier + row.test, row, [row.fitting, row.fitting]) != row.isNegated)
            #expect(try holds(quantifier + row.test, row, [row.other, row.other]) == row.isNegated)
        }
    }

    @Test(arguments: [
        ("true", true, false), ("false", false, true), (#"["true", "false"]"#, true, true), (#""True""#, true, false),
    ]) func nullAsksForAbsence(value: String, whereAbsent: Bool, wherePresent: Bool) throws {
        for key in ["awsSourceVpc", "kmsTier"] {
            let policy = try policy(condition: #""Null": {"\#(key)": \#(value)}"#)
            #expect(policy.decide(Sample.request()).isAllowed == whereAbsent)
            let request = Sample.request {
                $0.awsSourceVpc = "vpc-1"
                $0.others = [.init(name: "kmsTier", values: ["1"])]
            }
            #expect(policy.decide(request).isAllowed == wherePresent)
        }
    }

    @Test(arguments: [
        ("192.0.2.0/24", "192.0.2.17:40000", true), ("192.0.2.0/24", "192.0.3.17:40000", false),
        ("192.0.2.17", "[::ffff:192.0.2.17]:1", true), ("2001:db8::/32", "[2001:db8:1::2]:443", true),
        ("2001:db8::/32", "[2001:db9::1]:443", false), ("0.0.0.0/0", "[2001:db8::1]:443", false),
        ("::/0", "192.0.2.17:1", false), ("0.0.0.0/0", "192.0.2.17:1", true),
    ]) func addressesLieInRanges(range: String, client: String, isIn: Bool) throws {
        let request = Sample.request(client: client)
        #expect(
            try policy(condition: #""IpAddress": {"xks:ClientAddress": "\#(range)"}"#).decide(request).isAllowed == isIn
        )
        #expect(
            try policy(condition: #""NotIpAddress": {"xks:ClientAddress": ["203.0.113.1", "\#(range)"]}"#)
                .decide(request).isAllowed != isIn)
    }

    @Test func aClientWithoutAnAddressIsAbsent() throws {
        let request = Sample.request(client: "unix socket")
        #expect(try !policy(condition: #""IpAddress": {"xks:ClientAddress": "0.0.0.0/0"}"#).decide(request).isAllowed)
        #expect(try policy(condition: #""NotIpAddress": {"xks:ClientAddress": "0.0.0.0/0"}"#).decide(request).isAllowed)
        #expect(try policy(condition: #""Null": {"xks:ClientAddress": "true"}"#).decide(request).isAllowed)
    }

    @Test func timeIsThatOfTheRequest() throws {
        let hours = try policy(
            condition: #"""
                "DateGreaterThanEquals": {"xks:CurrentTime": "2026-06-15T08:00:00Z"},
                "DateLessThan": {"xks:CurrentTime": "2026-06-15T18:00:00Z"}
                """#)
        #expect(hours.decide(Sample.request()).isAllowed)
        #expect(!hours.decide(Sample.request(time: Sample.noon + 6 * 3_600)).isAllowed)
        #expect(!hours.decide(Sample.request(time: Sample.noon - 5 * 3_600)).isAllowed)
    }

    @Test(arguments: [
        ("awsPrincipalArn", Sample.alice), ("kmsKeyArn", Sample.key), ("kmsOperation", "Decrypt"),
        ("kmsRequestId", "id-1"), ("awsSourceVpc", "vpc-1"), ("awsSourceVpce", "vpce-1"),
        ("kmsViaService", "ebs"), ("xks:ExternalKeyId", "payments"), ("xks:KeyStore", "/bank"),
    ]) func eachKeyHasItsValue(key: String, value: String) throws {
        let request = Sample.request {
            $0.awsSourceVpc = "vpc-1"
            $0.awsSourceVpce = "vpce-1"
            $0.kmsViaService = "ebs"
        }
        let others = ConditionKey.known.map(\.name).filter {
            $0 != key && $0 != "xks:ClientAddress" && $0 != "xks:CurrentTime"
        }
        #expect(try policy(condition: #""StringEquals": {"\#(key)": "\#(value)"}"#).decide(request).isAllowed)
        for other in others {
            #expect(try !policy(condition: #""StringEquals": {"\#(other)": "\#(value)"}"#).decide(request).isAllowed)
        }
    }

    @Test func aKeyStoreWithoutAPrefixHasAnEmptyName() throws {
        let policy = try policy(condition: #""StringEquals": {"xks:KeyStore": ""}"#)
        #expect(policy.decide(Sample.request(keyStore: "")).isAllowed)
        #expect(!policy.decide(Sample.request()).isAllowed)
    }
}
