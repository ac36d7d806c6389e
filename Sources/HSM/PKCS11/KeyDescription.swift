// SPDX-License-Identifier: Apache-2.0
import CPKCS11
import LaneProtocol
import StatusVocabulary

/// An AES key object on a token, as its attributes describe it.
package struct KeyDescription: Sendable, Equatable {
    package var handle: ObjectHandle
    /// CKA_LABEL; empty when the key has none. `nil` when the token does not say it, when it is longer than 255 bytes,
    /// or no UTF-8.
    package var label: KeyLabel?
    /// The bytes of a label that is no UTF-8; empty otherwise.
    package var strangeLabel: [UInt8]
    /// CKA_ID; empty when the key has none, or one longer than 255 bytes.
    package var id: [UInt8]
    /// CKA_VALUE_LEN; `nil` when the token does not say.
    package var size: Int?
    package var usage: KeyUsage
    /// CKA_START_DATE and CKA_END_DATE.
    package var validity: KeyValidity
    /// CKA_CHECK_VALUE; empty when the token does not say.
    package var checkValue: [UInt8]
    /// CKA_UNIQUE_ID; empty when the token does not say.
    package var uniqueID: [UInt8]

    package init(
        handle: ObjectHandle, label: KeyLabel?, strangeLabel: [UInt8] = [], id: [UInt8], size: Int?, usage: KeyUsage,
        validity: KeyValidity = KeyValidity(), checkValue: [UInt8] = [], uniqueID: [UInt8] = []
    ) {
        self.handle = handle
        self.label = label
        self.strangeLabel = strangeLabel
        self.id = id
        self.size = size
        self.usage = usage
        self.validity = validity
        self.checkValue = checkValue
        self.uniqueID = uniqueID
    }

    /// What distinguishes it from another key of its label, as far as the token says.
    package var identity: KeyIdentity {
        KeyIdentity(
            checkValue: checkValue.isEmpty ? nil : checkValue, uniqueID: uniqueID.isEmpty ? nil : uniqueID,
            id: id.isEmpty ? nil : id)
    }
}

/// An AES key object that the token shows but does not describe, though it answers otherwise.
package struct UnreadableKey: Sendable, Equatable {
    package var handle: ObjectHandle
    /// CKA_LABEL; `nil` when that cannot be read either.
    package var label: KeyLabel?
    /// CKA_ID; empty when that cannot be read either.
    package var id: [UInt8]
    /// Name of the first attribute that was refused.
    package var attribute: String
    package var code: ReturnCode
    /// True when no attribute could be read: then it may be the token that fails, not the object.
    package var isSilent: Bool

    package init(
        handle: ObjectHandle, label: KeyLabel?, id: [UInt8], attribute: String, code: ReturnCode, isSilent: Bool
    ) {
        self.handle = handle
        self.label = label
        self.id = id
        self.attribute = attribute
        self.code = code
        self.isSilent = isSilent
    }
}

/// What reading a key object gave.
package enum KeyReading: Sendable, Equatable {
    case key(KeyDescription)
    case unreadable(UnreadableKey)
    /// There is no such object any more.
    case gone
}

/// An attribute of keys that matters here, and whether a token shows it.
package struct KeyAttribute: Sendable, Equatable {
    package var name: String
    package var isReadable: Bool
}

