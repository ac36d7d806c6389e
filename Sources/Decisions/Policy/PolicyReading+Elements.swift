// SPDX-License-Identifier: Apache-2.0
import XKSProtocol

// Principal, Action and Resource.

extension PolicyReader {
    func actions(_ node: JSONNode) -> Set<PolicyAction> {
        var actions: Set<PolicyAction> = []
        for (text, offset) in texts(node, "Action") {
            if text == "xks:*" || text == "*" {
                actions.formUnion(PolicyAction.allCases)
            } else if let action = PolicyAction(rawValue: text) {
                actions.insert(action)
            } else {
                report(offset, "Action", value: Shown.quoted(text), "is no action", mend: Self.mend(action: text))
            }
        }
        return actions
    }

    private static func mend(action text: String) -> String {
        let names = PolicyAction.allCases.map(\.rawValue) + ["xks:*"]
        switch text.lowercased() {
        case "xks:gethealthstatus": return "remove it: no policy is asked about GetHealthStatus"
        case "kms:encrypt", "kms:generatedatakey", "kms:generatedatakeywithoutplaintext":
            return "write xks:Encrypt; kmsOperation tells which call of KMS is behind it"
        case "kms:decrypt": return "write xks:Decrypt"
        case "kms:reencrypt*", "kms:reencryptfrom", "kms:reencryptto":
            return "write xks:Decrypt or xks:Encrypt, with kmsOperation ReEncrypt"
        case "kms:createkey", "kms:describekey": return "write xks:GetKeyMetadata"
        default:
            return NearestWord.find(text, among: names).map { "did you mean \($0)?" }
                ?? "there are: \(names.joined(separator: ", "))"
        }
    }

    func resources(_ node: JSONNode) -> [TextPattern] {
        texts(node, "Resource").compactMap { text, offset in
            guard let pattern = pattern(text, offset, "Resource") else { return nil }
            // A wildcard stands for characters that an id may have; the letter x is one.
            let example = String(text.map { $0 == "*" || $0 == "?" ? "x" : $0 })
            guard XKSPath.isValidExternalKeyID(example) else {
                report(
                    offset, "Resource", value: Shown.quoted(text),
                    "fits no external key id (1 to 128 of A-Z a-z 0-9 . _ -)",
                    mend: text.hasPrefix("arn:")
                        ? "name the external key id; for the ARN of the KMS key use a condition on kmsKeyArn"
                        : "write an external key id, or a pattern such as \"payments-*\"")
                return nil
            }
            return pattern
        }
    }

    /// `"*"`, or `{ "AWS": …, "Service": … }`, or, where it is plain what is meant, the value itself.
    func principals(_ node: JSONNode) -> Principals {
        var found: [(text: String, offset: Int, place: String)] = []
        if case .object(let members) = node.value {
            _ = object(node, "Principal", names: ["AWS", "Service"])
            if members.isEmpty {
                report(node.offset, "Principal", "names nobody", mend: "write \"*\", or { \"AWS\": \"arn:…\" }")
            }
            for member in members where member.name == "AWS" || member.name == "Service" {
                let place = "Principal.\(member.name)"
                found += texts(member.node, place).map { ($0.text, $0.offset, place) }
            }
        } else {
            found = texts(node, "Principal").map { ($0.text, $0.offset, "Principal") }
        }
        var principals = Principals()
        var names: [TextPattern] = []
        var accounts: [TextPattern] = []
        for (text, offset, place) in found {
            guard let pattern = pattern(text, offset, place) else { continue }
            if pattern.isAnything {
                principals.isAnybody = true
            } else if let account = Self.account(text), let pattern = self.pattern(account, offset, place) {
                accounts.append(pattern)
            } else if Self.canBePrincipal(text) {
                names.append(pattern)
            } else {
                report(
                    offset, place, value: Shown.quoted(text), "is nobody that KMS can name",
                    mend: "write an ARN (arn:aws:iam::ACCOUNT:role/NAME), an account of 12 digits, a service "
                        + "(ec2.amazonaws.com), \"AWS Internal\", or \"*\"")
            }
        }
        principals.names = PatternSet(names)
        principals.accounts = PatternSet(accounts)
        return principals
    }

    /// An account in one of the two ways in which IAM writes it.
    private static func account(_ text: String) -> String? {
        let isDigits = { (text: Substring) in
            text.utf8.count == 12 && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
        }
        if isDigits(text[...]) { return text }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0] == "arn", parts[2] == "iam", parts[3].isEmpty, parts[5] == "root",
            isDigits(parts[4])
        else { return nil }
        return String(parts[4])
    }

    private static func canBePrincipal(_ text: String) -> Bool {
        let hasWildcard = text.utf8.contains { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") }
        return hasWildcard || text.hasPrefix("arn:") || text.hasSuffix(".amazonaws.com")
            || text.hasSuffix(".amazonaws.com.cn") || text == "AWS Internal"
    }
}
