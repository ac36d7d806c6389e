// SPDX-License-Identifier: Apache-2.0
import Policy
import Testing

/// What is wrong with a policy is said with its place, its value, and what mends it.
struct ReadingTests {
    private static let rest = #""Principal": "*", "Action": "xks:*", "Resource": "*""#

    @Test func theFormThatIAMWritesIsRead() throws {
        let text = """
            {
              "Version": "2012-10-17",
              "Id": "bank",
              "Statement": {
                "Sid": "All keys",
                "Effect": "Allow",
                "Principal": { "AWS": ["111122223333"], "Service": "ec2.amazonaws.com" },
                "Action": ["xks:Encrypt", "xks:Decrypt"],
                "Resource": ["payments", "prod-*"],
                "Condition": { "Bool": { "kmsTier": [true, "false"] }, "NumericLessThan": { "kmsTier": 1.5e3 } }
              }
            }
            """
        #expect(try KeyStorePolicy(text: Array(text.utf8)).statementCount == 1)
    }

    struct Wrong: Sendable, CustomTestStringConvertible {
        let text: String
        let message: String
        var testDescription: String { message }
    }

    private static func statement(_ inside: String) -> String { "{\"Statement\": [\n {\(inside)}]}" }

    private static func condition(_ inside: String) -> String {
        statement(#""Sid": "S", "Effect": "Allow", \#(rest), "Condition": {\#(inside)}"#)
    }

    static let wrong = [
        Wrong(text: "", message: "line 1, column 1: the policy ends where a value was expected; give it whole"),
        Wrong(text: "[]", message: "line 1, column 1: the policy is a list; write an object, { … }"),
        Wrong(text: "{}", message: "line 1, column 1: the policy has no Statement; add \"Statement\": [ … ]"),
        Wrong(
            text: "{\"Statement\": []",
            message: "line 1, column 17: the policy has neither comma nor } after a member; add it"),
        Wrong(
            text: "{\"Statement\": [], \"Statement\": []}",
            message:
                "line 1, column 19: the policy has \"Statement\" twice in one object; join them: of two the first would "
                + "be without effect"),
        Wrong(
            text: "{\"Statement\": []}",
            message: "line 1, column 15: Statement is empty, which would deny everything; add a statement; a Deny of "
                + "everything, where that is meant"),
        Wrong(
            text: "{\"Statment\": []}",
            message: "line 1, column 2: \"Statment\" is no member that can stand here; did you mean Statement?\n"
                + "line 1, column 1: the policy has no Statement; add \"Statement\": [ … ]"),
        Wrong(
            text: "{\"Version\": \"2026\", \"Statement\": {\"Effect\": \"Deny\", \(rest)}}",
            message:
                "line 1, column 13: Version: \"2026\" is no version of the language; write \"2012-10-17\", or leave it out"
        ),
        Wrong(
            text: statement(#""Effect": "allow", \#(rest)"#),
            message:
                "line 2, column 13: statement 1, Effect: \"allow\" is neither Allow nor Deny; write \"Allow\" or \"Deny\""
        ),
        Wrong(
            text: statement(#""Effect": "Allow", "Action": "xks:*", "Resource": "*""#),
            message: "line 2, column 2: statement 1 has no Principal; add \"Principal\": \"*\""),
        Wrong(
            text: statement(#""Effect": "Allow", \#(rest), "NotPrincipal": "*""#),
            message: "line 2, column 76: statement 1: \"NotPrincipal\" is no member that can stand here; deny with a "
                + "condition instead: ArnNotLike on awsPrincipalArn"),
        Wrong(
            text: statement(#""Sid": "a/b", "Effect": "Allow", \#(rest)"#),
            message:
                "line 2, column 10: statement 1, Sid: \"a/b\" cannot be a Sid; use 1 to 128 of A-Z a-z 0-9 space - . _"),
        Wrong(
            text: statement(#""Effect": "Allow", "Principal": "*", "Resource": "*", "Action": "kms:Decrypt""#),
            message: "line 2, column 67: statement 1, Action: \"kms:Decrypt\" is no action; write xks:Decrypt"),
        Wrong(
            text: statement(#""Effect": "Allow", "Principal": "*", "Resource": "*", "Action": "xks:GetHealthStatus""#),
            message:
                "line 2, column 67: statement 1, Action: \"xks:GetHealthStatus\" is no action; remove it: no policy is "
                + "asked about GetHealthStatus"),
        Wrong(
            text: statement(#""Effect": "Allow", "Principal": "*", "Action": "xks:*", "Resource": "arn:aws:kms:x""#),
            message:
                "line 2, column 71: statement 1, Resource: \"arn:aws:kms:x\" fits no external key id (1 to 128 of A-Z "
                + "a-z 0-9 . _ -); name the external key id; for the ARN of the KMS key use a condition on kmsKeyArn"),
        Wrong(
            text: statement(#""Effect": "Allow", "Principal": "Alice", "Action": "xks:*", "Resource": []"#),
            message: "line 2, column 35: statement 1, Principal: \"Alice\" is nobody that KMS can name; write an ARN "
                + "(arn:aws:iam::ACCOUNT:role/NAME), an account of 12 digits, a service (ec2.amazonaws.com), \"AWS "
                + "Internal\", or \"*\"\nline 2, column 75: statement 1, Resource is an empty list; name at least one value"
        ),
        Wrong(
            text: condition(#""StringEqual": {"kmsOperation": "x"}"#),
            message:
                "line 2, column 102: statement 1 \"S\", Condition: \"StringEqual\" is no operator; did you mean StringEquals?"
        ),
        Wrong(
            text: condition(#""ForSomeValues:StringEquals": {"kmsOperation": "x"}"#),
            message:
                "line 2, column 102: statement 1 \"S\", Condition: \"ForSomeValues:StringEquals\" is no operator; before a "
                + "colon only ForAnyValue and ForAllValues can stand"),
        Wrong(
            text: condition(#""NullIfExists": {"kmsOperation": true}"#),
            message:
                "line 2, column 102: statement 1 \"S\", Condition: \"NullIfExists\" is no operator; Null asks for absence "
                + "itself; leave IfExists out"),
        Wrong(
            text: condition(#""ForAnyValue:StringLikeIfExists": {"kmsOperation": "x"}"#),
            message:
                "line 2, column 102: statement 1 \"S\", Condition: \"ForAnyValue:StringLikeIfExists\" has two words on "
                + "absent values; leave IfExists out: ForAllValues holds where the key is absent, ForAnyValue does not"),
        Wrong(
            text: condition(#""StringEquals": {"AwsPrincipalARN": "x"}"#),
            message:
                "line 2, column 119: statement 1 \"S\", Condition.StringEquals: \"AwsPrincipalARN\" is no key of a "
                + "condition; write awsPrincipalArn: names are told apart by case"),
        Wrong(
            text: condition(#""IpAddress": {"aws:SourceIp": "192.0.2.0/24"}"#),
            message:
                "line 2, column 116: statement 1 \"S\", Condition.IpAddress: \"aws:SourceIp\" is no key of a condition; "
                + "KMS does not tell its caller's address; xks:ClientAddress is the address that connects to this proxy"
        ),
        Wrong(
            text: condition(#""StringEquals": {"xks:ClientAddress": "192.0.2.1"}"#),
            message:
                "line 2, column 119: statement 1 \"S\", Condition.StringEquals: \"xks:ClientAddress\" has no value that "
                + "StringEquals compares; use IpAddress or NotIpAddress"),
        Wrong(
            text: condition(#""IpAddress": {"xks:ClientAddress": ["192.0.2.1/24", "192.0.2.256"]}"#),
            message:
                "line 2, column 138: statement 1 \"S\", Condition.IpAddress.xks:ClientAddress: \"192.0.2.1/24\" has bits "
                + "set beyond its length; clear them, or write the address without a length\nline 2, column 154: statement 1 "
                + "\"S\", Condition.IpAddress.xks:ClientAddress: \"192.0.2.256\" is no range of addresses; write "
                + "192.0.2.0/24, 2001:db8::/32, or one address"),
        Wrong(
            text: condition(#""DateLessThan": {"xks:CurrentTime": "2026-02-30T00:00:00Z"}"#),
            message:
                "line 2, column 138: statement 1 \"S\", Condition.DateLessThan.xks:CurrentTime: \"2026-02-30T00:00:00Z\" "
                + "is no moment; write 2026-01-31T08:00:00Z, or seconds since 1970"),
        Wrong(
            text: condition(#""ArnLike": {"kmsKeyArn": "arn:aws:kms:*"}"#),
            message:
                "line 2, column 127: statement 1 \"S\", Condition.ArnLike.kmsKeyArn: \"arn:aws:kms:*\" has not the six "
                + "parts of an ARN; write arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE, each part with wildcards if need "
                + "be, or use StringLike"),
        Wrong(
            text: condition(#""StringEquals": {"kmsOperation": "${aws:username}"}"#),
            message:
                "line 2, column 135: statement 1 \"S\", Condition.StringEquals.kmsOperation: \"${aws:username}\" is a "
                + "policy variable, which KMS has no value for; write the value itself; ${$} is a dollar sign, ${*} and "
                + "${?} are the characters"),
        Wrong(
            text: condition(#""StringLike": {"kmsOperation": "*?2345678901234567*"}"#),
            message:
                "line 2, column 133: statement 1 \"S\", Condition.StringLike.kmsOperation: \"*?2345678901234567*\" has a "
                + "? among more than 16 characters between two *; write * in place of the ?, or leave one of the * out"),
        Wrong(
            text: condition(#""Bool": {"kmsTier": "yes"}, "NumericEquals": {"kmsTier": "0x10"}"#),
            message:
                "line 2, column 122: statement 1 \"S\", Condition.Bool.kmsTier: \"yes\" is neither true nor false; write "
                + "true or false\nline 2, column 159: statement 1 \"S\", Condition.NumericEquals.kmsTier: \"0x10\" is no "
                + "number; write decimal digits"),
        Wrong(
            text: condition(#""StringEquals": {"kmsTier": {"a": 1}}"#),
            message:
                "line 2, column 130: statement 1 \"S\", Condition.StringEquals.kmsTier is an object; write a string, in "
                + "double quotes"),
        Wrong(
            text:
                "{\"Statement\": [{\"Sid\": \"S\", \"Effect\": \"Deny\", \(rest)},\n{\"Sid\": \"S\", \"Effect\": \"Deny\", \(rest)}]}",
            message:
                "line 2, column 1: statement 2 \"S\", Sid: \"S\" is the Sid of statement 1; give each a Sid of its own: "
                + "the log names it"),
        Wrong(
            text: "{\"Statement\": [ // none\n]}",
            message: "line 1, column 17: the policy has a comment; remove it; JSON knows none"),
        Wrong(
            text: "{\"Statement\": [1,]}",
            message: "line 1, column 18: the policy has no value here; remove the comma before, or add one"),
    ]

    @Test(arguments: wrong) func whatIsWrongIsSaidWithItsPlaceAndItsMend(wrong: Wrong) {
        #expect(problems(wrong.text).map(\.description).joined(separator: "\n") == wrong.message)
    }

    @Test func atMostTwentyProblemsAreReported() {
        let statements = [String](repeating: "{}", count: 100).joined(separator: ",")
        #expect(problems("{\"Statement\": [\(statements)]}").count == PolicyProblems.most)
    }
}
