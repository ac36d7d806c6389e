// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import StatusVocabulary

/// The form and colour of a state; its word stands beside it. The raw values are names in template and stylesheet.
enum Mark: String {
    /// A disc.
    case good
    /// A triangle: somebody has to mend it, and requests are served.
    case warn
    /// A square: it does not serve.
    case bad
    /// A ring: on its way, or only to be known.
    case idle
    /// A line: taken out on purpose.
    case off

    init(_ severity: Condition.Severity) {
        switch severity {
        case .critical: self = .bad
        case .warning: self = .warn
        case .note: self = .idle
        }
    }

    static func of(_ state: HSMState, isDrained: Bool) -> (mark: Mark, word: String) {
        if isDrained { return (.off, state == .active ? "drained" : "\(state.rawValue), drained") }
        let mark: Mark =
            switch state {
            case .active: .good
            case .degraded: .warn
            case .unavailable: .bad
            case .starting, .probing: .idle
            }
        return (mark, state.rawValue)
    }

    static func of(_ node: ClusterNode) -> (mark: Mark, word: String) {
        switch node.liveness {
        case .alive where node.draining: (.off, "ending")
        case .alive where !node.hasUsableHSM: (.warn, "alive, no HSM serves")
        case .alive where node.keysUnserved > 0:
            (.warn, "alive, \(PageText.count(node.keysUnserved, "key")) not served")
        case .alive: (.good, "alive")
        case .suspect: (.warn, "suspect")
        case .dead: (.bad, "dead")
        case .left: (.off, "left")
        case .unconfirmed: (.idle, "unconfirmed")
        }
    }
}
