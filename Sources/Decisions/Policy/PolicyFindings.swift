// SPDX-License-Identifier: Apache-2.0

// What is no mistake of form, and yet hardly meant: statements that can never match what AWS sends.

extension KeyStorePolicy {
    /// What a person should know of the policy, in the order of the file. A node works by it all the same.
    package var findings: [PolicyFinding] {
        statements.flatMap { statement in
            statement.findings().map { PolicyFinding(statement: statement.name, line: statement.line, message: $0) }
        }
    }
}

package struct PolicyFinding: Sendable, Equatable, CustomStringConvertible {
    /// Its Sid, or `statement 3`.
    package var statement: String
    /// Of the statement's beginning, from 1.
    package var line: Int
    /// A sentence.
    package var message: String

    package var description: String { "line \(line): \(statement): \(message)" }
}

/// What KMS is known to send (XKS 1.0.3, "API operations").
enum KMSFacts {
    /// The calls of KMS that lead to an operation. Later versions may have others.
    static func operations(behind action: PolicyAction) -> Set<String> {
        switch action {
        case .encrypt: ["Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncrypt"]
        case .decrypt: ["Decrypt", "ReEncrypt"]
        case .getKeyMetadata: ["CreateKey", "DescribeKey"]
        }
    }

    static let allOperations = PolicyAction.allCases.reduce(into: Set<String>()) {
        $0.formUnion(operations(behind: $1))
    }

    /// Calls that only GetHealthStatus is made for, which no policy is asked about.
    static let healthOperations: Set<String> = [
        "CreateCustomKeyStore", "ConnectCustomKeyStore", "UpdateCustomKeyStore", "KmsHealthCheck",
    ]
}

extension Statement {
    fileprivate func findings() -> [String] {
        conditions.flatMap(findings) + principalFindings() + operationFindings() + vpcFindings()
    }

    /// Conditions that a request fulfils only with one of their values.
    private var wants: [Condition] {
        conditions.filter {
            !$0.test.comparison.isNegated && !$0.test.ifExists && $0.test.quantifier != .all
                && $0.test.comparison != .null
        }
    }

    /// Keys that must be there.
    private var needs: Set<ConditionKey> {
        var keys = Set(wants.map(\.key))
        for condition in conditions {
            if case .absence(let wanted) = condition.operands, wanted == [false] { keys.insert(condition.key) }
        }
        return keys
    }

    private func findings(_ condition: Condition) -> [String] {
        var findings: [String] = []
        if case .other(let name) = condition.key {
            let names = ConditionKey.known.map(\.name)
            let meant = NearestWord.find(name, among: names).map { "; did you mean \($0)?" } ?? ""
            findings.append(
                "\(name) is no field of requestMetadata that this version knows: until KMS sends it, it is absent\(meant)"
            )
        }
        if condition.test.quantifier == .all, effect == .allow {
            findings.append(
                "\(condition.test.name) \(condition.key.name) holds also where the key is absent, so that this allows "
                    + "more than it seems to; add Null \(condition.key.name) false")
        }
        if case .absence(let wanted) = condition.operands, wanted == [true] {
            if wants.contains(where: { $0.key == condition.key }) {
                findings.append(
                    "can never match: \(condition.key.name) must be absent, and must have a value")
            }
            let isAlwaysThere: Bool =
                switch condition.key {
                case .awsPrincipalArn, .kmsOperation, .kmsRequestId, .externalKeyID, .keyStore, .currentTime: true
                default: false
                }
            if isAlwaysThere { findings.append("can never match: \(condition.key.name) is never absent") }
        }
        return findings + keyFindings(condition)
    }