/// Which attributes of keys a token is asked for. One of those that not every token knows is not asked for again once
/// the token has refused it: a call that asks for it is refused as a whole, and costs another call for each of them.
package struct KeyAttributes: Sendable {
    struct Wanted: Sendable {
        var type: UInt
        var name: String
        /// Longest value, bytes.
        var limit: Int
    }

    /// The number stands first, so that it is aligned.
    static let required = [
        Wanted(type: UInt(CKA_VALUE_LEN), name: "CKA_VALUE_LEN", limit: MemoryLayout<UInt>.size),
        Wanted(type: UInt(CKA_LABEL), name: "CKA_LABEL", limit: 255),
        Wanted(type: UInt(CKA_ID), name: "CKA_ID", limit: 255),
        Wanted(type: UInt(CKA_ENCRYPT), name: "CKA_ENCRYPT", limit: 1),
        Wanted(type: UInt(CKA_DECRYPT), name: "CKA_DECRYPT", limit: 1),
        Wanted(type: UInt(CKA_SIGN), name: "CKA_SIGN", limit: 1),
        Wanted(type: UInt(CKA_VERIFY), name: "CKA_VERIFY", limit: 1),
        Wanted(type: UInt(CKA_WRAP), name: "CKA_WRAP", limit: 1),
        Wanted(type: UInt(CKA_UNWRAP), name: "CKA_UNWRAP", limit: 1),
    ]

    /// CK_DATE has eight bytes, a check value three; what vendors give as unique id is a UUID or a number.
    private(set) var optional = [
        Wanted(type: UInt(CKA_START_DATE), name: "CKA_START_DATE", limit: 8),
        Wanted(type: UInt(CKA_END_DATE), name: "CKA_END_DATE", limit: 8),
        Wanted(type: UInt(CKA_CHECK_VALUE), name: "CKA_CHECK_VALUE", limit: 32),
        Wanted(type: UInt(CLAVIGER_UNIQUE_ID), name: "CKA_UNIQUE_ID", limit: 128),
    ]

    package init() {}

    /// Without these a key is known all the same: they distinguish it from others, and do not describe it.
    static func isIdentity(_ attribute: Wanted) -> Bool {
        attribute.type == UInt(CKA_CHECK_VALUE) || attribute.type == UInt(CLAVIGER_UNIQUE_ID)
    }

    mutating func tokenRefused(_ attribute: Wanted, _ code: ReturnCode) {
        guard code == .attributeTypeInvalid || code == .attributeSensitive && Self.isIdentity(attribute) else { return }
        optional.removeAll { $0.type == attribute.type }
    }
}

extension ReturnCode {
    /// True when C_GetAttributeValue says that the object has no such attribute, or does not report it.
    fileprivate var withholdsAttribute: Bool {
        self == .attributeSensitive || self == .attributeTypeInvalid || self == .bufferTooSmall
    }

    /// True when a refusal by C_GetAttributeValue may be about the one object: SoftHSM says CKR_GENERAL_ERROR for a key
    /// with CKA_END_DATE. False for what says that session, token, device or library cannot be asked.
    fileprivate var mayBeAboutOneObject: Bool {
        guard sessionRemedy == .none else { return false }
        switch self {
        case .hostMemory, .deviceMemory, .cancel, .functionCanceled, .tokenNotInitialized, .tokenResourceExceeded,
            .fipsSelfTestFailed, .fipsSelfTestFailedFreeHeader, .libraryLoadFailed, .libraryLoadFailedFreeHeader:
            return false
        default: return true
        }
    }
}

extension Session {
    /// Which attributes of a key the token shows.
    package func readability(of key: ObjectHandle) throws(PKCS11Error) -> [KeyAttribute] {
        let others = [
            ("CKA_SENSITIVE", UInt(CKA_SENSITIVE)), ("CKA_EXTRACTABLE", UInt(CKA_EXTRACTABLE)),
            ("CKA_LOCAL", UInt(CKA_LOCAL)),
        ]
        let wanted =
            KeyAttributes.required + KeyAttributes().optional
            + others.map { KeyAttributes.Wanted(type: $0.1, name: $0.0, limit: 1) }
        var attributes: [KeyAttribute] = []
        for attribute in wanted {
            let (code, values) = try read([attribute], of: key)
            guard code.isOK || code.withholdsAttribute || code.mayBeAboutOneObject else {
                throw PKCS11Error(function: .getAttributeValue, code: code)
            }
            attributes.append(KeyAttribute(name: attribute.name, isReadable: values[attribute.type] != nil))
        }
        return attributes
    }

    /// Reads a key's attributes: one call where the token gives them all.
    ///
    /// - Throws: what says that the token cannot be asked; a refusal that may be about the object is `unreadable`.
    package func describe(
        _ object: ObjectHandle, attributes: inout KeyAttributes
    ) throws(PKCS11Error) -> KeyReading {
        let wanted = KeyAttributes.required + attributes.optional
        let (code, values) = try read(wanted, of: object)
        if code.isOK { return .key(Self.description(of: object, values)) }
        if code.saysNoSuchObject { return .gone }
        guard code.withholdsAttribute || code.mayBeAboutOneObject else {
            throw PKCS11Error(function: .getAttributeValue, code: code)
        }
        return try describeOneByOne(object, wanted, attributes: &attributes)
    }

