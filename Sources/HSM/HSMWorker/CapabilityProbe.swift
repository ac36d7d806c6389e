// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11

/// Where a token has AES-GCM.
struct GCMMechanisms {
    /// CKM_AES_GCM is among the token's mechanisms.
    let isListed: Bool
    /// The token takes AES-GCM in the message functions of PKCS#11 3.0.
    let takesMessages: Bool

    /// - Throws: `WorkerFailure` when the token has no AES-GCM at all, or cannot be asked.
    init(of token: TokenIdentity, module: Module) throws(WorkerFailure) {
        do {
            isListed = try module.mechanisms(ofSlot: token.slot).contains(.aesGCM)
        } catch {
            throw .call(error, doing: "listing the mechanisms of token \"\(token.label)\"")
        }
        takesMessages = module.takesMessages(.aesGCM, slot: token.slot)
        guard isListed || takesMessages else { throw .noGCM(token) }
    }
}

/// Finds out how a token wants AES-GCM to be called, with a key made for it. Vendors differ in the layout of the
/// parameter and in who makes the IV, and PKCS#11 has no way of asking.
struct CapabilityProbe {
    let token: TokenIdentity
    let mechanisms: GCMMechanisms
    private let module: Module
    private let session: Session
    private let isLoggedIn: Bool

    /// - Parameters:
    ///   - session: the session that holds the login. The key lives in it, and is destroyed in the end.
    ///   - isLoggedIn: whether private objects may be made.
    ///
    /// - Throws: `WorkerFailure` when the token has no AES-GCM at all, or cannot be asked.
    init(_ token: TokenIdentity, module: Module, session: Session, isLoggedIn: Bool) throws(WorkerFailure) {
        self.token = token
        self.module = module
        self.session = session
        self.isLoggedIn = isLoggedIn
        mechanisms = try GCMMechanisms(of: token, module: module)
    }

    /// The way that is tried first, and that is believed where nothing can be tried.
    var likeliest: GCMProfile { GCMProfile(ivSource: .caller, layout: mechanisms.isListed ? .withIVBits : .message) }

    /// Finds profile and code of a wrong tag. A token that makes no session key cannot be tried: it is believed to be
    /// like most.
    ///
    /// - Parameter configured: the profile that the configuration names; then only the code is looked for.
    /// - Throws: kind `profile` when the token refuses the configured one, and another one works.
    func capabilities(configured: GCMProfile? = nil) throws(WorkerFailure) -> TokenCapabilities {
        var capabilities = TokenCapabilities(
            profile: configured ?? likeliest, wrongTagCode: 0, allowsThreads: module.allowsThreads)
        guard case .made(let key) = try makeKey() else { return capabilities }
        defer { try? session.destroy(key) }
        var trials = CapabilityTrials(session, key: key)
        defer { trials.end() }
        if let configured {
            try confirm(configured, &trials)
        } else {
            capabilities.profile = try findProfile(&trials)
        }
        capabilities.wrongTagCode = UInt64(try wrongTagCode(&trials, capabilities.profile).rawValue)
        return capabilities
    }

    /// Whether the token works as the configuration says. Where no way works, it may be unwell: its probes will tell.
    private func confirm(_ configured: GCMProfile, _ trials: inout CapabilityTrials) throws(WorkerFailure) {
        let outcome = trials.confirm(configured)
        guard !outcome.isOK, outcome != .brokenGenerator, let works = try? findProfile(&trials), works != configured,
            !trials.confirm(configured).isOK
        else { return }
        throw .wrongProfile(token, configured, outcome.error, works: works)
    }

    /// A key for trials, or why the token makes none.
    enum TrialKey {
        case made(ObjectHandle)
        case refused(PKCS11Error)
    }

    func makeKey() throws(WorkerFailure) -> TrialKey {
        do {
            return .made(try session.generateSessionKey(visibleWithoutLogin: !isLoggedIn))
        } catch {
            guard error.code.meansUnwillingToMakeKeys else {
                throw .call(error, doing: "making a session key on token \"\(token.label)\"")
            }
            return .refused(error)
        }
    }

    /// The first way that works: encryption and decryption with additional data, and an IV that is no zero.
    ///
    /// - Throws: kind `mechanism` when the token refuses every way for good; kind `call` when it may only be unwell.
    func findProfile(_ trials: inout CapabilityTrials) throws(WorkerFailure) -> GCMProfile {
        var layouts: [GCMProfile.Layout] = mechanisms.isListed ? [.withIVBits, .withoutIVBits] : []
        if mechanisms.takesMessages { layouts.append(.message) }
        var first: CallResult?
        var isForGood = true
        for layout in layouts {
            switch trials.profile(in: layout) {
            case .found(let profile): return profile
            case .refused(let result):
                if result == .brokenGenerator { throw .brokenGenerator }
                if result.code.isAboutTheHSM { throw trialFailed(result) }
                if !result.code.refusesForGood { isForGood = false }
                if first == nil { first = result }
            }
        }
        let refusal = first ?? CallResult(function: .encryptInit, code: .mechanismInvalid)
        throw isForGood ? .refusesGCM(token, refusal.error) : trialFailed(refusal)
    }

    /// What the token says of a wrong tag; `ok` when that is not sure.
    ///
    /// - Throws: kind `mechanism` when it opens a ciphertext whose tag is wrong.
    func wrongTagCode(_ trials: inout CapabilityTrials, _ profile: GCMProfile) throws(WorkerFailure) -> ReturnCode {
        switch trials.wrongTag(profile) {
        case .code(let code): return code
        case .unsure: return .ok
        case .opened: throw .ignoresTags(token)
        }
    }

    private func trialFailed(_ result: CallResult) -> WorkerFailure {
        .call(result.error, doing: "trying AES-GCM on token \"\(token.label)\"")
    }
}
