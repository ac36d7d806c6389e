// SPDX-License-Identifier: Apache-2.0
import Glibc
import LaneProtocol
import PKCS11
import SecureMemory

/// A token that was found and logged in to.
package struct OpenToken: Sendable {
    package let module: Module
    package let description: TokenDescription
    /// Holds the login; used for nothing else.
    package let loginSession: Session

    package var identity: TokenIdentity { description.identity }

    /// Loads the library, finds the token, checks that it has AES-GCM, logs in.
    ///
    /// - Throws: `WorkerFailure` with a sentence that says what mends it.
    package static func open(
        module path: String, token selector: TokenSelector, pin: SecretBytes?
    ) throws(WorkerFailure) -> OpenToken {
        let module: Module
        do {
            module = try Module.load(path: path)
        } catch {
            throw .module(error, path: path)
        }
        let description = try find(selector, module: module)
        try requireGCM(description.identity, module: module)
        let session = try login(description, module: module, pin: pin)
        return OpenToken(module: module, description: description, loginSession: session)
    }

    /// A token may be missing for a moment while another process writes to a software token.
    private static func find(_ selector: TokenSelector, module: Module) throws(WorkerFailure) -> TokenDescription {
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

    private static func requireGCM(_ token: TokenIdentity, module: Module) throws(WorkerFailure) {
        do {
            if try module.mechanisms(ofSlot: token.slot).contains(.aesGCM) { return }
        } catch {
            throw .call(error, doing: "listing the mechanisms of token \"\(token.label)\"")
        }
        throw .noGCM(token)
    }

    private static func login(
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
