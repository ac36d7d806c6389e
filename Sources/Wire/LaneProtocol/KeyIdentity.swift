// SPDX-License-Identifier: Apache-2.0

/// Attributes that distinguish a key from another one of the same label, as far as the token lets them be read. None of
/// them proves that two keys are the same; each that changes shows that something else lies under a handle.
package struct KeyIdentity: Sendable, Hashable {
    /// CKA_CHECK_VALUE: the first three bytes of a block of zeros, encrypted under the key (PKCS#11 2.40, section 4.10.2).
    package var checkValue: [UInt8]?
    /// CKA_UNIQUE_ID: no other object of the token ever had it (PKCS#11 3.0, section 4.4.1).
    package var uniqueID: [UInt8]?
    /// CKA_ID.
    package var id: [UInt8]?

    package init(checkValue: [UInt8]? = nil, uniqueID: [UInt8]? = nil, id: [UInt8]? = nil) {
        self.checkValue = checkValue
        self.uniqueID = uniqueID
        self.id = id
    }

    /// True where an attribute that could be read both times is another one. One that could be read once only says
    /// nothing.
    package func contradicts(_ other: KeyIdentity) -> Bool {
        [(checkValue, other.checkValue), (uniqueID, other.uniqueID), (id, other.id)].contains { mine, others in
            if let mine, let others { mine != others } else { false }
        }
    }
}
