// SPDX-License-Identifier: Apache-2.0
import CPKCS11
import LaneProtocol
import SecureMemory
import StatusVocabulary

extension Session {
    /// Makes an AES-256 key that lives as long as this session and may encrypt and decrypt: C_GenerateKey.
    ///
    /// Asks for a sensitive, unextractable key first. Where the token refuses that template, one without these two
    /// attributes is asked for: the key protects nothing but probes.
    ///
    /// - Parameter visibleWithoutLogin: makes it a public object, which is all that a session without login may make.
    package func generateSessionKey(visibleWithoutLogin: Bool = false) throws(PKCS11Error) -> ObjectHandle {
        var template = AttributeTemplate()
        template.set(UInt(CKA_CLASS), UInt(CKO_SECRET_KEY))
        template.set(UInt(CKA_KEY_TYPE), UInt(CKK_AES))
        template.set(UInt(CKA_VALUE_LEN), UInt(32))
        template.set(UInt(CKA_TOKEN), false)
        if visibleWithoutLogin { template.set(UInt(CKA_PRIVATE), false) }
        template.set(UInt(CKA_ENCRYPT), true)
        template.set(UInt(CKA_DECRYPT), true)
        template.set(UInt(CKA_SENSITIVE), true)
        template.set(UInt(CKA_EXTRACTABLE), false)
        do {
            return try generateKey(template)
        } catch {
            switch error.code {
            case .attributeTypeInvalid, .attributeValueInvalid, .attributeReadOnly, .templateInconsistent:
                template.remove([UInt(CKA_SENSITIVE), UInt(CKA_EXTRACTABLE)])
                return try generateKey(template)
            default: throw error
            }
        }
    }

    /// Makes an AES-256 key that stays on the token and may encrypt and decrypt: C_GenerateKey. Private, sensitive,
    /// unextractable: nobody ever sees its value. Needs a read-write session and the user logged in.
    ///
    /// - Parameter label: 1 to 255 bytes; it is CKA_ID, too.
    package func generateTokenKey(label: String) throws(PKCS11Error) -> ObjectHandle {
        var template = AttributeTemplate()
        template.set(UInt(CKA_CLASS), UInt(CKO_SECRET_KEY))
        template.set(UInt(CKA_KEY_TYPE), UInt(CKK_AES))
        template.set(UInt(CKA_VALUE_LEN), UInt(32))
        template.set(UInt(CKA_TOKEN), true)
        template.set(UInt(CKA_PRIVATE), true)
        template.set(UInt(CKA_SENSITIVE), true)
        template.set(UInt(CKA_EXTRACTABLE), false)
        template.set(UInt(CKA_ENCRYPT), true)
        template.set(UInt(CKA_DECRYPT), true)
        template.set(UInt(CKA_LABEL), Array(label.utf8))
        template.set(UInt(CKA_ID), Array(label.utf8))
        return try generateKey(template)
    }

    private func generateKey(_ template: AttributeTemplate) throws(PKCS11Error) -> ObjectHandle {
        var mechanism = CK_MECHANISM(mechanism: UInt(CKM_AES_KEY_GEN), pParameter: nil, ulParameterLen: 0)
        var key: UInt = 0
        try module.changing { functions throws(PKCS11Error) in
            let call = try present(functions.base.pointee.C_GenerateKey, .generateKey)
            try check(template.withAttributes { call(handle, &mechanism, $0, $1, &key) }, .generateKey)
        }
        return ObjectHandle(rawValue: key)
    }

    /// Stores an AES key of known value on the token: C_CreateObject. Private, sensitive, unextractable.
    /// Needs a read-write session and the user logged in. `label`: the bytes of CKA_LABEL, which need not be UTF-8.
    package func createAESKey(
        label: [UInt8], id: [UInt8], value: SecretBytes, usage: KeyUsage, validity: KeyValidity = KeyValidity()
    ) throws(PKCS11Error) -> ObjectHandle {
        var template = AttributeTemplate()
        template.set(UInt(CKA_CLASS), UInt(CKO_SECRET_KEY))
        template.set(UInt(CKA_KEY_TYPE), UInt(CKK_AES))
        template.set(UInt(CKA_TOKEN), true)
        template.set(UInt(CKA_PRIVATE), true)
        template.set(UInt(CKA_SENSITIVE), true)
        template.set(UInt(CKA_EXTRACTABLE), false)
        template.set(UInt(CKA_LABEL), label)
        template.set(UInt(CKA_ID), id)
        template.set(UInt(CKA_VALUE), value)
        template.set(usage)
        if let start = validity.start { template.set(UInt(CKA_START_DATE), KeyValidity.date(start)) }
        if let end = validity.end { template.set(UInt(CKA_END_DATE), KeyValidity.date(end)) }
        var object: UInt = 0
        try module.changing { functions throws(PKCS11Error) in
            let call = try present(functions.base.pointee.C_CreateObject, .createObject)
            try check(template.withAttributes { call(handle, $0, $1, &object) }, .createObject)
        }
        return ObjectHandle(rawValue: object)
    }

    /// C_DestroyObject.
    package func destroy(_ object: ObjectHandle) throws(PKCS11Error) {
        try module.changing { functions throws(PKCS11Error) in
            let call = try present(functions.base.pointee.C_DestroyObject, .destroyObject)
            try check(call(handle, object.rawValue), .destroyObject)
        }
    }
}
