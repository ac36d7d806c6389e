// SPDX-License-Identifier: Apache-2.0

/// What keeps a vendor's library, in the process of its worker, from the rest of the host.
package struct Compartment: Sendable, Equatable, Codable {
    /// What the configuration asks for.
    package enum Mode: String, Sendable, Codable, CaseIterable {
        /// All that the node's user may reach, but for the node's own files and secrets, and signals to others.
        case standard = "default"
        /// Only the files and TCP ports that are listed.
        case strict
        /// Nothing is kept from it.
        case off
    }

    package var mode: Mode
    /// The kernel's version of Landlock; 0 where it has none.
    package var landlock: Int
    /// The node's files and secrets are out of its reach.
    package var files: Bool
    /// It cannot signal processes other than those that it started.
    package var signals: Bool
    /// Only listed TCP ports can be connected to.
    package var ports: Bool
    /// System calls that no PKCS#11 library needs are refused.
    package var calls: Bool
    /// No program that it runs gets more rights than the worker has (no_new_privs).
    package var privileges: Bool
    /// What was asked for and is not in force, and what of the lists is not there: a sentence each.
    package var missing: [String]

    package init(
        mode: Mode, landlock: Int = 0, files: Bool = false, signals: Bool = false, ports: Bool = false,
        calls: Bool = false, privileges: Bool = false, missing: [String] = []
    ) {
        self.mode = mode
        self.landlock = landlock
        self.files = files
        self.signals = signals
        self.ports = ports
        self.calls = calls
        self.privileges = privileges
        self.missing = missing
    }

    /// What people should know of it, in a sentence; `nil` where all that was asked for is in force.
    package var complaint: String? {
        if mode == .off { return "its library can reach all that this node can: sandbox is \"off\"" }
        return missing.isEmpty ? nil : "its library is not confined as asked for: " + missing.joined(separator: "; ")
    }
}
