// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

/// What each code must mean, written down a second time: one changed line in the room's table is one failure here.
/// Columns: encryption, before the ciphertext is seen, C_Decrypt itself, sessions and login.
/// E try elsewhere, S suspect, O out, L session lost, A ambiguous, B bad ciphertext, U usage not permitted.
private let expectations = """
    000 CKR_OK S S S S
    001 CKR_CANCEL E E E E
    002 CKR_HOST_MEMORY S S S S
    003 CKR_SLOT_ID_INVALID O O O O
    005 CKR_GENERAL_ERROR S S A S
    006 CKR_FUNCTION_FAILED S S A S
    007 CKR_ARGUMENTS_BAD S E A S
    008 CKR_NO_EVENT S S A S
    009 CKR_NEED_TO_CREATE_THREADS S S A S
    00a CKR_CANT_LOCK S S A S
    010 CKR_ATTRIBUTE_READ_ONLY S S A S
    011 CKR_ATTRIBUTE_SENSITIVE S S A S
    012 CKR_ATTRIBUTE_TYPE_INVALID S S A S
    013 CKR_ATTRIBUTE_VALUE_INVALID S S A S
    01b CKR_ACTION_PROHIBITED S S A S
    020 CKR_DATA_INVALID E E A S
    021 CKR_DATA_LEN_RANGE E E A S
    030 CKR_DEVICE_ERROR O O O O
    031 CKR_DEVICE_MEMORY S S S E
    032 CKR_DEVICE_REMOVED O O O O
    040 CKR_ENCRYPTED_DATA_INVALID S S B S
    041 CKR_ENCRYPTED_DATA_LEN_RANGE S S B S
    042 CKR_AEAD_DECRYPT_FAILED S S B S
    050 CKR_FUNCTION_CANCELED E E E E
    051 CKR_FUNCTION_NOT_PARALLEL S S A S
    054 CKR_FUNCTION_NOT_SUPPORTED S S A S
    060 CKR_KEY_HANDLE_INVALID E E E E
    062 CKR_KEY_SIZE_RANGE E E E E
    063 CKR_KEY_TYPE_INCONSISTENT E E E E
    064 CKR_KEY_NOT_NEEDED E E E E
    065 CKR_KEY_CHANGED E E E E
    066 CKR_KEY_NEEDED E E E E
    067 CKR_KEY_INDIGESTIBLE E E E E
    068 CKR_KEY_FUNCTION_NOT_PERMITTED U U U S
    069 CKR_KEY_NOT_WRAPPABLE S S A S
    06a CKR_KEY_UNEXTRACTABLE S S A S
    070 CKR_MECHANISM_INVALID E E E S
    071 CKR_MECHANISM_PARAM_INVALID S E A S
    082 CKR_OBJECT_HANDLE_INVALID E E E E
    090 CKR_OPERATION_ACTIVE L L L L
    091 CKR_OPERATION_NOT_INITIALIZED L L L L
    0a0 CKR_PIN_INCORRECT S S A S
    0a1 CKR_PIN_INVALID S S A S
    0a2 CKR_PIN_LEN_RANGE S S A S
    0a3 CKR_PIN_EXPIRED S S A S
    0a4 CKR_PIN_LOCKED S S A S
    0b0 CKR_SESSION_CLOSED L L L L
    0b1 CKR_SESSION_COUNT E E E E
    0b3 CKR_SESSION_HANDLE_INVALID L L L L
    0b4 CKR_SESSION_PARALLEL_NOT_SUPPORTED S S A S
    0b5 CKR_SESSION_READ_ONLY S S A S
    0b6 CKR_SESSION_EXISTS S S A S
    0b7 CKR_SESSION_READ_ONLY_EXISTS S S A S
    0b8 CKR_SESSION_READ_WRITE_SO_EXISTS S S A S
    0c0 CKR_SIGNATURE_INVALID S S A S
    0c1 CKR_SIGNATURE_LEN_RANGE S S A S
    0d0 CKR_TEMPLATE_INCOMPLETE S S A S
    0d1 CKR_TEMPLATE_INCONSISTENT S S A S
    0e0 CKR_TOKEN_NOT_PRESENT O O O O
    0e1 CKR_TOKEN_NOT_RECOGNIZED O O O O
    0e2 CKR_TOKEN_WRITE_PROTECTED S S A S
    0f0 CKR_UNWRAPPING_KEY_HANDLE_INVALID S S A S
    0f1 CKR_UNWRAPPING_KEY_SIZE_RANGE S S A S
    0f2 CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT S S A S
    100 CKR_USER_ALREADY_LOGGED_IN S S A S
    101 CKR_USER_NOT_LOGGED_IN L L L L
    102 CKR_USER_PIN_NOT_INITIALIZED S S A S
    103 CKR_USER_TYPE_INVALID S S A S
    104 CKR_USER_ANOTHER_ALREADY_LOGGED_IN S S A S
    105 CKR_USER_TOO_MANY_TYPES S S A S
    110 CKR_WRAPPED_KEY_INVALID S S A S
    112 CKR_WRAPPED_KEY_LEN_RANGE S S A S
    113 CKR_WRAPPING_KEY_HANDLE_INVALID S S A S
    114 CKR_WRAPPING_KEY_SIZE_RANGE S S A S
    115 CKR_WRAPPING_KEY_TYPE_INCONSISTENT S S A S
    120 CKR_RANDOM_SEED_NOT_SUPPORTED S S A S
    121 CKR_RANDOM_NO_RNG O S A S
    130 CKR_DOMAIN_PARAMS_INVALID S S A S
    140 CKR_CURVE_NOT_SUPPORTED S S A S
    150 CKR_BUFFER_TOO_SMALL S S A S
    160 CKR_SAVED_STATE_INVALID S S A S
    170 CKR_INFORMATION_SENSITIVE S S A S
    180 CKR_STATE_UNSAVEABLE S S A S
    190 CKR_CRYPTOKI_NOT_INITIALIZED O O O O
    191 CKR_CRYPTOKI_ALREADY_INITIALIZED S S A S
    1a0 CKR_MUTEX_BAD S S A S
    1a1 CKR_MUTEX_NOT_LOCKED S S A S
    1b0 CKR_NEW_PIN_MODE S S A S
    1b1 CKR_NEXT_OTP S S A S
    1b5 CKR_EXCEEDED_MAX_ITERATIONS S S A S
    1b6 CKR_FIPS_SELF_TEST_FAILED O O O O
    1b7 CKR_LIBRARY_LOAD_FAILED O O O O
    1b8 CKR_PIN_TOO_WEAK S S A S
    1b9 CKR_PUBLIC_KEY_INVALID S S A S
    1c0 CKR_EXCEEDED_MAX_ITERATIONS S S A S
    1c1 CKR_FIPS_SELF_TEST_FAILED O O O O
    1c2 CKR_LIBRARY_LOAD_FAILED O O O O
    1c3 CKR_PIN_TOO_WEAK S S A S
    1c4 CKR_PUBLIC_KEY_INVALID S S A S
    200 CKR_FUNCTION_REJECTED S S A S
    201 CKR_TOKEN_RESOURCE_EXCEEDED E E E E
    202 CKR_OPERATION_CANCEL_FAILED L L L L
    203 CKR_KEY_EXHAUSTED E E E E
    204 CKR_PENDING L L L L
    205 CKR_SESSION_ASYNC_NOT_SUPPORTED S S A S
    206 CKR_SEED_RANDOM_REQUIRED S S A S
    207 CKR_OPERATION_NOT_VALIDATED S S A S
    208 CKR_TOKEN_NOT_INITIALIZED O O O O
    209 CKR_PARAMETER_SET_NOT_SUPPORTED S S A S
    """