    /// Libraries differ in what they fill in when they refuse one of several attributes, so each is read on its own.
    private func describeOneByOne(
        _ object: ObjectHandle, _ wanted: [KeyAttributes.Wanted], attributes: inout KeyAttributes
    ) throws(PKCS11Error) -> KeyReading {
        var values: [UInt: [UInt8]] = [:]
        var refused: (name: String, code: ReturnCode)?
        for attribute in wanted {
            var (code, value) = try read([attribute], of: object)
            // A token may fail for a moment; an object that is odd is so each time.
            for _ in 0..<2 where code.mayBeAboutOneObject && !code.isOK && !code.withholdsAttribute {
                (code, value) = try read([attribute], of: object)
            }
            if code.saysNoSuchObject { return .gone }
            values.merge(value) { first, _ in first }
            attributes.tokenRefused(attribute, code)
            guard !code.isOK, !code.withholdsAttribute else { continue }
            guard code.mayBeAboutOneObject else { throw PKCS11Error(function: .getAttributeValue, code: code) }
            if refused == nil, !KeyAttributes.isIdentity(attribute) { refused = (attribute.name, code) }
        }
        let key = Self.description(of: object, values)
        guard let refused else { return .key(key) }
        return .unreadable(
            UnreadableKey(
                handle: object, label: key.label, id: key.id, attribute: refused.name, code: refused.code,
                isSilent: values.isEmpty))
    }

    private static func description(of object: ObjectHandle, _ values: [UInt: [UInt8]]) -> KeyDescription {
        var usage: KeyUsage = []
        for (type, bit) in KeyUsage.attributes where values[type]?.first.map({ $0 != 0 }) ?? false {
            usage.insert(bit)
        }
        let label = values[UInt(CKA_LABEL)]
        let text = label.flatMap { String(validating: $0, as: UTF8.self) }
        return KeyDescription(
            handle: object, label: text.map { KeyLabel($0) }, strangeLabel: text == nil ? label ?? [] : [],
            id: values[UInt(CKA_ID)] ?? [], size: values[UInt(CKA_VALUE_LEN)].flatMap(unsignedLong), usage: usage,
            validity: KeyValidity(
                start: values[UInt(CKA_START_DATE)].flatMap { KeyValidity.day($0) },
                end: values[UInt(CKA_END_DATE)].flatMap { KeyValidity.day($0) }),
            checkValue: values[UInt(CKA_CHECK_VALUE)] ?? [], uniqueID: values[UInt(CLAVIGER_UNIQUE_ID)] ?? [])
    }

    private static func unsignedLong(_ bytes: [UInt8]) -> Int? {
        guard bytes.count == MemoryLayout<UInt>.size else { return nil }
        return Int(exactly: bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt.self) })
    }

    /// An attribute that is a CK_ULONG; `nil` where the object has none, or does not say it.
    func number(_ type: UInt, of object: ObjectHandle) throws(PKCS11Error) -> UInt? {
        let wanted = KeyAttributes.Wanted(type: type, name: "", limit: MemoryLayout<UInt>.size)
        let bytes = try read([wanted], of: object).1[type] ?? []
        guard bytes.count == MemoryLayout<UInt>.size else { return nil }
        return bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt.self) }
    }

    /// C_GetAttributeValue. What the token does not give, or what is longer than its limit, is left out, and so is
    /// everything when the call is refused for another reason.
    private func read(
        _ wanted: [KeyAttributes.Wanted], of object: ObjectHandle
    ) throws(PKCS11Error) -> (ReturnCode, [UInt: [UInt8]]) {
        var bytes = [UInt8](repeating: 0, count: wanted.reduce(0) { $0 + $1.limit })
        var values: [UInt: [UInt8]] = [:]
        let code = try module.exclusively { functions throws(PKCS11Error) in
            let call = try present(functions.base.pointee.C_GetAttributeValue, .getAttributeValue)
            return bytes.withUnsafeMutableBytes { target in
                var offset = 0
                var attributes = wanted.map { attribute in
                    defer { offset += attribute.limit }
                    return CK_ATTRIBUTE(
                        type: attribute.type, pValue: target.baseAddress.map { $0 + offset },
                        ulValueLen: UInt(attribute.limit))
                }
                let code = ReturnCode(rawValue: call(handle, object.rawValue, &attributes, UInt(attributes.count)))
                offset = 0
                for (attribute, wanted) in zip(attributes, wanted) {
                    // CK_UNAVAILABLE_INFORMATION is larger than any limit.
                    if attribute.ulValueLen <= UInt(wanted.limit), code.isOK {
                        values[wanted.type] = Array(target[offset..<offset + Int(attribute.ulValueLen)])
                    }
                    offset += wanted.limit
                }
                return code
            }
        }
        return (code, values)
    }
}
