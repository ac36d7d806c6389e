// SPDX-License-Identifier: Apache-2.0

/// Whether every node of the cluster has this node's configuration: only then is what this node does not offer offered
/// nowhere. "There is no such key" is final for KMS, so it takes the word of all who may offer the key.
package struct ConfigurationAgreement: Sendable, Equatable {
    /// Names of nodes that can be asked and whose configuration is another, or not known yet, in their order.
    package private(set) var others: [String] = []
    /// Names of nodes that do not answer and may serve all the same, in their order: their configuration may have
    /// changed since they last reported it.
    package private(set) var silent: [String] = []
    /// This node has just begun, and knows of nobody yet where there may be somebody.
    package private(set) var isEarly: Bool

    package var isWhole: Bool { others.isEmpty && silent.isEmpty && !isEarly }

    /// How long a node that looks for others waits for the first of them, nanoseconds.
    package static let patience: UInt64 = 10_000_000_000

    /// Only what a node has reported to this one itself counts: a configuration that somebody else reports of it may be
    /// made up.
    ///
    /// - Parameters:
    ///   - node: this node.
    ///   - configuration: digest of this node's; empty while it is not known.
    ///   - isSought: there are addresses at which other nodes may be.
    ///   - age: since this node started, nanoseconds.
    package init(members: [Member], node: String, configuration: String, isSought: Bool, age: UInt64) {
        let awaited = members.filter { $0.identity.name != node && $0.isAwaited }
        isEarly = awaited.isEmpty && isSought && age < Self.patience
        for member in awaited {
            guard member.isLive, member.hasSpoken else {
                silent.append(member.identity.name)
                continue
            }
            let isAlike = !configuration.isEmpty && member.ownConfiguration == configuration
            if !isAlike { others.append(member.identity.name) }
        }
        others.sort()
        silent.sort()
    }

    /// Nobody else is there.
    package static let alone = ConfigurationAgreement(
        members: [], node: "", configuration: "", isSought: false, age: 0)

    private static let mostNames = 3

    /// Why something that is not offered here may be offered elsewhere, for people; `nil` where it cannot be.
    package var doubt: String? {
        if !others.isEmpty {
            return "the configuration of \(Self.list(others)) differs from this node's, or is not known yet"
        }
        if !silent.isEmpty { return "\(Self.list(silent)) cannot be asked" }
        return isEarly ? "this node has just begun, and has not found the others yet" : nil
    }

    private static func list(_ names: [String]) -> String {
        let shown = names.prefix(mostNames).joined(separator: ", ")
        return names.count > mostNames ? "\(shown) and \(names.count - mostNames) more" : shown
    }
}
