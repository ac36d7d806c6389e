// SPDX-License-Identifier: Apache-2.0
import Chance
import Policy
import SeededRandom
import Testing

/// The index passes over statements that cannot match, and over no other: what is decided with it is what comes of asking
/// each statement.
struct StatementIndexTests {
    private func word(_ random: inout RandomChoice, wildcards: Bool) -> String {
        random.text(of: wildcards && random.chance(600) ? "aAb*?" : "aAb", length: 1...4)
    }

    private func principal(_ random: inout RandomChoice, wildcards: Bool) -> String {
        let account = ["111122223333", "444455556666"][random.below(2)]
        guard wildcards else { return "arn:aws:iam::\(account):role/\(word(&random, wildcards: false))" }
        switch random.below(5) {
        case 0: return "*"
        case 1: return account
        case 2: return "arn:aws:iam::*:role/\(word(&random, wildcards: true))"
        default: return "arn:aws:iam::\(account):role/\(word(&random, wildcards: true))"
        }
    }

    private func list(_ random: inout RandomChoice, _ element: (inout RandomChoice) -> String) -> String {
        let count = random.between(1, 3)
        return "[" + (0..<count).map { _ in "\"\(element(&random))\"" }.joined(separator: ",") + "]"
    }

    private func condition(_ random: inout RandomChoice) -> String {
        let tests = [
            "StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase",
            "StringLikeIfExists", "ForAnyValue:StringLike", "ForAllValues:StringEquals", "ForAnyValue:StringNotEquals",
        ]
        let keys = ["kmsViaService", "kmsTier", "kmsOperation", "xks:KeyStore"]
        let test = tests[random.below(tests.count)]
        let key = keys[random.below(keys.count)]
        return #""\#(test)": {"\#(key)": \#(list(&random) { word(&$0, wildcards: true) })}"#
    }

    private func statement(_ random: inout RandomChoice) -> String {
        let effect = random.chance(700) ? "Allow" : "Deny"
        let actions = ["xks:*", "xks:Encrypt", "xks:Decrypt", "xks:GetKeyMetadata"]
        let resource = random.chance(300) ? "[\"*\"]" : list(&random) { word(&$0, wildcards: true) }
        let conditions = random.chance(500) ? ", \"Condition\": {\(condition(&random))}" : ""
        return #""Effect": "\#(effect)", "Principal": \#(list(&random) { principal(&$0, wildcards: true) }), "#
            + #""Action": "\#(actions[random.below(4)])", "Resource": \#(resource)\#(conditions)"#
    }

    private func request(_ random: inout RandomChoice) -> PolicyRequest {
        Sample.request(
            PolicyAction.allCases[random.below(3)], word(&random, wildcards: false),
            keyStore: random.chance(200) ? "" : word(&random, wildcards: false),
            principal: random.chance(50) ? "AWS Internal" : principal(&random, wildcards: false)
        ) { metadata in
            metadata.kmsOperation = word(&random, wildcards: false)
            metadata.kmsViaService = random.chance(500) ? word(&random, wildcards: false) : nil
            let values = (0..<random.below(3)).map { _ in word(&random, wildcards: false) }
            metadata.others = values.isEmpty ? [] : [.init(name: "kmsTier", values: values)]
        }
    }

    @Test(arguments: 0..<60 as Range<UInt64>) func decidesAsAskingEachStatementDoes(seed: UInt64) throws {
        var random = RandomChoice(seed: seed)
        let statements = (0..<random.between(1, 40)).map { _ in "{\(statement(&random))}" }.joined(separator: ",")
        let policy = try KeyStorePolicy(text: Array("{\"Statement\": [\(statements)]}".utf8))
        for _ in 0..<60 {
            let request = request(&random)
            let explanation = policy.explain(request)
            let matching = explanation.statements.filter(\.matches)
            let expected: PolicyDecision =
                if let deny = matching.first(where: { $0.effect == .deny }) {
                    .denied(by: deny.name)
                } else if let allow = matching.first {
                    .allowed(by: allow.name)
                } else {
                    .notAllowed
                }
            #expect(policy.decide(request) == expected)
        }
    }

    /// Pieces that stand in each other, that share their ends, and that occur again and again in one value.
    @Test func piecesAreFoundWhereverTheyStand() throws {
        let pieces = ["a", "ab", "bab", "aba", "abab", "babc", "c", "cab", "bc"]
        let statements = pieces.map {
            #"{"Sid": "\#($0)", "Effect": "Allow", "Principal": "*", "Action": "xks:*", "Resource": "*\#($0)*"}"#
        }
        let policies = try statements.map { last in
            let text = (statements.filter { $0 != last } + [last]).joined(separator: ",")
            return try KeyStorePolicy(text: Array("{\"Statement\": [\(text)]}".utf8))
        }
        var random = RandomChoice(seed: 9)
        for _ in 0..<500 {
            let id = random.text(of: "abc", length: 1...12)
            let request = Sample.request(.encrypt, id)
            for (piece, policy) in zip(pieces, policies) {
                let statements = policy.explain(request).statements
                #expect(statements.last?.matches == id.contains(piece))
                #expect(policy.decide(request).statement == statements.first(where: \.matches)?.name)
            }
        }
    }

    /// Statements that differ in one thing only, whichever that is.
    @Test(arguments: [
        #""Principal": "*", "Resource": "key-NNNN""#, #""Principal": "*", "Resource": "key-NNNN-*""#,
        #""Principal": "*", "Resource": "*-key-NNNN""#,
        #""Principal": "arn:aws:iam::111122223333:role/app-NNNN", "Resource": "*""#,
        #""Principal": "arn:aws:iam::*:role/app-NNNN", "Resource": "*""#,
        #""Principal": "arn:aws:iam::*:role/app-NNNN-*", "Resource": "*""#,
        #""Principal": ["*app?NNNN?*", "11112222NNNN"], "Resource": "*pay*""#,
        #""Principal": "11112222NNNN", "Resource": "*""#,
        #""Principal": "*", "Resource": "*", "Condition": {"StringEquals": {"kmsViaService": "NNNN"}}"#,
        #""Principal": "*", "Resource": "*", "Condition": {"StringEqualsIgnoreCase": {"kmsViaService": "A-NNNN"}}"#,
        #""Principal": "*", "Resource": "*", "Condition": {"ArnLike": {"kmsKeyArn": "arn:aws:kms:*:1:key/NNNN"}}"#,
    ]) func aThousandStatementsAreNotAskedOneByOne(form: String) throws {
        let statements = (1_000..<2_000).map { number in
            let parts = form.split(separator: "NNNN", omittingEmptySubsequences: false)
            return "{\"Effect\": \"Allow\", \"Action\": \"xks:*\", \(parts.joined(separator: String(number)))}"
        }
        let policy = try KeyStorePolicy(text: Array("{\"Statement\": [\(statements.joined(separator: ","))]}".utf8))
        // An account has some of the numbers among its digits.
        #expect(policy.candidateCount(Sample.request()) <= 4)
    }
}
