// SPDX-License-Identifier: Apache-2.0
import CPKCS11
import LaneProtocol
import SecureMemory

/// The number of an object in its token, as the library knows it (CK_OBJECT_HANDLE).
package struct ObjectHandle: RawRepresentable, Sendable, Hashable {
    package let rawValue: UInt
    package init(rawValue: UInt) { self.rawValue = rawValue }
}

/// One open session. A value that names it: whoever opened it closes it, and only one thread at a time uses it.
package struct Session: Sendable {
    package let module: Module
    package let slot: UInt64
    let handle: UInt

    /// C_OpenSession. Read-only unless something is to be created on the token.
    package static func open(
        _ module: Module, slot: UInt64, readWrite: Bool = false
    ) throws(PKCS11Error) -> Session {
        let flags = UInt(CKF_SERIAL_SESSION) | (readWrite ? UInt(CKF_RW_SESSION) : 0)
        var handle: UInt = 0
        try module.exclusively { functions throws(PKCS11Error) in
            let call = try present(functions.base.pointee.C_OpenSession, .openSession)
            try check(call(UInt(slot), flags, nil, nil, &handle), .openSession)
        }
        return Session(module: module, slot: slot, handle: handle)
    }

    /// C_CloseSession. The objects that live in the session alone end with it.
    package func close() throws(PKCS11Error) {
        try module.exclusively { functions throws(PKCS11Error) in
            try check(try present(functions.base.pointee.C_CloseSession, .closeSession)(handle), .closeSession)
        }
    }

    /// Who logs in.
    package enum User: Sendable {
        case user
        case securityOfficer
    }

    /// C_Login for the whole token: every session of the process is logged in with it. Being logged in already is fine.
    /// Without a PIN, the token asks for it on its own pad.
    package func login(_ user: User = .user, pin: SecretBytes?) throws(PKCS11Error) {
        let type = user == .user ? UInt(CKU_USER) : UInt(CKU_SO)
        let code = try module.changing { functions throws(PKCS11Error) in
            let call = try present(functions.base.pointee.C_Login, .login)
            guard let pin else { return call(handle, type, nil, 0) }
            return pin.withMutablePointer { call(handle, type, $0, $1) }
        }
        guard ReturnCode(rawValue: code) != .userAlreadyLoggedIn else { return }
        try check(code, .login)
    }

    /// C_Logout for the whole token.
    package func logout() throws(PKCS11Error) {
        try module.changing { functions throws(PKCS11Error) in
            try check(try present(functions.base.pointee.C_Logout, .logout)(handle), .logout)
        }
    }

    /// True when C_GetSessionInfo says that the user is logged in.
    package func userIsLoggedIn() throws(PKCS11Error) -> Bool {
        var info = CK_SESSION_INFO()
        try module.exclusively { functions throws(PKCS11Error) in
            let call = try present(functions.base.pointee.C_GetSessionInfo, .getSessionInfo)
            try check(call(handle, &info), .getSessionInfo)
        }
        return info.state == UInt(CKS_RO_USER_FUNCTIONS) || info.state == UInt(CKS_RW_USER_FUNCTIONS)
    }

    /// Fills `target` from the token's generator: C_GenerateRandom.
    package func random(into target: UnsafeMutableRawBufferPointer) -> CallResult {
        guard let base = target.baseAddress, !target.isEmpty else { return .ok }
        let bytes = base.assumingMemoryBound(to: UInt8.self)
        return module.exclusively { functions in
            guard let call = functions.base.pointee.C_GenerateRandom else {
                return CallResult(function: .generateRandom, code: .functionNotSupported)
            }
            note(.generateRandom)
            let code = ReturnCode(rawValue: call(handle, bytes, UInt(target.count)))
            return CallResult(function: .generateRandom, code: code, length: code.isOK ? target.count : 0)
        }
    }
}

extension SecretBytes {
    /// Lends the bytes as PKCS#11 wants them; libraries take PINs as `unsigned char *` but only read them.
    func withMutablePointer<Result>(_ body: (UnsafeMutablePointer<UInt8>?, UInt) -> Result) -> Result {
        withUnsafeBytes { bytes in
            let base = bytes.baseAddress.map { UnsafeMutableRawPointer(mutating: $0) }
            return body(base?.assumingMemoryBound(to: UInt8.self), UInt(bytes.count))
        }
    }
}
