// SPDX-License-Identifier: Apache-2.0
import CPKCS11
import LaneProtocol
import SecureMemory
import StatusVocabulary

/// A token cannot be set up.
package enum ProvisioningError: Error, Sendable, Equatable, CustomStringConvertible {
    /// No slot holds a token that is not initialised yet.
    case noFreeToken
    /// The label does not fit CK_TOKEN_INFO: 1 … 32 bytes.
    case labelLength(Int)
    /// The token was initialised, but no slot shows its label afterwards.
    case tokenNotFound(label: String)
    case call(PKCS11Error)

    package var description: String {
        switch self {
        case .noFreeToken: "no slot holds a token that is not initialised"
        case .labelLength(let length): "a token's label has 1 to 32 bytes, this one has \(length)"
        case .tokenNotFound(let label): "no slot shows the token \"\(label)\" after its initialisation"
        case .call(let error): error.description
        }
    }
}

/// A key to be stored on a token.
package struct NewKey: Sendable {
    /// CKA_LABEL.
    package var label: [UInt8]
    /// CKA_ID.
    package var id: [UInt8]
    /// 16, 24 or 32 bytes.
    package var value: SecretBytes
    package var usage: KeyUsage
    package var validity: KeyValidity

    package init(
        label: String, id: [UInt8], value: SecretBytes, usage: KeyUsage, validity: KeyValidity = KeyValidity()
    ) {
        self.label = Array(label.utf8)
        self.id = id
        self.value = value
        self.usage = usage
        self.validity = validity
    }
}

/// Sets up software tokens: initialises them, sets their PIN, stores keys. For development and tests.
package struct TokenProvisioner: Sendable {
    private let module: Module

    package init(_ module: Module) { self.module = module }

    /// Initialises the first token that is not initialised, sets the user PIN, and returns its identity. SoftHSM gives
    /// the token another slot when the library is initialised next; serial and label stay.
    package func initializeToken(
        label: String, securityOfficerPIN: SecretBytes, userPIN: SecretBytes
    ) throws(ProvisioningError) -> TokenIdentity {
        var padded = Array(label.utf8)
        guard (1...32).contains(padded.count) else { throw .labelLength(padded.count) }
        padded += [UInt8](repeating: 0x20, count: 32 - padded.count)
        let tokens = try Self.calling { () throws(PKCS11Error) in try module.tokens() }
        guard let free = tokens.first(where: { !$0.flags.contains(.initialized) }) else { throw .noFreeToken }
        try Self.calling { () throws(PKCS11Error) in
            try module.changing { functions throws(PKCS11Error) in
                let initialize = try present(functions.base.pointee.C_InitToken, .initToken)
                let code = securityOfficerPIN.withMutablePointer { pin, length in
                    padded.withUnsafeMutableBufferPointer {
                        initialize(UInt(free.identity.slot), pin, length, $0.baseAddress)
                    }
                }
                try check(code, .initToken)
            }
        }
        // SoftHSM moves a token to another slot when it is initialised, so it is looked up by its label.
        let after = try Self.calling { () throws(PKCS11Error) in try module.tokens() }
        let fresh = after.first {
            $0.label.elementsEqual(label.utf8) && $0.flags.contains(.initialized) && !$0.flags.contains(.pinInitialized)
        }
        guard let identity = fresh?.identity else { throw .tokenNotFound(label: label) }
        try Self.calling { () throws(PKCS11Error) in
            try setUserPIN(userPIN, securityOfficerPIN: securityOfficerPIN, slot: identity.slot)
        }
        return identity
    }

    private static func calling<Result>(
        _ body: () throws(PKCS11Error) -> Result
    ) throws(ProvisioningError) -> Result {
        do {
            return try body()
        } catch {
            throw .call(error)
        }
    }

    /// Sets the user PIN of the token in `slot`, as its security officer: C_InitPIN.
    package func setUserPIN(
        _ userPIN: SecretBytes, securityOfficerPIN: SecretBytes, slot: UInt64
    ) throws(PKCS11Error) {
        let session = try Session.open(module, slot: slot, readWrite: true)
        defer { try? session.close() }
        try session.login(.securityOfficer, pin: securityOfficerPIN)
        defer { try? session.logout() }
        try module.changing { functions throws(PKCS11Error) in
            let call = try present(functions.base.pointee.C_InitPIN, .initPIN)
            try check(userPIN.withMutablePointer { call(session.handle, $0, $1) }, .initPIN)
        }
    }

    /// Stores keys on the token in `slot`.
    package func createKeys(_ keys: [NewKey], slot: UInt64, userPIN: SecretBytes) throws(PKCS11Error) {
        let session = try Session.open(module, slot: slot, readWrite: true)
        defer { try? session.close() }
        try session.login(pin: userPIN)
        for key in keys {
            _ = try session.createAESKey(
                label: key.label, id: key.id, value: key.value, usage: key.usage, validity: key.validity)
        }
    }
}
