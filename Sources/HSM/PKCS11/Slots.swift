// SPDX-License-Identifier: Apache-2.0
import CPKCS11
import LaneProtocol

/// CK_TOKEN_INFO.flags, those that matter here (PKCS#11 2.40, section 3.2).
package struct TokenFlags: OptionSet, Sendable, Equatable {
    package let rawValue: UInt
    package init(rawValue: UInt) { self.rawValue = rawValue }

    package static let hasGenerator = TokenFlags(rawValue: UInt(CKF_RNG))
    package static let writeProtected = TokenFlags(rawValue: UInt(CKF_WRITE_PROTECTED))
    package static let loginRequired = TokenFlags(rawValue: UInt(CKF_LOGIN_REQUIRED))
    package static let pinInitialized = TokenFlags(rawValue: UInt(CKF_USER_PIN_INITIALIZED))
    package static let protectedAuthenticationPath = TokenFlags(rawValue: UInt(CKF_PROTECTED_AUTHENTICATION_PATH))
    package static let initialized = TokenFlags(rawValue: UInt(CKF_TOKEN_INITIALIZED))
    package static let pinCountLow = TokenFlags(rawValue: UInt(CKF_USER_PIN_COUNT_LOW))
    package static let pinFinalTry = TokenFlags(rawValue: UInt(CKF_USER_PIN_FINAL_TRY))
    package static let pinLocked = TokenFlags(rawValue: UInt(CKF_USER_PIN_LOCKED))
    package static let pinToBeChanged = TokenFlags(rawValue: UInt(CKF_USER_PIN_TO_BE_CHANGED))

    /// The flags in words, for people.
    package var names: [String] {
        let known: [(TokenFlags, String)] = [
            (.initialized, "initialised"), (.loginRequired, "login required"), (.pinInitialized, "PIN set"),
            (.pinCountLow, "wrong PIN entered"), (.pinFinalTry, "last PIN try"), (.pinLocked, "PIN LOCKED"),
            (.pinToBeChanged, "PIN must be changed"), (.protectedAuthenticationPath, "PIN pad"),
            (.writeProtected, "write-protected"), (.hasGenerator, "random generator"),
        ]
        return known.filter { contains($0.0) }.map(\.1)
    }
}

/// A token and the slot it is in.
package struct TokenDescription: Sendable, Equatable {
    /// For people: bytes that are no UTF-8 are repaired in it, and control characters replaced.
    package var identity: TokenIdentity
    package var flags: TokenFlags
    /// CK_TOKEN_INFO.label as it is, without trailing blanks and NULs.
    package var label: [UInt8]
    /// CK_TOKEN_INFO.serialNumber, likewise.
    package var serial: [UInt8]

    /// Without bytes of their own, label and serial number are those of `identity`.
    package init(identity: TokenIdentity, flags: TokenFlags, label: [UInt8]? = nil, serial: [UInt8]? = nil) {
        self.identity = identity
        self.flags = flags
        self.label = label ?? Array(identity.label.utf8)
        self.serial = serial ?? Array(identity.serial.utf8)
    }
}

/// A slot, with or without a token.
package struct SlotDescription: Sendable, Equatable {
    package var slot: UInt64
    /// What the library calls the slot.
    package var description: String
    package var token: TokenDescription?
}

/// Most slots and mechanisms that are believed: more is a library gone mad.
let mostSlots = 4096
let mostMechanisms = 4096

extension Module {
    /// The tokens that are present, in the library's order. A slot whose token cannot be read is left out.
    package func tokens() throws(PKCS11Error) -> [TokenDescription] {
        var tokens: [TokenDescription] = []
        for slot in try slotIDs(withTokenOnly: true) {
            if let token = try? token(inSlot: slot) { tokens.append(token) }
        }
        return tokens
    }

    /// All slots, also empty ones.
    package func slots() throws(PKCS11Error) -> [SlotDescription] {
        var slots: [SlotDescription] = []
        for slot in try slotIDs(withTokenOnly: false) {
            var info = CK_SLOT_INFO()
            let code = try exclusively { functions throws(PKCS11Error) in
                try present(functions.base.pointee.C_GetSlotInfo, .getSlotInfo)(UInt(slot), &info)
            }
            guard code == 0 else { continue }
            let hasToken = UInt(info.flags) & UInt(CKF_TOKEN_PRESENT) != 0
            slots.append(
                SlotDescription(
                    slot: slot, description: fixedWidthText(of: info.slotDescription),
                    token: hasToken ? try? token(inSlot: slot) : nil))
        }
        return slots
    }

