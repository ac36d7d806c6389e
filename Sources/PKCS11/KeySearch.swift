// SPDX-License-Identifier: Apache-2.0
import CPKCS11
import LaneProtocol

/// An AES key object on a token, as its attributes describe it.
package struct KeyDescription: Sendable, Equatable {
    package var handle: ObjectHandle
    /// CKA_LABEL; empty when the key has none. `nil` when it cannot be read, or is longer than 255 bytes.
    package var label: KeyLabel?
    /// CKA_ID; empty when the key has none, or one longer than 255 bytes.
    package var id: [UInt8]
    /// CKA_VALUE_LEN; `nil` when the token does not tell.
    package var size: Int?
    package var usage: KeyUsage
    /// CKA_START_DATE and CKA_END_DATE.
    package var validity: KeyValidity

    package init(
        handle: ObjectHandle, label: KeyLabel?, id: [UInt8], size: Int?, usage: KeyUsage,
        validity: KeyValidity = KeyValidity()
    ) {
        self.handle = handle
        self.label = label
        self.id = id
        self.size = size
        self.usage = usage
        self.validity = validity
    }
}

/// What a search found.
package struct KeyFindings: Sendable, Equatable {
    package var keys: [KeyDescription]
    /// True when the token holds more keys than were asked for.
    package var isCut: Bool

    package init(keys: [KeyDescription], isCut: Bool = false) {
        self.keys = keys
        self.isCut = isCut
    }
}

/// An attribute of keys that matters here, and whether a token shows it.
package struct KeyAttribute: Sendable, Equatable {
    package var name: String
    package var isReadable: Bool
}

extension Session {
    /// Which attributes of a key the token shows.
    package func readability(of key: ObjectHandle) throws(PKCS11Error) -> [KeyAttribute] {
        let wanted: [(String, UInt, Int)] = [
            ("CKA_LABEL", UInt(CKA_LABEL), 255), ("CKA_ID", UInt(CKA_ID), 255),
            ("CKA_VALUE_LEN", UInt(CKA_VALUE_LEN), MemoryLayout<UInt>.size), ("CKA_ENCRYPT", UInt(CKA_ENCRYPT), 1),
            ("CKA_DECRYPT", UInt(CKA_DECRYPT), 1), ("CKA_WRAP", UInt(CKA_WRAP), 1), ("CKA_UNWRAP", UInt(CKA_UNWRAP), 1),
            ("CKA_SENSITIVE", UInt(CKA_SENSITIVE), 1), ("CKA_EXTRACTABLE", UInt(CKA_EXTRACTABLE), 1),
            ("CKA_LOCAL", UInt(CKA_LOCAL), 1),
        ]
        var attributes: [KeyAttribute] = []
        for (name, type, limit) in wanted {
            let (_, values) = try read([(type, limit)], of: key)
            attributes.append(KeyAttribute(name: name, isReadable: values[type] != nil))
        }
        return attributes
    }

    /// The AES keys that are kept on the token and that this session may see, at most `limit`. A key that vanishes
    /// during the search is left out.
    package func aesKeys(atMost limit: Int) throws(PKCS11Error) -> KeyFindings {
        var template = AttributeTemplate()
        template.set(UInt(CKA_CLASS), UInt(CKO_SECRET_KEY))
        template.set(UInt(CKA_KEY_TYPE), UInt(CKK_AES))
        template.set(UInt(CKA_TOKEN), true)
        let handles = try find(template, atMost: limit)
        var keys: [KeyDescription] = []
        keys.reserveCapacity(handles.count)
        var tellsDates = true
        for handle in handles.prefix(limit) {
            if let key = try describe(handle, tellsDates: &tellsDates) { keys.append(key) }
        }
        return KeyFindings(keys: keys, isCut: handles.count > limit)
    }

    /// The objects that fit a template, at most one more than `limit`.
    private func find(_ template: AttributeTemplate, atMost limit: Int) throws(PKCS11Error) -> [ObjectHandle] {
        try module.exclusively { functions throws(PKCS11Error) in
            try find(template, atMost: limit, functions.base)
        }
    }

    private func find(
        _ template: AttributeTemplate, atMost limit: Int, _ list: UnsafeMutablePointer<CK_FUNCTION_LIST>
    ) throws(PKCS11Error) -> [ObjectHandle] {
        let begin = try present(list.pointee.C_FindObjectsInit, .findObjects)
        let next = try present(list.pointee.C_FindObjects, .findObjects)
        let finish = try present(list.pointee.C_FindObjectsFinal, .findObjects)
        var code = template.withAttributes { begin(handle, $0, $1) }
        if ReturnCode(rawValue: code) == .operationActive {
            // A search that an earlier failure left behind.
            _ = finish(handle)
            code = template.withAttributes { begin(handle, $0, $1) }
        }
        try check(code, .findObjects)
        defer { _ = finish(handle) }
        var found: [ObjectHandle] = []
        var batch = [UInt](repeating: 0, count: 64)
        while found.count <= limit {
            var count: UInt = 0
            code = batch.withUnsafeMutableBufferPointer { next(handle, $0.baseAddress, UInt($0.count), &count) }
            try check(code, .findObjects)
            guard count > 0 else { break }
            found.append(contentsOf: batch.prefix(Int(clamping: count)).map { ObjectHandle(rawValue: $0) })
        }
        return Array(found.prefix(limit + 1))
    }

