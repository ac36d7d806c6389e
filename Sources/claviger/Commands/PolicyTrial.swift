// SPDX-License-Identifier: Apache-2.0
import Audit
import AuditChain
import Policy
import XKSProtocol

/// What a policy says of requests that were made: which that were let through it would deny, and the other way round.
struct PolicyTrial {
    /// What is counted together.
    struct Group: Hashable {
        var principal: String
        var action: String
        var key: String
        /// The statement that denies it; empty where none allows it.
        var statement: String
    }

    let policy: KeyStorePolicy
    /// Path prefix; `nil` for all.
    let keyStore: String?
    private(set) var asked = 0
    private(set) var allowedBefore = 0
    /// Of those that were let through before.
    private(set) var denied: [Group: Int] = [:]
    /// Of those that a policy had denied before.
    private(set) var allowed: [Group: Int] = [:]

    init(policy: KeyStorePolicy, keyStore: String?) {
        self.policy = policy
        self.keyStore = keyStore
    }

    mutating func take(_ record: AuditLine) {
        // The node that a request came to first decides by its policy; the record of one that helped is not counted.
        guard record.kind == .request, !record.has(.forwardedBy), let request = PolicyRequest(record),
            keyStore == nil || keyStore == request.keyStore
        else { return }
        asked += 1
        let wasDenied = record.text(.outcome) == XKSError.Name.accessDenied.rawValue
        if !wasDenied { allowedBefore += 1 }
        let decision = policy.decide(request)
        guard decision.isAllowed == wasDenied else { return }
        let group = Group(
            principal: request.metadata.awsPrincipalArn ?? "", action: request.action.rawValue,
            key: request.externalKeyID, statement: decision.statement ?? "")
        if wasDenied { allowed[group, default: 0] += 1 } else { denied[group, default: 0] += 1 }
    }

    /// Lines for people.
    func report(mostGroups: Int = 50) -> String {
        func list(_ groups: [Group: Int], _ verb: String) -> [String] {
            let sorted = groups.sorted {
                ($1.value, $0.key.principal, $0.key.key) < ($0.value, $1.key.principal, $1.key.key)
            }
            let lines = sorted.prefix(mostGroups).map { group, count in
                let why = group.statement.isEmpty ? "no statement allows it" : "by \(group.statement)"
                return "  \(count) of \(group.action) on \(group.key) by \(group.principal): \(verb), \(why)"
            }
            return lines + (sorted.count > mostGroups ? ["  and \(sorted.count - mostGroups) more kinds"] : [])
        }
        let (lost, won) = (denied.values.reduce(0, +), allowed.values.reduce(0, +))
        return
            (["Of \(asked) requests, \(allowedBefore) were let through: \(lost) of these would be denied."]
            + list(denied, "denied") + (won > 0 ? ["\(won) that were denied would be allowed."] : [])
            + list(allowed, "allowed")).joined(separator: "\n")
    }
}

extension PolicyRequest {
    /// `nil` for what no policy is asked about, and for a record that lacks what a request must say.
    convenience init?(_ record: AuditLine) {
        guard let operation = record.text(.operation).flatMap(XKSOperation.init), let action = PolicyAction(operation),
            let kmsOperation = record.text(.kmsOperation), let requestID = record.text(.kmsRequestID),
            let seconds = record.text(.time).flatMap(AuditTime.unixSeconds)
        else { return nil }
        var metadata = RequestMetadata(
            awsPrincipalArn: record.text(.principal), kmsKeyArn: record.text(.kmsKeyARN), kmsOperation: kmsOperation,
            kmsRequestId: requestID, awsSourceVpc: record.text(.sourceVPC), awsSourceVpce: record.text(.sourceVPCE),
            kmsViaService: record.text(.viaService))
        metadata.others = (record.lists(.otherMetadata) ?? []).compactMap { list in
            list.first.map { RequestMetadata.OtherField(name: $0, values: Array(list.dropFirst())) }
        }
        self.init(
            action: action, externalKeyID: record.text(.externalKeyID) ?? "", keyStore: record.text(.keyStore) ?? "",
            clientAddress: record.text(.client) ?? "", time: seconds, metadata: metadata)
    }
}
