// SPDX-License-Identifier: Apache-2.0
import Policy
import XKSProtocol

/// A policy of these statements, each the inside of a JSON object.
func policy(_ statements: String...) throws -> KeyStorePolicy {
    try KeyStorePolicy(text: Array("{\"Statement\": [\(statements.map { "{\($0)}" }.joined(separator: ","))]}".utf8))
}

/// A policy that allows everything on which these conditions hold.
func policy(condition: String) throws -> KeyStorePolicy {
    try policy(
        #""Effect": "Allow", "Principal": "*", "Action": "xks:*", "Resource": "*", "Condition": {\#(condition)}"#)
}

func problems(_ text: String) -> [PolicyProblem] {
    do throws(PolicyProblems) {
        _ = try KeyStorePolicy(text: Array(text.utf8))
        return []
    } catch {
        return error.problems
    }
}

enum Sample {
    static let alice = "arn:aws:iam::111122223333:user/Alice"
    static let key = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    /// 2026-06-15T12:00:00Z.
    static let noon: Int64 = 1_781_524_800

    static func request(
        _ action: PolicyAction = .decrypt, _ key: String = "payments", keyStore: String = "/bank",
        client: String = "192.0.2.17:40000", time: Int64 = noon, principal: String? = alice,
        change: (inout RequestMetadata) -> Void = { _ in }
    ) -> PolicyRequest {
        var metadata = RequestMetadata(
            awsPrincipalArn: principal, kmsKeyArn: Sample.key, kmsOperation: "Decrypt", kmsRequestId: "id-1")
        change(&metadata)
        return PolicyRequest(
            action: action, externalKeyID: key, keyStore: keyStore, clientAddress: client, time: time,
            metadata: metadata)
    }

    /// With a field that this version does not know.
    static func request(tier values: [String]) -> PolicyRequest {
        request { $0.others = values.isEmpty ? [] : [.init(name: "kmsTier", values: values)] }
    }
}
