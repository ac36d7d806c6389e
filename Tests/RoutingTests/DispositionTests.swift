// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

private func refused(
    _ code: ReturnCode, _ function: PKCS11Function, second: LaneSecondOpinion = .none
) -> LaneAnswerHeader {
    LaneAnswerHeader(
        status: .refused, secondOpinion: second, function: function.rawValue, generation: 1,
        code: UInt64(code.rawValue))
}

@Suite("What an HSM's answer means")
struct DispositionTests {
    @Test(
        "codes that say 'bad tag' on one vendor and 'sick' or 'busy' on another decide nothing alone",
        arguments: [ReturnCode.generalError, .functionFailed, .dataInvalid, .argumentsBad])
    func ambiguous(code: ReturnCode) {
        #expect(Disposition(refused(code, .decrypt), operation: .decrypt) == .ambiguous)
        #expect(
            Disposition(refused(code, .decrypt, second: .ciphertextIsBad), operation: .decrypt)
                == .callersFault(.ciphertextIsInvalid))
        #expect(Disposition(refused(code, .decrypt, second: .hsmIsSick), operation: .decrypt) == .hsmSuspect)
    }

    @Test("no code of an encryption, or of another function than C_Decrypt, calls a ciphertext invalid")
    func onlyDecrypt() {
        for raw in UInt(0)...0x220 {
            let code = ReturnCode(rawValue: raw)
            for function in PKCS11Function.allCases where function != .decrypt {
                let decryption = Disposition(refused(code, function), operation: .decrypt)
                #expect(decryption != .callersFault(.ciphertextIsInvalid) && decryption != .ambiguous)
            }
            for function in PKCS11Function.allCases {
                let encryption = Disposition(refused(code, function), operation: .encrypt)
                #expect(encryption != .callersFault(.ciphertextIsInvalid) && encryption != .ambiguous)
            }
        }
    }

    @Test(
        "codes that mean a wrong tag everywhere are believed",
        arguments: [ReturnCode.encryptedDataInvalid, .encryptedDataLenRange, .aeadDecryptFailed])
    func clear(code: ReturnCode) {
        #expect(
            Disposition(refused(code, .decrypt), operation: .decrypt) == .callersFault(.ciphertextIsInvalid))
    }

    @Test("a lost session is not a deleted key")
    func lostSession() {
        for code in [ReturnCode.sessionHandleInvalid, .sessionClosed, .userNotLoggedIn] {
            #expect(Disposition(refused(code, .encryptInit), operation: .encrypt) == .sessionLost)
            #expect(Disposition(refused(code, .decryptInit), operation: .decrypt) == .sessionLost)
        }
    }

    @Test("a device that is gone is out at once")
    func deviceGone() {
        for code in [ReturnCode.deviceError, .deviceRemoved, .tokenNotPresent, .cryptokiNotInitialized] {
            #expect(Disposition(refused(code, .encrypt), operation: .encrypt) == .hsmOut)
        }
    }

    @Test("vendors' own codes, and codes nobody knows, are soft failures")
    func unknown() {
        for raw: UInt in [0x8000_0000, 0x8000_0001, 0xFFFF_FFFF, 0x7FFF_FFFF, 0x1234] {
            #expect(Disposition(refused(ReturnCode(rawValue: raw), .encrypt), operation: .encrypt) == .hsmSuspect)
        }
    }

    @Test("what is not a refusal")
    func others() {
        #expect(Disposition(LaneAnswerHeader(status: .done, generation: 1), operation: .encrypt) == .done)
        #expect(Disposition(LaneAnswerHeader(status: .expired, generation: 1), operation: .encrypt) == .tryElsewhere)
        #expect(Disposition(LaneAnswerHeader(status: .keyGone, generation: 1), operation: .encrypt) == .keyMissing)
        #expect(
            Disposition(refused(.keyFunctionNotPermitted, .encryptInit), operation: .encrypt)
                == .callersFault(.usageNotPermitted))
    }
}

@Suite("Pauses between restarts")
struct RestartBackoffTests {
    @Test("the first restart is at once, later ones wait longer, up to four seconds")
    func grows() {
        var backoff = RestartBackoff()
        var now: UInt64 = 0
        var pauses: [UInt64] = []
        for _ in 0..<10 {
            now += 1_000_000
            pauses.append(backoff.ended(now: now) / 1_000_000)
        }
        #expect(pauses == [0, 100, 200, 400, 800, 1_600, 3_200, 4_000, 4_000, 4_000])
    }

    @Test("a worker that served for ten seconds is forgiven")
    func forgives() {
        var backoff = RestartBackoff()
        for _ in 0..<5 { _ = backoff.ended(now: 1) }
        backoff.ready(now: 1_000)
        #expect(backoff.ended(now: 1_000 + RestartBackoff.forgiveAfter) == 0)
        backoff.ready(now: 2_000)
        #expect(backoff.ended(now: 3_000) > 0)
    }
}
