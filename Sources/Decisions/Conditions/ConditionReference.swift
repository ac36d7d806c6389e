// SPDX-License-Identifier: Apache-2.0
import StatusVocabulary

/// docs/reference/conditions.md, made from the catalogue.
package enum ConditionReference {
    package static func markdown() -> String {
        let sections = ConditionCode.allCases.map { code in
            """
            ## `\(code.rawValue)`
            *\(words(code))* \(code.meaning)

            What to do: \(code.mend)
            """
        }
        return ([heading] + sections).joined(separator: "\n\n") + "\n"
    }

    private static func words(_ code: ConditionCode) -> String {
        let severity = code == .noHSMServes || code == .clockOff ? "critical, or warning" : code.severity.rawValue
        let whose =
            switch code.origin {
            case .reported: "reported by its node to all"
            case .evident: "follows from what its node shows"
            case .seen: "seen by each node of the others"
            }
        return "\(severity); \(whose)."
    }

    private static let heading = """
        # Conditions: everything that a person should know of

        <!-- Made from Sources/Decisions/Conditions/ConditionCode.swift. -->

        A condition has a stable code, a severity, the node and what of it the condition is about, a sentence, and since when
        it is so. `claviger status` and `GET /health` show those of their node, `claviger cluster status` and
        `GET /cluster/health` those of all nodes, whichever node is asked: what a node reports of itself is known to all
        within seconds. Verdicts follow from them and from nothing else: *critical* is UNAVAILABLE, *warning* is DEGRADED, a
        *note* degrades nothing. (Of a cluster, only `no-node-serves` is critical.) The log says `condition began` and
        `condition ended`, once each: one that comes and goes within ten seconds is one condition, and is counted. One that
        becomes graver, or milder for ten seconds, is told with `condition changed`.

        Which keys a condition is about stands in `details`, which are shown at the admin socket and in the log only.
        The gravest come first, here as everywhere.
        """
}