    /// Who the token in a slot is.
    package func token(inSlot slot: UInt64) throws(PKCS11Error) -> TokenDescription {
        var info = CK_TOKEN_INFO()
        try exclusively { functions throws(PKCS11Error) in
            let call = try present(functions.base.pointee.C_GetTokenInfo, .getTokenInfo)
            try check(call(UInt(slot), &info), .getTokenInfo)
        }
        // CK_UNAVAILABLE_INFORMATION and CK_EFFECTIVELY_INFINITE both mean: no limit that could be given.
        let limit = info.ulMaxSessionCount == claviger_unavailable_information() ? 0 : UInt64(info.ulMaxSessionCount)
        return TokenDescription(
            identity: TokenIdentity(
                label: fixedWidthText(of: info.label), serial: fixedWidthText(of: info.serialNumber),
                manufacturer: fixedWidthText(of: info.manufacturerID), model: fixedWidthText(of: info.model),
                firmware: "\(info.firmwareVersion.major).\(info.firmwareVersion.minor)", slot: slot,
                sessionLimit: limit),
            flags: TokenFlags(rawValue: UInt(info.flags)), label: fixedWidthBytes(of: info.label),
            serial: fixedWidthBytes(of: info.serialNumber))
    }

    /// The mechanisms of the token in a slot.
    package func mechanisms(ofSlot slot: UInt64) throws(PKCS11Error) -> [Mechanism] {
        try exclusively { functions throws(PKCS11Error) in
            let call = try present(functions.base.pointee.C_GetMechanismList, .getMechanismList)
            return try list(atMost: mostMechanisms, .getMechanismList) { call(UInt(slot), $0, $1) }
        }
        .map { Mechanism(rawValue: $0) }
    }

    /// True when the token in a slot takes `mechanism` in the message functions of PKCS#11 3.0, both ways.
    package func takesMessages(_ mechanism: Mechanism, slot: UInt64) -> Bool {
        guard hasMessageFunctions else { return false }
        var info = CK_MECHANISM_INFO()
        let code = exclusively { functions in
            functions.base.pointee.C_GetMechanismInfo.map { $0(UInt(slot), mechanism.rawValue, &info) }
        }
        let wanted = UInt(CLAVIGER_MESSAGE_ENCRYPT) | UInt(CLAVIGER_MESSAGE_DECRYPT)
        return code == 0 && UInt(info.flags) & wanted == wanted
    }

    func slotIDs(withTokenOnly: Bool) throws(PKCS11Error) -> [UInt64] {
        try exclusively { functions throws(PKCS11Error) in
            let call = try present(functions.base.pointee.C_GetSlotList, .getSlotList)
            return try list(atMost: mostSlots, .getSlotList) { call(withTokenOnly ? 1 : 0, $0, $1) }
        }
        .map { UInt64($0) }
    }

    /// Asks for the number of elements, then for the elements; again when there are more by then.
    private func list(
        atMost limit: Int, _ function: PKCS11Function,
        _ call: (UnsafeMutablePointer<UInt>?, UnsafeMutablePointer<UInt>) -> UInt
    ) throws(PKCS11Error) -> [UInt] {
        var code = ReturnCode.bufferTooSmall
        for _ in 0..<3 where code == .bufferTooSmall {
            var count: UInt = 0
            try check(call(nil, &count), function)
            guard count > 0 else { return [] }
            let room = min(Int(clamping: count), limit)
            var elements = [UInt](repeating: 0, count: room)
            count = UInt(room)
            code = ReturnCode(rawValue: elements.withUnsafeMutableBufferPointer { call($0.baseAddress, &count) })
            if code.isOK { return Array(elements.prefix(Int(clamping: count))) }
        }
        throw PKCS11Error(function: function, code: code)
    }
}

/// CK_MECHANISM_TYPE.
package struct Mechanism: RawRepresentable, Sendable, Hashable {
    package let rawValue: UInt
    package init(rawValue: UInt) { self.rawValue = rawValue }

    package static let aesKeyGeneration = Mechanism(rawValue: UInt(CKM_AES_KEY_GEN))
    package static let aesGCM = Mechanism(rawValue: UInt(CKM_AES_GCM))
}
