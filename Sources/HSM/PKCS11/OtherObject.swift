// SPDX-License-Identifier: Apache-2.0
import CPKCS11
import LaneProtocol

/// What an object on a token is that has the label of a key and is none that could serve.
package struct OtherObject: Sendable, Equatable {
    /// CKA_CLASS.
    package var objectClass: UInt
    /// CKA_KEY_TYPE; `nil` where it is no key, or does not say.
    package var keyType: UInt?

    package init(objectClass: UInt, keyType: UInt?) {
        self.objectClass = objectClass
        self.keyType = keyType
    }

    /// In words, for example `an RSA private key`.
    package var words: String {
        switch objectClass {
        case UInt(CKO_PRIVATE_KEY): "\(type) private key"
        case UInt(CKO_PUBLIC_KEY): "\(type) public key"
        case UInt(CKO_SECRET_KEY): keyType == UInt(CKK_GENERIC_SECRET) ? "a generic secret" : "\(type) key"
        case UInt(CKO_CERTIFICATE): "a certificate"
        case UInt(CKO_DATA): "a data object"
        default: "an object of class 0x\(String(objectClass, radix: 16))"
        }
    }

    private var type: String {
        switch keyType {
        case UInt(CKK_RSA): "an RSA"
        case UInt(CKK_EC): "an EC"
        case UInt(CKK_DSA): "a DSA"
        case UInt(CKK_DH): "a DH"
        case UInt(CKK_DES3): "a triple DES"
        case UInt(CKK_AES): "an AES"
        case UInt(CKK_GENERIC_SECRET): "a generic"
        case .some(let other): "a (type 0x\(String(other, radix: 16)))"
        case nil: "a"
        }
    }
}

extension Session {
    /// What an object of this label is, whatever it is; keys that are kept secret first. `nil` where there is none, or none
    /// that says what it is.
    package func otherObject(labelled label: KeyLabel) throws(PKCS11Error) -> OtherObject? {
        var template = AttributeTemplate()
        template.set(UInt(CKA_TOKEN), true)
        template.set(UInt(CKA_LABEL), Array(label.text.utf8))
        var objects: [OtherObject] = []
        for handle in try find(template, atMost: Self.mostOthers) {
            guard let objectClass = try number(UInt(CKA_CLASS), of: handle) else { continue }
            objects.append(OtherObject(objectClass: objectClass, keyType: try number(UInt(CKA_KEY_TYPE), of: handle)))
        }
        return objects.min { rank($0) < rank($1) }
    }

    private static let mostOthers = 8

    private func rank(_ object: OtherObject) -> Int {
        switch object.objectClass {
        case UInt(CKO_SECRET_KEY): 0
        case UInt(CKO_PRIVATE_KEY): 1
        case UInt(CKO_PUBLIC_KEY): 2
        default: 3
        }
    }

    private func find(_ template: AttributeTemplate, atMost limit: Int) throws(PKCS11Error) -> [ObjectHandle] {
        try module.exclusively { functions throws(PKCS11Error) in try find(template, atMost: limit, functions.base) }
    }
}
