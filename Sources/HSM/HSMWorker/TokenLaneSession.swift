// SPDX-License-Identifier: Apache-2.0
import CPlatform
import LaneProtocol
import PKCS11
import SecondOpinion
import SecureMemory

/// What all sessions of a worker share.
struct SharedToken: Sendable {
    let module: Module
    let slot: UInt64
    let login: TokenLogin
    let capabilities: TokenCapabilities
    let keys: KeyTable
    let knownBlock: KnownBlockHolder
    let doorbell: Doorbell
    let ivHistory: IVHistory

    var profile: GCMProfile { capabilities.profile }

    /// Makes sure that the token's login stands. Handles may have changed with a new login, and the probe key is gone.
    func restoreLogin() -> CallResult {
        let restorations = login.restorations
        let result = login.restore()
        if login.restorations != restorations { doorbell.ring([.readCatalogue, .probe]) }
        return result
    }
}

/// A lane's session with a real token.
struct TokenLaneSession: LaneSession {
    private let shared: SharedToken
    private let mayOpen: Bool
    private var session: Session?

    /// - Parameters:
    ///   - session: `nil` for a parked lane.
    ///   - mayOpen: false where the library allows one lane only, and this is not the one.
    init(_ shared: SharedToken, session: Session?, mayOpen: Bool = true) {
        self.shared = shared
        self.session = session
        self.mayOpen = mayOpen
    }

    mutating func encrypt(_ call: GCMCall) -> CallResult {
        guard let session else { return .noSession(.encryptInit) }
        return noting(session.encrypt(call, profile: shared.profile))
    }

    mutating func decrypt(_ call: GCMCall) -> CallResult {
        guard let session else { return .noSession(.decryptInit) }
        return noting(session.decrypt(call, profile: shared.profile))
    }

    mutating func random(into target: UnsafeMutableRawBufferPointer) -> CallResult {
        guard let session else { return .noSession(.generateRandom) }
        return noting(session.random(into: target))
    }

    mutating func knownAnswer() -> KnownAnswer {
        guard let block = shared.knownBlock.current else { return .unavailable }
        guard let session else { return .failed(.noSession(.decryptInit)) }
        let answer = session.checkKnownBlock(block, profile: shared.profile)
        guard case .failed(let result) = answer else { return answer }
        if result.code.saysNoSuchObject {
            // The probe key went with a session or a login; the keeper makes another.
            shared.doorbell.ring(.probe)
            return .unavailable
        }
        return .failed(noting(result))
    }

    mutating func reopen() -> CallResult {
        close()
        guard mayOpen else { return CallResult(function: .openSession, code: .cantLock) }
        do {
            session = try Session.open(shared.module, slot: shared.slot)
            return .ok
        } catch {
            return CallResult(function: error.function, code: error.code)
        }
    }

    mutating func close() {
        try? session?.close()
        session = nil
    }

    mutating func restoreLogin() -> CallResult { shared.restoreLogin() }

    mutating func loginStands() -> Bool {
        guard shared.login.canBeSeen else { return true }
        return (try? session?.userIsLoggedIn()) ?? false
    }

    func handle(ofKey reference: UInt32) -> KeyHandle { shared.keys.handle(of: reference) }

    func catalogueIsStale() { shared.doorbell.ring(.readCatalogue) }

    func generatorIsBroken() { shared.doorbell.fail(.brokenGenerator) }

    func now() -> UInt64 { claviger_monotonic_nanoseconds() }

    /// A session that is gone is forgotten without being closed.
    private mutating func noting(_ result: CallResult) -> CallResult {
        if !result.isOK, result.code.saysSessionIsGone { session = nil }
        return result
    }
}

extension CallResult {
    /// What a call says for which there is no session.
    static func noSession(_ function: PKCS11Function) -> CallResult {
        CallResult(function: function, code: .sessionHandleInvalid)
    }
}

extension Session {
    /// Decrypts a block whose plaintext is known, and compares. Another plaintext is a failure with code CKR_OK.
    func checkKnownBlock(_ block: KnownBlock, profile: GCMProfile) -> KnownAnswer {
        var iv = block.iv
        var output = [UInt8](repeating: 0, count: block.ciphertext.count)
        let result = iv.withUnsafeMutableBytes { iv in
            block.ciphertext.withUnsafeBytes { input in
                output.withUnsafeMutableBytes { output in
                    decrypt(
                        GCMCall(
                            key: block.key, iv: iv, aad: UnsafeRawBufferPointer(start: nil, count: 0), input: input,
                            output: output), profile: profile)
                }
            }
        }
        guard result.isOK else { return .failed(result) }
        guard Array(output.prefix(result.length)) == block.plaintext else { return .failed(result) }
        return .passed
    }
}