private struct Expectation {
    let code: ReturnCode
    let name: String
    let columns: [Disposition]

    init?(_ line: Substring) {
        let meanings: [Substring: Disposition] = [
            "E": .tryElsewhere, "S": .hsmSuspect, "O": .hsmOut, "L": .sessionLost, "A": .ambiguous,
            "B": .callersFault(.ciphertextIsInvalid), "U": .callersFault(.usageNotPermitted),
        ]
        let fields = line.split(separator: " ")
        guard fields.count == 6, let number = UInt(fields[0], radix: 16) else { return nil }
        code = ReturnCode(rawValue: number)
        name = String(fields[1])
        columns = fields[2...].compactMap { meanings[$0] }
        guard columns.count == 4 else { return nil }
    }

    /// A vendor's, or nobody's.
    init(unlisted raw: UInt) {
        code = ReturnCode(rawValue: raw)
        name = ""
        columns = [.hsmSuspect, .hsmSuspect, .ambiguous, .hsmSuspect]
    }

    static let named = expectations.split(separator: "\n").compactMap { Expectation($0) }

    func meaning(
        _ function: PKCS11Function, _ operation: LaneOperation
    ) -> Disposition {
        let sessionFunctions: [PKCS11Function] = [.openSession, .closeSession, .login, .logout, .getSessionInfo]
        let seesCiphertext: [PKCS11Function] = [.decrypt, .decryptMessage]
        if operation == .openSession || operation == .closeSession || sessionFunctions.contains(function) {
            return columns[3]
        }
        if operation == .encrypt { return columns[0] }
        guard operation == .decrypt, seesCiphertext.contains(function) else { return columns[1] }
        return columns[2]
    }
}