    /// Values of kmsKeyArn that no key has.
    private func keyFindings(_ condition: Condition) -> [String] {
        guard condition.key == .kmsKeyArn, wants.contains(where: { $0.key == .kmsKeyArn }) else { return [] }
        let isHopeless = { (value: String) -> Bool in
            guard let pattern = try? ARNPattern(value) else { return !value.contains("*") }
            return !pattern.service.matches("kms") || pattern.resource.text.hasPrefix("alias/")
        }
        guard !condition.values.isEmpty, condition.values.allSatisfy(isHopeless) else { return [] }
        return [
            "can never match: kmsKeyArn is the ARN of a key, arn:aws:kms:REGION:ACCOUNT:key/ID, never "
                + "\(Shown.list(condition.values))"
        ]
    }

    /// Sessions of roles: KMS names the role.
    private func principalFindings() -> [String] {
        let wanted = wants.filter { $0.key == .awsPrincipalArn }.map(\.values)
        let named = principals.isAnybody || !principals.accounts.all.isEmpty ? [] : [principals.names.all.map(\.text)]
        return (named + wanted).compactMap { values in
            guard !values.isEmpty,
                values.allSatisfy({ $0.hasPrefix("arn:") && $0.contains(":sts:") && $0.contains(":assumed-role/") })
            else { return nil }
            return "can never match: KMS names the role (arn:aws:iam::ACCOUNT:role/NAME), never its session, "
                + Shown.list(values)
        }
    }

    private func operationFindings() -> [String] {
        var findings: [String] = []
        let possible = actions.reduce(into: Set<String>()) { $0.formUnion(KMSFacts.operations(behind: $1)) }
        let names = actions.map(\.rawValue).sorted().joined(separator: ", ")
        for condition in wants where condition.key == .kmsOperation {
            // Names that AWS may add cannot be judged.
            let impossible = condition.values.filter { value in
                (KMSFacts.allOperations.contains(value) && !possible.contains(value))
                    || KMSFacts.healthOperations.contains(value)
            }
            guard !condition.values.isEmpty, impossible.count == condition.values.count else { continue }
            findings.append("can never match: kmsOperation \(Shown.list(impossible)) does not lead to \(names)")
        }
        for key in [ConditionKey.kmsKeyArn, .kmsViaService] where needs.contains(key) {
            guard actions.contains(.getKeyMetadata) else { continue }
            findings.append(
                actions.count == 1
                    ? "can never match: KMS does not send \(key.name) with GetKeyMetadata"
                    : "can never match xks:GetKeyMetadata: KMS does not send \(key.name) with it")
        }
        return findings
    }

    /// KMS tells the VPC only of callers in the account that owns the key.
    private func vpcFindings() -> [String] {
        guard let key = [ConditionKey.awsSourceVpc, .awsSourceVpce].first(where: needs.contains),
            let callers = callerAccounts, let owners = keyAccounts, callers.isDisjoint(with: owners)
        else { return [] }
        return [
            "can never match: KMS sends \(key.name) only where the caller's account (\(callers.sorted().joined(separator: ", "))) "
                + "owns the KMS key (\(owners.sorted().joined(separator: ", ")))"
        ]
    }

    /// Accounts of all callers that match; `nil` where they may be of any.
    private var callerAccounts: Set<String>? {
        if !principals.isAnybody {
            let named = principals.names.all.map { ARN.account($0.text) }
            if let accounts = Self.all(named) { return accounts.union(principals.accounts.all.map(\.text)) }
        }
        return wantedAccounts(.awsPrincipalArn)
    }

    private var keyAccounts: Set<String>? { wantedAccounts(.kmsKeyArn) }

    private func wantedAccounts(_ key: ConditionKey) -> Set<String>? {
        wants.filter { $0.key == key }.compactMap { Self.all($0.values.map(ARN.account)) }.first
    }

    /// `nil` where one of them is unknown, or a pattern.
    private static func all(_ accounts: [String?]) -> Set<String>? {
        let known = accounts.compactMap { $0 }.filter { account in
            account.utf8.count == 12 && account.utf8.allSatisfy { (0x30...0x39).contains($0) }
        }
        return known.count == accounts.count ? Set(known) : nil
    }
}
