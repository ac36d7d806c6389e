// SPDX-License-Identifier: Apache-2.0
import CPlatform
import LaneProtocol
import PKCS11
import SecureMemory

/// What all lanes of a worker share.
struct SharedToken: Sendable {
    let module: Module
    let slot: UInt64
    let login: TokenLogin
    let keys: KeyTable
    let knownBlock: KnownBlockHolder
    let doorbell: Doorbell
    let ivHistory: IVHistory
}

/// A lane's session with a real token.
struct TokenLaneSession: LaneSession {
    private let shared: SharedToken
    private var session: Session

    init(_ shared: SharedToken, session: Session) {
        self.shared = shared
        self.session = session
    }

    mutating func encrypt(_ call: GCMCall) -> CallResult { session.encrypt(call) }

    mutating func decrypt(_ call: GCMCall) -> CallResult { session.decrypt(call) }

    mutating func random(into target: UnsafeMutableRawBufferPointer) -> CallResult { session.random(into: target) }

    mutating func knownAnswer() -> KnownAnswer {
        guard let block = shared.knownBlock.current else { return .unavailable }
        let answer = session.checkKnownBlock(block)
        if case .failed(let result) = answer, result.code.saysNoSuchObject {
            // The probe key went with a session or a login; the keeper makes another.
            shared.doorbell.ring(.probe)
            return .unavailable
        }
        return answer
    }

    mutating func reopen() -> CallResult {
        try? session.close()
        do {
            session = try Session.open(shared.module, slot: shared.slot)
            return .ok
        } catch {
            return CallResult(function: error.function, code: error.code)
        }
    }

    mutating func restoreLogin() -> CallResult {
        let restorations = shared.login.restorations
        let result = shared.login.restore()
        // Handles may have changed with the login, and the probe key is gone.
        if shared.login.restorations != restorations { shared.doorbell.ring([.readCatalogue, .probe]) }
        return result
    }

    mutating func loginStands() -> Bool {
        guard shared.login.canBeSeen else { return true }
        return (try? session.userIsLoggedIn()) ?? false
    }

    func place(ofKey reference: UInt32) -> KeyPlace { shared.keys.place(of: reference) }

    func catalogueIsStale() { shared.doorbell.ring(.readCatalogue) }

    func generatorIsBroken() { shared.doorbell.fail(.brokenGenerator) }

    func now() -> UInt64 { claviger_monotonic_nanoseconds() }
}

extension Session {
    /// Decrypts a block whose plaintext is known, and compares. Another plaintext is a failure with code CKR_OK.
    func checkKnownBlock(_ block: KnownBlock) -> KnownAnswer {
        var iv = block.iv
        var output = [UInt8](repeating: 0, count: block.ciphertext.count)
        let result = iv.withUnsafeMutableBytes { iv in
            block.ciphertext.withUnsafeBytes { input in
                output.withUnsafeMutableBytes { output in
                    decrypt(
                        GCMCall(
                            key: block.key, iv: iv, aad: UnsafeRawBufferPointer(start: nil, count: 0), input: input,
                            output: output))
                }
            }
        }
        guard result.isOK else { return .failed(result) }
        guard Array(output.prefix(result.length)) == block.plaintext else { return .failed(result) }
        return .passed
    }
}
