// SPDX-License-Identifier: Apache-2.0
import Policy
import Testing

/// Statements that AWS's requests never fulfil are found, and those that they may fulfil are not.
struct FindingsTests {
    private func findings(
        _ condition: String, principal: String = "*", action: String = "xks:Decrypt", effect: String = "Allow"
    ) throws -> [String] {
        let policy = try policy(
            #""Effect": "\#(effect)", "Principal": "\#(principal)", "Action": "\#(action)", "Resource": "*", "#
                + #""Condition": {\#(condition)}"#)
        return policy.findings.map(\.message)
    }

    @Test(arguments: [
        (
            #""StringEquals": {"awsSourceVpc": "vpc-1", "kmsKeyArn": "arn:aws:kms:x:444455556666:key/1"}"#,
            "111122223333"
        ),
        (
            #""Null": {"awsSourceVpce": false}, "ArnLike": {"kmsKeyArn": "arn:aws:kms:*:444455556666:*"}"#,
            "arn:aws:iam::111122223333:role/*"
        ),
        (
            #""StringLike": {"awsSourceVpc": "*", "kmsKeyArn": "arn:aws:kms:x:444455556666:key/1", "awsPrincipalArn": "arn:aws:iam::111122223333:role/*"}"#,
            "*"
        ),
    ]) func theVPCOfCallersOfOtherAccounts(condition: String, principal: String) throws {
        let found = try findings(condition, principal: principal)
        #expect(found.count == 1)
        #expect(found.first?.contains("owns the KMS key (444455556666)") == true)
    }

    @Test(arguments: [
        (
            #""StringEquals": {"awsSourceVpc": "vpc-1", "kmsKeyArn": "arn:aws:kms:x:111122223333:key/1"}"#,
            "111122223333"
        ),
        (#""StringEquals": {"awsSourceVpc": "vpc-1", "kmsKeyArn": "arn:aws:kms:x:444455556666:key/1"}"#, "*"),
        (#""StringEquals": {"awsSourceVpc": "vpc-1"}"#, "111122223333"),
        (
            #""StringEqualsIfExists": {"awsSourceVpc": "vpc-1"}, "ArnLike": {"kmsKeyArn": "arn:aws:kms:*:444455556666:*"}"#,
            "111122223333"
        ),
        (
            #""StringNotEquals": {"awsSourceVpc": "vpc-1"}, "ArnLike": {"kmsKeyArn": "arn:aws:kms:*:444455556666:*"}"#,
            "111122223333"
        ),
    ]) func theVPCThatMayBeThere(condition: String, principal: String) throws {
        #expect(try findings(condition, principal: principal) == [])
    }

    @Test(arguments: [
        ("xks:Decrypt", "\"Encrypt\"", 1), ("xks:Decrypt", "[\"Encrypt\", \"GenerateDataKey\"]", 1),
        ("xks:Decrypt", "[\"Encrypt\", \"ReEncrypt\"]", 0), ("xks:Decrypt", "\"KmsHealthCheck\"", 1),
        ("xks:Decrypt", "\"BulkDecrypt\"", 0), ("xks:Encrypt", "\"GenerateDataKey\"", 0),
        ("xks:GetKeyMetadata", "\"CreateKey\"", 0), ("xks:*", "\"Encrypt\"", 0),
    ]) func operationsThatDoNotLeadThere(action: String, values: String, count: Int) throws {
        let found = try findings(#""StringEquals": {"kmsOperation": \#(values)}"#, action: action)
        #expect(found.filter { $0.hasPrefix("can never match: kmsOperation") }.count == count)
        #expect(found.count == count)
    }

    @Test(arguments: [
        (#""StringEquals": {"kmsKeyArn": "1234abcd"}"#, "can never match: kmsKeyArn is the ARN of a key"),
        (#""ArnLike": {"kmsKeyArn": "arn:aws:kms:x:1:alias/a"}"#, "can never match: kmsKeyArn is the ARN of a key"),
        (#""ArnLike": {"kmsKeyArn": "arn:aws:s3:::bucket"}"#, "can never match: kmsKeyArn is the ARN of a key"),
        (
            #""StringEquals": {"awsPrincipalArn": "arn:aws:sts::1:assumed-role/a/b"}"#,
            "can never match: KMS names the role"
        ),
        (#""Null": {"kmsRequestId": true}"#, "can never match: kmsRequestId is never absent"),
        (
            #""Null": {"kmsViaService": true}, "StringEquals": {"kmsViaService": "ebs"}"#,
            "can never match: kmsViaService must be absent, and must have a value"
        ),
        (#""StringEquals": {"awsSourceVcp": "x"}"#, "did you mean awsSourceVpc?"),
        (#""StringEquals": {"kmsTier": "x"}"#, "kmsTier is no field of requestMetadata that this version knows"),
        (#""ForAllValues:StringEquals": {"awsSourceVpc": "x"}"#, "allows more than it seems to"),
    ]) func whatIsHardlyMeant(condition: String, message: String) throws {
        let found = try findings(condition)
        #expect(found.count == 1)
        #expect(found.first?.contains(message) == true, "\(found)")
    }

    @Test func keysThatGetKeyMetadataDoesNotHave() throws {
        let condition = #""StringLike": {"kmsKeyArn": "arn:aws:kms:*"}"#
        #expect(try findings(condition) == [])
        #expect(
            try findings(condition, action: "xks:GetKeyMetadata")
                == ["can never match: KMS does not send kmsKeyArn with GetKeyMetadata"])
        #expect(
            try findings(condition, action: "xks:*")
                == ["can never match xks:GetKeyMetadata: KMS does not send kmsKeyArn with it"])
    }

    @Test func sessionsOfRolesAsPrincipals() throws {
        let policy = try policy(
            #""Sid": "S", "Effect": "Allow", "Action": "xks:*", "Resource": "*", "Principal": "arn:aws:sts::111122223333:assumed-role/a/b""#
        )
        #expect(
            policy.findings.map(\.description) == [
                "line 1: S: can never match: KMS names the role (arn:aws:iam::ACCOUNT:role/NAME), never its session, "
                    + "\"arn:aws:sts::111122223333:assumed-role/a/b\""
            ])
    }
}
