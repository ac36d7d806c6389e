// SPDX-License-Identifier: Apache-2.0
import Policy

extension FuzzTarget {
    /// A request on the first line, and a policy: what is decided must be what comes of asking each statement.
    static let policy = FuzzTarget(name: "policy") { bytes in
        let parts = FuzzInput(bytes).lines(2)
        guard parts.count == 2 else { return nil }
        let policy: KeyStorePolicy
        let request: PolicyRequest
        do throws(PolicyProblems) {
            policy = try KeyStorePolicy(text: Array(parts[1]))
            request = try PolicyRequest.read(text: Array(parts[0]), now: 1_781_524_800)
        } catch {
            return error.problems.isEmpty ? "a policy or a request was refused without a word" : nil
        }
        _ = policy.findings
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
        return explanation.decision == expected ? nil : "decided \(explanation.decision), where it is \(expected)"
    }
}
