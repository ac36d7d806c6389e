// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// One line of the table from return codes to their meaning.
package struct DispositionRow: Sendable {
    /// `nil` in the one row for vendors' codes and numbers that no specification names.
    package let code: ReturnCode?
    private let encryption: Disposition
    private let preparation: Disposition
    private let decryption: Disposition
    private let session: Disposition
    /// Why, in words.
    package let reason: String

    package subscript(step: LaneStep) -> Disposition {
        switch step {
        case .encryption: encryption
        case .preparation: preparation
        case .decryption: decryption
        case .session: session
        }
    }

    /// - Parameters:
    ///   - meaning: what the code means wherever nothing else is said.
    ///   - decryption: from C_Decrypt or C_DecryptMessage. By itself the same as `meaning`, with one exception: a code
    ///     that is a soft failure elsewhere is ambiguous there, since the ciphertext may have caused it.
    fileprivate init(
        _ code: ReturnCode?, _ meaning: Disposition, preparation: Disposition? = nil, decryption: Disposition? = nil,
        session: Disposition? = nil, _ reason: String
    ) {
        self.code = code
        encryption = meaning
        self.preparation = preparation ?? meaning
        self.decryption = decryption ?? (meaning == .hsmSuspect ? .ambiguous : meaning)
        self.session = session ?? meaning
        self.reason = reason
    }

    package static func row(for code: ReturnCode) -> DispositionRow { rows[code] ?? unlisted }

    private static let rows = Dictionary(
        table.compactMap { row in row.code.map { ($0, row) } }, uniquingKeysWith: { first, _ in first })

    /// A vendor's own code (0x80000000 and above), or a number nobody knows: a soft failure, so that it is tried
    /// elsewhere, and counts if it stays. From C_Decrypt it may be that vendor's word for a wrong tag.
    package static let unlisted = DispositionRow(nil, .hsmSuspect, "its meaning is the vendor's own")

    private typealias Row = DispositionRow

    /// Every code that PKCS#11 2.40 to 3.2 name. Three rules stand behind it:
    /// - A soft failure of C_Decrypt is ambiguous. A flood of bad ciphertext must not take an HSM out, whatever code
    ///   its vendor has for a wrong tag; and no single word makes a ciphertext invalid, a clear one neither.
    /// - What only a new process or a person heals is hard; what a pause may heal is soft.
    /// - What is about the key, about the size of the data, or about room for one more, says nothing against the HSM.
    package static let table: [DispositionRow] = requests + keys + sessions + devices + unexpected

    /// About the call and its data.
    private static let requests: [DispositionRow] = [
        Row(.ok, .hsmSuspect, decryption: .hsmSuspect, "a refusal that says OK: the library contradicts itself"),
        Row(.generalError, .hsmSuspect, "SoftHSM up to 2.6.1: a wrong tag; elsewhere the device is broken"),
        // Busy has to count all the same: an HSM that always says so would get a share of the traffic for ever, and the
        // retries would use up the budget. Counting softly gives a throttled HSM the pause that it asks for.
        Row(.functionFailed, .hsmSuspect, "CloudHSM: busy; nShield: a wrong tag; elsewhere the call failed"),
        Row(
            .argumentsBad, .hsmSuspect, preparation: .tryElsewhere,
            "parameters refused; in a decryption it may be the IV's length, which comes with the ciphertext"
        ),
        Row(
            .mechanismParamInvalid, .hsmSuspect, preparation: .tryElsewhere,
            "parameters refused; in a decryption it may be the IV's length, which comes with the ciphertext"
        ),
        Row(
            .dataInvalid, .tryElsewhere, decryption: .ambiguous, session: .hsmSuspect,
            "these data do not suit this HSM; some say it of a ciphertext"),
        Row(
            .dataLenRange, .tryElsewhere, decryption: .ambiguous, session: .hsmSuspect,
            "more data than this HSM takes at once (CloudHSM: 16 KB); some say it of a ciphertext"),
        Row(
            .encryptedDataInvalid, .hsmSuspect, decryption: .callersFault(.ciphertextIsInvalid),
            "the tag does not fit (PKCS#11 2.40, section 5.1.6)"),
        Row(
            .encryptedDataLenRange, .hsmSuspect, decryption: .callersFault(.ciphertextIsInvalid),
            "no ciphertext has this length (PKCS#11 2.40, section 5.1.6)"),
        Row(
            .aeadDecryptFailed, .hsmSuspect, decryption: .callersFault(.ciphertextIsInvalid),
            "the tag does not fit (PKCS#11 3.0, section 5.1.6)"),
        Row(.signatureInvalid, .hsmSuspect, "out of place; may be a tag that does not fit"),
        Row(.signatureLenRange, .hsmSuspect, "out of place; may be a tag that does not fit"),
        Row(.bufferTooSmall, .hsmSuspect, "the output is longer than GCM's: the token is not as it was found"),
        Row(.cancel, .tryElsewhere, "the call was cancelled"),
        Row(.functionCanceled, .tryElsewhere, "the call was cancelled"),
        Row(.functionRejected, .hsmSuspect, "a person at the token, or its policy, rejected the call"),
        Row(.functionNotParallel, .hsmSuspect, "out of place"),
        Row(.functionNotSupported, .hsmSuspect, "the library lacks a function that it had at the start"),
        Row(.operationNotValidated, .hsmSuspect, "the token allows validated operations only, and this is none"),
        Row(.parameterSetNotSupported, .hsmSuspect, "out of place"),
        Row(
            .randomNoRNG, .hsmOut, preparation: .hsmSuspect, decryption: .ambiguous, session: .hsmSuspect,
            "without random bytes there are no IVs, and no safe encryption"),
        Row(.randomSeedNotSupported, .hsmSuspect, "out of place"),
        Row(.seedRandomRequired, .hsmSuspect, "the generator waits to be seeded by a person"),
    ]

    /// About the key. Another HSM may have it in order; nothing is wrong with this one.
    private static let keys: [DispositionRow] = [
        Row(
            .keyFunctionNotPermitted, .callersFault(.usageNotPermitted), session: .hsmSuspect,
            "CKA_ENCRYPT or CKA_DECRYPT of the key is false"),
        Row(.keyHandleInvalid, .tryElsewhere, "the handle is stale; the catalogue is read anew"),
        Row(.objectHandleInvalid, .tryElsewhere, "the handle is stale; the catalogue is read anew"),
        Row(.keySizeRange, .tryElsewhere, "the key's size does not suit AES-GCM here"),
        Row(.keyTypeInconsistent, .tryElsewhere, "the key's type does not suit AES-GCM"),
        Row(.keyNotNeeded, .tryElsewhere, "about the key"),
        Row(.keyChanged, .tryElsewhere, "the key is another than before"),
        Row(.keyNeeded, .tryElsewhere, "about the key"),
        Row(.keyIndigestible, .tryElsewhere, "about the key"),
        Row(.keyExhausted, .tryElsewhere, "the key's uses are spent (PKCS#11 3.1)"),
        Row(
            .mechanismInvalid, .tryElsewhere, session: .hsmSuspect,
            "CKA_ALLOWED_MECHANISMS of this key lacks AES-GCM; that the token has it was found out at the start"),
    ]

    /// About the session and the login.
    private static let sessions: [DispositionRow] = [
        Row(.sessionHandleInvalid, .sessionLost, "the session is gone"),
        Row(.sessionClosed, .sessionLost, "the session was closed during the call"),
        Row(.userNotLoggedIn, .sessionLost, "the login is gone"),
        Row(.operationActive, .sessionLost, "the session is stuck in an operation; older CloudHSM libraries: busy"),
        Row(.operationNotInitialized, .sessionLost, "the session has forgotten its operation"),
        Row(.operationCancelFailed, .sessionLost, "the session is stuck in an operation (PKCS#11 3.0)"),
        Row(.pending, .sessionLost, "the call goes on by itself, and its session is not free (PKCS#11 3.2)"),
        Row(.sessionCount, .tryElsewhere, "no room for another session"),
        Row(.tokenResourceExceeded, .tryElsewhere, "no room: the token's resources are in use (PKCS#11 3.0)"),
        Row(
            .deviceMemory, .hsmSuspect, decryption: .hsmSuspect, session: .tryElsewhere,
            "the token's memory is full; for a session: no room for another"),
        Row(.sessionAsyncNotSupported, .hsmSuspect, "out of place: no such session was asked for"),
        Row(.sessionParallelNotSupported, .hsmSuspect, "out of place: no such session was asked for"),
        Row(.sessionReadOnly, .hsmSuspect, "out of place"),
        Row(.sessionExists, .hsmSuspect, "out of place"),
        Row(.sessionReadOnlyExists, .hsmSuspect, "out of place"),
        Row(.sessionReadWriteSOExists, .hsmSuspect, "the security officer is logged in through this library"),
        // After these the worker ends by itself and says why; a new start would only spend another try of the PIN.
        Row(.pinIncorrect, .hsmSuspect, "the PIN is refused"),
        Row(.pinInvalid, .hsmSuspect, "the PIN is refused"),
        Row(.pinLenRange, .hsmSuspect, "the PIN is refused"),
        Row(.pinExpired, .hsmSuspect, "the PIN has expired"),
        Row(.pinLocked, .hsmSuspect, "the PIN is locked"),
        Row(.pinTooWeak, .hsmSuspect, "the PIN is refused"),
        Row(.pinTooWeakFreeHeader, .hsmSuspect, "the PIN is refused"),
        Row(.userPINNotInitialized, .hsmSuspect, "the token has no user PIN"),
        Row(.userAlreadyLoggedIn, .hsmSuspect, "out of place: another of this library's users has logged in"),
        Row(.userAnotherAlreadyLoggedIn, .hsmSuspect, "another user is logged in through this library"),
        Row(.userTooManyTypes, .hsmSuspect, "other users are logged in"),
        Row(.userTypeInvalid, .hsmSuspect, "out of place"),
        Row(.newPINMode, .hsmSuspect, "the token wants a new PIN from a person"),
        Row(.nextOTP, .hsmSuspect, "the token wants a one-time password from a person"),
    ]

    /// About the device and its library.
    private static let devices: [DispositionRow] = [
        Row(.deviceError, .hsmOut, "the device failed"),
        Row(.deviceRemoved, .hsmOut, "the device is gone"),
        Row(.tokenNotPresent, .hsmOut, "the token is gone"),
        Row(.tokenNotRecognized, .hsmOut, "the token is gone"),
        Row(.tokenNotInitialized, .hsmOut, "the token has been erased (PKCS#11 3.2)"),
        Row(.slotIDInvalid, .hsmOut, "the slot is gone"),
        Row(.cryptokiNotInitialized, .hsmOut, "the library has shut itself down"),
        Row(.libraryLoadFailed, .hsmOut, "a part of the library cannot be loaded"),
        Row(.libraryLoadFailedFreeHeader, .hsmOut, "a part of the library cannot be loaded"),
        Row(.fipsSelfTestFailed, .hsmOut, "the token refuses all cryptography after a failed self-test"),
        Row(.fipsSelfTestFailedFreeHeader, .hsmOut, "the token refuses all cryptography after a failed self-test"),
        Row(.hostMemory, .hsmSuspect, decryption: .hsmSuspect, "the worker's process has no memory left"),
        Row(.mutexBad, .hsmSuspect, "the library's locks are broken"),
        Row(.mutexNotLocked, .hsmSuspect, "the library's locks are broken"),
        Row(.tokenWriteProtected, .hsmSuspect, "out of place"),
    ]

    /// Codes of functions that no lane calls. A library that gives one of them is not well, or speaks in riddles.
    private static let unexpected: [DispositionRow] = [
        ReturnCode.noEvent, .needToCreateThreads, .cantLock, .attributeReadOnly, .attributeSensitive,
        .attributeTypeInvalid, .attributeValueInvalid, .actionProhibited, .keyNotWrappable, .keyUnextractable,
        .templateIncomplete, .templateInconsistent, .unwrappingKeyHandleInvalid, .unwrappingKeySizeRange,
        .unwrappingKeyTypeInconsistent, .wrappedKeyInvalid, .wrappedKeyLenRange, .wrappingKeyHandleInvalid,
        .wrappingKeySizeRange, .wrappingKeyTypeInconsistent, .domainParamsInvalid, .curveNotSupported,
        .savedStateInvalid, .informationSensitive, .stateUnsaveable, .cryptokiAlreadyInitialized,
        .exceededMaxIterations, .exceededMaxIterationsFreeHeader, .publicKeyInvalid, .publicKeyInvalidFreeHeader,
    ].map { Row($0, .hsmSuspect, "out of place") }
}
