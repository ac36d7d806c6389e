// SPDX-License-Identifier: Apache-2.0

/// One key, and what each HSM has shown of it. A label is not an identity: an HSM serves a key once it has opened the
/// key's canary.
package struct KeyStatus: Sendable, Equatable, Codable {
    /// The key's PKCS#11 label.
    package var label: String
    /// The HSM that made the canary; `nil` while there is none.
    package var canaryBy: String?
    /// Why the key is refused everywhere until an operator says which HSM is right; `nil` when it is not.
    package var disputed: String?
    /// What is odd about the key and keeps it from nothing, a sentence each; absent where there is nothing.
    package var complaints: [String]?
    /// By name of the HSM. One that is not to serve the key has no entry.
    package var cells: [String: KeyState]
    /// Every HSM that lists it says that it may neither encrypt nor decrypt; `nil` where that is not so.
    package var mayDoNothing: Bool?
    /// How often this node's processes have encrypted under it, ever; `nil` where that is not known.
    package var encrypts: UInt64?
    /// How often other nodes have, as far as they tell; `nil` where none does.
    package var encryptsElsewhere: UInt64?

    /// What that means, for people.
    package static let nothingAllowed = "CKA_ENCRYPT and CKA_DECRYPT are false on every HSM that lists it"

    /// By all nodes together; `nil` where nothing is known.
    package var encryptsInAll: UInt64? {
        guard encrypts != nil || encryptsElsewhere != nil else { return nil }
        let (sum, overflows) = (encrypts ?? 0).addingReportingOverflow(encryptsElsewhere ?? 0)
        return overflows ? .max : sum
    }

    package init(
        label: String, canaryBy: String?, disputed: String? = nil, complaints: [String] = [],
        mayDoNothing: Bool = false, cells: [String: KeyState]
    ) {
        self.mayDoNothing = mayDoNothing ? true : nil
        self.label = label
        self.canaryBy = canaryBy
        self.disputed = disputed
        self.complaints = complaints.isEmpty ? nil : complaints
        self.cells = cells
    }

    /// Whether an HSM may serve it.
    package var isServed: Bool { disputed == nil && cells.values.contains(where: \.isServing) }

    /// Whether no HSM is kept from it, and nothing is odd about it.
    package var isWhole: Bool { disputed == nil && complaints == nil && !cells.values.contains(where: \.isExclusion) }
}
