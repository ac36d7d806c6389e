// SPDX-License-Identifier: Apache-2.0
import CPKCS11

/// CK_MECHANISM_TYPE.
package struct Mechanism: RawRepresentable, Sendable, Hashable {
    package let rawValue: UInt
    package init(rawValue: UInt) { self.rawValue = rawValue }

    package static let aesKeyGeneration = Mechanism(rawValue: UInt(CKM_AES_KEY_GEN))
    package static let aesGCM = Mechanism(rawValue: UInt(CKM_AES_GCM))
    package static let aesCBC = Mechanism(rawValue: UInt(CKM_AES_CBC))
    package static let aesKeyWrapPadding = Mechanism(rawValue: UInt(CKM_AES_KEY_WRAP_PAD))
}
