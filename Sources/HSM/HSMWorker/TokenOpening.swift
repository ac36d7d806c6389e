// SPDX-License-Identifier: Apache-2.0
import Glibc
import LaneProtocol
import PKCS11
import SecureMemory

/// A token that was found and logged in to.
package struct OpenToken: Sendable {
    package let module: Module
    package let description: TokenDescription
    /// Holds the login; used for nothing else once the token is open.
    package let loginSession: Session
    /// How it wants to be called, and what else was found out about it.
    package let capabilities: TokenCapabilities

    package var identity: TokenIdentity { description.identity }

    /// Loads the library, finds the token, logs in, and finds out how it wants AES-GCM to be called.
    ///
    /// - Parameters:
    ///   - initializeArguments: passed to C_Initialize as `pReserved`.
    ///   - profile: how the token wants to be called, where the configuration says so.
    ///
    /// - Throws: `WorkerFailure` with a sentence that says what mends it.
    package static func open(
        module path: String, token selector: TokenSelector, pin: SecretBytes?, initializeArguments: String? = nil,
        profile: GCMProfile? = nil
    ) throws(WorkerFailure) -> OpenToken {
        let module = try load(path, initializeArguments: initializeArguments)
        let description = try find(selector, module: module)
        // A token without AES-GCM never sees the PIN.
        _ = try GCMMechanisms(of: description.identity, module: module)
        let session = try login(description, module: module, pin: pin)
        let probe = try CapabilityProbe(description.identity, module: module, session: session, isLoggedIn: pin != nil)
        let capabilities = try probe.capabilities(configured: profile)
        return OpenToken(
            module: module, description: description, loginSession: session, capabilities: capabilities)
    }

    static func load(_ path: String, initializeArguments: String?) throws(WorkerFailure) -> Module {
        do {
            return try Module.load(path: path, initializeArguments: initializeArguments)
        } catch {
            throw .module(error, path: path, hasArguments: initializeArguments != nil)
        }
    }

    /// A token may be missing for a moment while another process writes to a software token.
    static func find(_ selector: TokenSelector, module: Module) throws(WorkerFailure) -> TokenDescription {
        var pauses = Pauses()
        while true {
            do {
                return try selector.choose(among: try module.tokens())
            } catch let error as TokenChoiceError {
                guard error.matching.isEmpty, pauses.pause() else { throw .token(error, module: module.path) }
            } catch let error as PKCS11Error {
                guard pauses.pause() else { throw .call(error, doing: "listing the tokens of \(module.path)") }
            } catch {
                throw WorkerFailure(kind: .token, message: "\(error)")
            }
        }
    }

    static func login(
        _ token: TokenDescription, module: Module, pin: SecretBytes?
    ) throws(WorkerFailure) -> Session {
        if pin != nil, token.flags.contains(.pinLocked) { throw .locked(token.identity) }
        var pauses = Pauses()
        while true {
            let error: PKCS11Error
            do {
                return try openSession(token, module: module, pin: pin)
            } catch let failure {
                error = failure
            }
            guard mayTryAgain(error, token, module: module), pauses.pause() else {
                if error.function == .login { throw .login(error, token: token.identity) }
                throw .call(error, doing: "opening a session with token \"\(token.identity.label)\"")
            }
        }
    }

    private static func openSession(
        _ token: TokenDescription, module: Module, pin: SecretBytes?
    ) throws(PKCS11Error) -> Session {
        let session = try Session.open(module, slot: token.identity.slot)
        guard let pin else { return session }
        do {
            try session.login(pin: pin)
        } catch {
            try? session.close()
            throw error
        }
        return session
    }

    /// SoftHSM now and then refuses while another process begins or writes (C_OpenSession 0xe1, C_Login 0x5 and 0x102).
    /// A login is tried again only after these codes, and only while the token has not counted a wrong PIN.
    private static func mayTryAgain(_ error: PKCS11Error, _ token: TokenDescription, module: Module) -> Bool {
        guard error.function == .login else {
            return error.code == .tokenNotRecognized || error.code == .tokenNotPresent || error.code == .generalError
        }
        guard error.code == .generalError || error.code == .userPINNotInitialized,
            let now = try? module.token(inSlot: token.identity.slot)
        else { return false }
        return now.flags.isDisjoint(with: [.pinFinalTry, .pinLocked])
            && now.flags.contains(.pinCountLow) == token.flags.contains(.pinCountLow)
    }
}

/// A few pauses that grow, 750 ms in all.
private struct Pauses {
    private var left: [UInt32] = [50, 100, 200, 400]

    /// Waits; false when there have been enough.
    mutating func pause() -> Bool {
        guard !left.isEmpty else { return false }
        usleep(left.removeFirst() * 1000)
        return true
    }
}