private func refused(
    _ code: ReturnCode, _ function: UInt8
) -> LaneAnswerHeader {
    LaneAnswerHeader(status: .refused, function: function, generation: 1, code: UInt64(code.rawValue))
}

private let strangeNumbers: [UInt] = [
    0x4, 0xb2, 0x1b4, 0x20a, 0x1234, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0x8000_0054, 0xffff_ffff, 0x1_0000_0000,
    0xffff_ffff_8000_0000, .max,
]

@Suite("What an HSM's answer means")
struct DispositionTests {
    @Test("every code, from every function, for every operation")
    func everything() {
        let all = Expectation.named + strangeNumbers.map { Expectation(unlisted: $0) }
        for expected in all {
            for function in PKCS11Function.allCases {
                for operation in LaneOperation.allCases {
                    let found = Disposition(refused(expected.code, function.rawValue), operation: operation)
                    #expect(
                        found == expected.meaning(function, operation),
                        "\(expected.code) from \(function.name) of \(operation)")
                }
            }
        }
    }

    @Test("the table, the names and the expectations are about the same codes, each once, each with a reason")
    func complete() {
        let lines = expectations.split(separator: "\n").count
        #expect(Expectation.named.count == lines)
        let expected = Expectation.named.map(\.code.rawValue)
        #expect(DispositionRow.table.compactMap { $0.code?.rawValue }.sorted() == expected)
        #expect(DispositionRow.table.count == lines)
        #expect(ReturnCode.allNamed.map(\.rawValue) == expected)
        for expectation in Expectation.named { #expect(expectation.code.name == expectation.name) }
        for row in DispositionRow.table { #expect(!row.reason.isEmpty) }
        for raw in strangeNumbers { #expect(DispositionRow.row(for: ReturnCode(rawValue: raw)).code == nil) }
    }

    @Test("an answer from a function nobody knows is read as the operation's own")
    func unknownFunction() {
        let code = ReturnCode.generalError
        #expect(Disposition(refused(code, 255), operation: .decrypt) == .hsmSuspect)
        #expect(Disposition(refused(code, 255), operation: .encrypt) == .hsmSuspect)
        #expect(Disposition(refused(.sessionCount, 255), operation: .openSession) == .tryElsewhere)
    }

    @Test("no code of an encryption, of a session, or of another function than C_Decrypt calls a ciphertext invalid")
    func onlyDecrypt() {
        for raw in Array(UInt(0)...0x220) + strangeNumbers {
            for function in PKCS11Function.allCases {
                for operation in LaneOperation.allCases where operation != .decrypt || !function.seesCiphertext {
                    let answer = refused(ReturnCode(rawValue: raw), function.rawValue)
                    let found = Disposition(answer, operation: operation)
                    #expect(found != .callersFault(.ciphertextIsInvalid) && found != .ambiguous)
                }
            }
        }
    }

    @Test(
        "no answer of C_Decrypt that a ciphertext may have caused counts against the HSM"
    )
    func floodOfBadCiphertext() {
        for raw in Array(UInt(0)...0x220) + strangeNumbers {
            let code = ReturnCode(rawValue: raw)
            guard code.mayMeanBadCiphertext else { continue }
            let answer = refused(code, PKCS11Function.decrypt.rawValue)
            #expect(Disposition(answer, operation: .decrypt) == .ambiguous)
        }
    }

    @Test("what is not a refusal", arguments: LaneOperation.allCases)
    func others(operation: LaneOperation) {
        #expect(Disposition(LaneAnswerHeader(status: .done, generation: 1), operation: operation) == .done)
        #expect(Disposition(LaneAnswerHeader(status: .expired, generation: 1), operation: operation) == .tryElsewhere)
        #expect(Disposition(LaneAnswerHeader(status: .keyGone, generation: 1), operation: operation) == .keyMissing)
    }

    @Test("the worker's reading of a code and the node's agree")
    func remedies() {
        for raw in Array(UInt(0)...0x220) + strangeNumbers {
            let code = ReturnCode(rawValue: raw)
            let row = DispositionRow.row(for: code)
            #expect(code.mayMeanBadCiphertext == (row[.decryption] == .ambiguous), "\(code)")
            for step in LaneStep.allCases {
                switch code.sessionRemedy {
                case .none: #expect(row[step] != .sessionLost, "\(code) \(step)")
                case .reopen: #expect(row[step] == .sessionLost, "\(code) \(step)")
                case .restoreLogin: #expect(row[step] == .sessionLost || row[step] == .hsmOut, "\(code) \(step)")
                }
                if code.saysNoSuchObject { #expect(row[step] == .tryElsewhere, "\(code) \(step)") }
            }
        }
    }
}

extension PKCS11Function {
    fileprivate var seesCiphertext: Bool { self == .decrypt || self == .decryptMessage }
}
