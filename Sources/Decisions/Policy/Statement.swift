// SPDX-License-Identifier: Apache-2.0

/// What a statement does when it matches.
package enum PolicyEffect: String, Sendable {
    case allow = "Allow"
    case deny = "Deny"
}

/// Who a statement is about.
struct Principals: Sendable {
    /// `"*"`: everybody.
    var isAnybody = false
    /// ARNs, with or without wildcards, service principals, `AWS Internal`.
    var names = PatternSet([])
    /// Accounts all of whose principals are meant.
    var accounts = PatternSet([])

    func matches(_ principal: String?) -> Bool {
        if isAnybody { return true }
        guard let principal else { return false }
        return principal.withBytes { bytes in
            if names.matches(bytes) { return true }
            guard !accounts.all.isEmpty, let account = ARN.account(bytes) else { return false }
            return accounts.matches(account)
        }
    }
}

/// One statement, ready to be asked. A class, so that looking at one counts one reference, and not those of its parts.
final class Statement: Sendable {
    /// The Sid, or `statement 3`.
    let name: String
    let sid: String?
    /// Where it begins, from 1.
    let line: Int
    let effect: PolicyEffect
    let actions: Set<PolicyAction>
    let principals: Principals
    let resources: PatternSet
    let conditions: [Condition]

    /// - Parameter number: from 1, in the order of the file.
    init(
        number: Int, sid: String?, line: Int, effect: PolicyEffect, actions: Set<PolicyAction>,
        principals: Principals, resources: [TextPattern], conditions: [Condition]
    ) {
        name = sid ?? "statement \(number)"
        self.sid = sid
        self.line = line
        self.effect = effect
        self.actions = actions
        self.principals = principals
        self.resources = PatternSet(resources)
        self.conditions = conditions
    }

    /// Whether the request is as all parts but the action ask.
    func matches(_ request: PolicyRequest) -> Bool {
        guard request.externalKeyID.withBytes(resources.matches), principals.matches(request.metadata.awsPrincipalArn)
        else { return false }
        for condition in conditions where !condition.holds(request) { return false }
        return true
    }
}
