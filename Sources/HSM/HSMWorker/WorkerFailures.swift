// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11

// The sentences a person reads when a worker cannot begin or go on. None of them ever holds a PIN.

extension WorkerFailure {
    static func module(_ error: ModuleError, path: String, hasArguments: Bool = false) -> WorkerFailure {
        let failure = error.call
        let wantsArguments = failure?.code == .argumentsBad && !hasArguments
        let advice =
            wantsArguments
            ? "It may want initialisation arguments (`initialize_arguments`), as NSS softoken does."
            : "Check the path of the module and its own configuration."
        return WorkerFailure(
            kind: .module, function: failure?.function ?? .none, code: UInt64(failure?.code.rawValue ?? 0),
            message: "PKCS#11 library \(path): \(error). \(advice)")
    }

    static func token(_ error: TokenChoiceError, module: String) -> WorkerFailure {
        WorkerFailure(kind: .token, message: "PKCS#11 library \(module): \(error)")
    }

    /// A failed C_Login. The kind decides whether anybody may try again.
    static func login(_ error: PKCS11Error, token: TokenIdentity) -> WorkerFailure {
        let name = "token \"\(token.label)\" (serial \(token.serial))"
        let message: String
        let kind: WorkerFailureKind
        switch error.code {
        case .pinIncorrect, .pinInvalid, .pinLenRange:
            kind = .pinRefused
            message =
                "\(name) refused the PIN (\(error)). It is not tried again, since a few more tries would lock the "
                + "token. Correct the configured PIN, then `claviger reload`."
        case .pinLocked:
            kind = .pinUnusable
            message = "\(name): its PIN is locked (\(error)). The security officer must unlock it."
        case .pinExpired:
            kind = .pinUnusable
            message = "\(name): its PIN has expired (\(error)). Set a new one, and configure it."
        case .userPINNotInitialized:
            kind = .pinUnusable
            message = "\(name): no user PIN has been set (\(error)). The security officer must set one."
        default:
            kind = .call
            message = "\(name): login failed: \(error)"
        }
        return WorkerFailure(
            kind: kind, function: error.function, code: UInt64(error.code.rawValue), message: message)
    }

    static func locked(_ token: TokenIdentity) -> WorkerFailure {
        WorkerFailure(
            kind: .pinUnusable,
            message: "token \"\(token.label)\" (serial \(token.serial)) says that its user PIN is locked. No login was "
                + "tried. The security officer must unlock it.")
    }

    static func noGCM(_ token: TokenIdentity) -> WorkerFailure {
        WorkerFailure(
            kind: .mechanism, function: .getMechanismList,
            message:
                "token \"\(token.label)\" (serial \(token.serial), \(token.model)) has no AES-GCM: it lists no "
                + "mechanism CKM_AES_GCM, and takes it in no message function of PKCS#11 3.0. It cannot serve an "
                + "external key store.")
    }

    /// Lists the mechanism, and refuses it in every way there is.
    static func refusesGCM(_ token: TokenIdentity, _ error: PKCS11Error) -> WorkerFailure {
        WorkerFailure(
            kind: .mechanism, function: error.function, code: UInt64(error.code.rawValue),
            message: "token \"\(token.label)\" (serial \(token.serial), \(token.model)) lists CKM_AES_GCM, but took no "
                + "encryption in any of the ways that are known; the first was refused with: \(error). It cannot "
                + "serve an external key store.")
    }

    /// A named profile that the token refuses, while another one works.
    static func wrongProfile(
        _ token: TokenIdentity, _ configured: GCMProfile, _ error: PKCS11Error, works: GCMProfile
    ) -> WorkerFailure {
        let name = GCMProfile.names.first { $0.profile == works }.map { " (profile \"\($0.name)\")" } ?? ""
        return WorkerFailure(
            kind: .profile, function: error.function, code: UInt64(error.code.rawValue),
            message:
                "token \"\(token.label)\" (serial \(token.serial), \(token.model)) does not work by the profile that is "
                + "configured (\(configured.words)): \(error). It works with \(works.words)\(name). Take `profile` out of this "
                + "HSM's configuration, or correct it, then `claviger reload`.")
    }

    static func ignoresTags(_ token: TokenIdentity) -> WorkerFailure {
        WorkerFailure(
            kind: .mechanism, function: .decrypt,
            message:
                "token \"\(token.label)\" (serial \(token.serial), \(token.model)) decrypted a ciphertext whose tag "
                + "is wrong. It would not notice a change of what it decrypts, so it is not used.")
    }

    static func call(_ error: PKCS11Error, doing what: String) -> WorkerFailure {
        WorkerFailure(
            kind: .call, function: error.function, code: UInt64(error.code.rawValue),
            message: "\(what) failed: \(error)")
    }

    static let brokenGenerator = WorkerFailure(
        kind: .call, function: .generateRandom,
        message: "the HSM's random generator gave an IV of zeroes, or one that it had given before. Encrypting with it "
            + "would lay open plaintext, so the HSM is not used.")
}

extension ModuleError {
    fileprivate var call: PKCS11Error? {
        if case .call(let error) = self { error } else { nil }
    }
}

extension ReturnCode {
    /// True when C_Login says that this PIN, or any PIN, will not be taken. Another try may lock the token.
    var forbidsAnotherLogin: Bool {
        switch self {
        case .pinIncorrect, .pinInvalid, .pinLenRange, .pinLocked, .pinExpired: true
        default: false
        }
    }
}
