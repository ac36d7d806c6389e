// SPDX-License-Identifier: Apache-2.0
import StatusVocabulary

/// One AES-256 key object that the token holds. Several of one label are candidates: the one that opens the canary
/// is the key.
package struct CatalogueEntry: Sendable, Equatable {
    /// The worker's number for it, never given to another object while the worker lives, nor to another value under the
    /// same handle where the token distinguishes them.
    package var reference: UInt32
    /// CKA_LABEL.
    package var label: KeyLabel
    package var usage: KeyUsage
    package var validity: KeyValidity
    /// What distinguishes it from another key of its label; `nil` where the token lets nothing of it be read.
    package var identity: KeyIdentity?

    package init(
        reference: UInt32, label: KeyLabel, usage: KeyUsage, validity: KeyValidity = KeyValidity(),
        identity: KeyIdentity? = nil
    ) {
        self.reference = reference
        self.label = label
        self.usage = usage
        self.validity = validity
        self.identity = identity
    }
}

/// A key object that cannot serve, and why in words, for people.
package struct CatalogueComplaint: Sendable, Equatable {
    /// Empty where the complaint is about the token, or the label is not known.
    package var label: KeyLabel
    package var reason: String
    /// Whether an object of this label can serve is not known: it could not be read, or there are several. Then the label
    /// must not be called absent.
    package var isUndecided: Bool

    package init(label: KeyLabel, reason: String, isUndecided: Bool = false) {
        self.label = label
        self.reason = reason
        self.isUndecided = isUndecided
    }
}

/// What a worker reports of its token's keys: those that key stores offer.
package struct KeyListing: Sendable, Equatable {
    /// Whether the entries are all that there are.
    package enum Extent: UInt8, Sendable, CaseIterable {
        /// They are: a label that is not among them is not on the token, as this worker sees it.
        case whole = 1
        /// The token is still being read. More follow.
        case growing = 2
        /// The token holds more keys than are looked at or reported, or some whose label cannot be read.
        case cut = 3
    }

    package var entries: [CatalogueEntry]
    package var complaints: [CatalogueComplaint]
    package var extent: Extent
    /// AES keys of the token that no key store offers.
    package var others: UInt32

    package init(
        _ entries: [CatalogueEntry] = [], complaints: [CatalogueComplaint] = [], extent: Extent = .whole,
        others: UInt32 = 0
    ) {
        self.entries = entries
        self.complaints = complaints
        self.extent = extent
        self.others = others
    }
}
