// SPDX-License-Identifier: Apache-2.0
import CPKCS11
import LaneProtocol

/// What a search of a token's AES keys found.
package struct KeySearchResults: Sendable, Equatable {
    package var keys: [KeyDescription]
    /// Objects that the token shows and does not describe.
    package var unreadable: [UnreadableKey]
    /// How many more AES keys there are that nobody wanted described.
    package var others: Int
    /// True when the token holds more keys than were asked for.
    package var isCut: Bool
    /// Labels that were searched for one by one and are no AES key's: what they are instead.
    package var otherObjects: [KeyLabel: OtherObject]
    /// Labels that a pattern is meant to offer, and that can be no external key id.
    package var misfits: [KeyLabel] = []

    package init(
        keys: [KeyDescription] = [], unreadable: [UnreadableKey] = [], others: Int = 0, isCut: Bool = false,
        otherObjects: [KeyLabel: OtherObject] = [:]
    ) {
        self.otherObjects = otherObjects
        self.keys = keys
        self.unreadable = unreadable
        self.others = others
        self.isCut = isCut
    }
}

extension Session {
    /// Handles that C_FindObjects may give at a time. A network HSM is asked once for each batch.
    private static let batchSize = 256

    /// The AES keys that are kept on the token and that this session may see, at most `limit`, each with its
    /// attributes. A key that vanishes meanwhile is left out.
    package func aesKeys(atMost limit: Int) throws(PKCS11Error) -> KeySearchResults {
        let (handles, isCut) = try aesKeyHandles(atMost: limit)
        var results = KeySearchResults(isCut: isCut)
        var attributes = KeyAttributes()
        for handle in handles {
            switch try describe(handle, attributes: &attributes) {
            case .key(let key): results.keys.append(key)
            case .unreadable(let key): results.unreadable.append(key)
            case .gone: continue
            }
        }
        return results
    }

    /// The handles of the AES keys that are kept on the token and that this session may see, at most `limit`.
    ///
    /// - Parameter label: only keys whose CKA_LABEL has just these bytes.
    package func aesKeyHandles(
        labelled label: KeyLabel? = nil, atMost limit: Int
    ) throws(PKCS11Error) -> (handles: [ObjectHandle], isCut: Bool) {
        var template = AttributeTemplate()
        template.set(UInt(CKA_CLASS), UInt(CKO_SECRET_KEY))
        template.set(UInt(CKA_KEY_TYPE), UInt(CKK_AES))
        template.set(UInt(CKA_TOKEN), true)
        if let label { template.set(UInt(CKA_LABEL), Array(label.text.utf8)) }
        let found = try module.exclusively { functions throws(PKCS11Error) in
            try find(template, atMost: limit, functions.base)
        }
        return (Array(found.prefix(limit)), found.count > limit)
    }

    /// The objects that fit a template, at most one more than `limit`.
    func find(
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
        var batch = [UInt](repeating: 0, count: Self.batchSize)
        while found.count <= limit {
            var count: UInt = 0
            code = batch.withUnsafeMutableBufferPointer { next(handle, $0.baseAddress, UInt($0.count), &count) }
            try check(code, .findObjects)
            // Only zero says that there are no more (PKCS#11 2.40, section 5.7, C_FindObjects).
            guard count > 0 else { break }
            found.append(contentsOf: batch.prefix(Int(clamping: count)).map { ObjectHandle(rawValue: $0) })
        }
        return Array(found.prefix(limit + 1))
    }
}