    /// Reads a key's attributes; `nil` when the object is gone.
    ///
    /// - Parameter tellsDates: false once the token has shown that it knows no dates; then they are not asked for.
    private func describe(
        _ object: ObjectHandle, tellsDates: inout Bool
    ) throws(PKCS11Error) -> KeyDescription? {
        do {
            let values = try keyAttributes(of: object, tellsDates: &tellsDates)
            var usage: KeyUsage = []
            for (type, bit) in KeyUsage.attributes where values[type]?.first.map({ $0 != 0 }) ?? false {
                usage.insert(bit)
            }
            return KeyDescription(
                handle: object, label: values[UInt(CKA_LABEL)].flatMap(Self.label),
                id: values[UInt(CKA_ID)] ?? [], size: values[UInt(CKA_VALUE_LEN)].flatMap(Self.unsignedLong),
                usage: usage,
                validity: KeyValidity(
                    start: values[UInt(CKA_START_DATE)].flatMap { KeyValidity.day($0) },
                    end: values[UInt(CKA_END_DATE)].flatMap { KeyValidity.day($0) }))
        } catch {
            if error.code == .objectHandleInvalid { return nil }
            throw error
        }
    }

    /// Repairing a text that is no UTF-8 makes it longer.
    private static func label(_ bytes: [UInt8]) -> KeyLabel? {
        let text = bytes.withUnsafeBytes { printableText($0) }
        return text.utf8.count <= 255 ? KeyLabel(text) : nil
    }

    private static func unsignedLong(_ bytes: [UInt8]) -> Int? {
        guard bytes.count == MemoryLayout<UInt>.size else { return nil }
        return Int(exactly: bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt.self) })
    }

    /// All attributes of interest in one call. Libraries differ in what they fill in when they refuse one of several,
    /// so after a refusal each is read on its own.
    private func keyAttributes(
        of object: ObjectHandle, tellsDates: inout Bool
    ) throws(PKCS11Error) -> [UInt: [UInt8]] {
        let wanted =
            [(UInt(CKA_VALUE_LEN), MemoryLayout<UInt>.size), (UInt(CKA_LABEL), 255), (UInt(CKA_ID), 255)]
            + KeyUsage.attributes.map { ($0.0, 1) }
        // Of all of them, dates are what a token may not know. CK_DATE has eight bytes.
        let dates = [(UInt(CKA_START_DATE), 8), (UInt(CKA_END_DATE), 8)]
        let (code, values) = try read(tellsDates ? wanted + dates : wanted, of: object)
        if code.isOK { return values }
        guard tellsDates else { return try separately(wanted, of: object) }
        let (withoutDates, others) = try read(wanted, of: object)
        let told = try separately(dates, of: object)
        if told.isEmpty { tellsDates = false }
        return (withoutDates.isOK ? others : try separately(wanted, of: object)).merging(told) { first, _ in first }
    }

    private func separately(
        _ wanted: [(UInt, Int)], of object: ObjectHandle
    ) throws(PKCS11Error) -> [UInt: [UInt8]] {
        var separate: [UInt: [UInt8]] = [:]
        for attribute in wanted {
            let (_, value) = try read([attribute], of: object)
            separate.merge(value) { first, _ in first }
        }
        return separate
    }

    /// C_GetAttributeValue with a limit for each value, bytes. What the token does not give, or what is longer than its
    /// limit, is left out; the code then is one of the three that say so.
    private func read(
        _ wanted: [(type: UInt, limit: Int)], of object: ObjectHandle
    ) throws(PKCS11Error) -> (ReturnCode, [UInt: [UInt8]]) {
        // The only number stands first, so it is aligned.
        var bytes = [UInt8](repeating: 0, count: wanted.reduce(0) { $0 + $1.limit })
        var values: [UInt: [UInt8]] = [:]
        let code = try module.exclusively { functions throws(PKCS11Error) in
            let call = try present(functions.base.pointee.C_GetAttributeValue, .getAttributeValue)
            return bytes.withUnsafeMutableBytes { target in
                var offset = 0
                var attributes = wanted.map { type, limit in
                    defer { offset += limit }
                    return CK_ATTRIBUTE(
                        type: type, pValue: target.baseAddress.map { $0 + offset }, ulValueLen: UInt(limit))
                }
                let code = ReturnCode(rawValue: call(handle, object.rawValue, &attributes, UInt(attributes.count)))
                offset = 0
                for (attribute, (type, limit)) in zip(attributes, wanted) {
                    // CK_UNAVAILABLE_INFORMATION is larger than any limit.
                    if attribute.ulValueLen <= UInt(limit), code.isOK {
                        values[type] = Array(target[offset..<offset + Int(attribute.ulValueLen)])
                    }
                    offset += limit
                }
                return code
            }
        }
        switch code {
        case .ok: return (code, values)
        case .attributeSensitive, .attributeTypeInvalid, .bufferTooSmall: return (code, values)
        default: throw PKCS11Error(function: .getAttributeValue, code: code)
        }
    }
}
