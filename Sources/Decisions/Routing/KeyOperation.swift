// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import SecureMemory

/// Who waits for the result of an operation: the request that it is a part of.
package protocol OperationCaller: AnyObject, Sendable {
    /// Nobody does any more.
    var isGone: Bool { get }
}

/// Notes the calls of HSMs that are made for an operation that is traced. Called under the pool's lock: never waits.
/// Times are CLOCK_MONOTONIC, nanoseconds.
package protocol CallRecorder: AnyObject, Sendable {
    /// - Parameter call: a number of the pool's that is not used again.
    func began(call: UInt64, _ question: LaneQuestion, _ kind: LaneOperation, of hsm: String, at moment: UInt64)

    /// - Parameter failure: what was wrong, for people; `nil` where nothing was.
    func ended(call: UInt64, failure: String?, at moment: UInt64)
}

/// What the pool is asked to do with one key. A class: it is handed through several layers and never changed.
package final class KeyOperation: Sendable {
    package let kind: LaneOperation
    /// The key's label on the tokens.
    package let label: KeyLabel
    /// The additional authenticated data in the form that the HSM gets.
    package let additionalData: SecretBytes
    /// Decrypt: the IV. Empty for encrypt: the worker makes it.
    package let initializationVector: SecretBytes
    /// Plaintext, or ciphertext ‖ tag.
    package let data: SecretBytes
    /// `nil` where it is not known.
    package let caller: (any OperationCaller)?
    /// `nil` where it is not traced.
    package let recorder: (any CallRecorder)?

    package init(
        kind: LaneOperation, label: KeyLabel, additionalData: SecretBytes, initializationVector: SecretBytes,
        data: SecretBytes, caller: (any OperationCaller)? = nil, recorder: (any CallRecorder)? = nil
    ) {
        self.recorder = recorder
        self.kind = kind
        self.label = label
        self.additionalData = additionalData
        self.initializationVector = initializationVector
        self.data = data
        self.caller = caller
    }
}

/// What an HSM gave back.
package struct KeyOperationOutput: Sendable {
    /// Encrypt: the IV the ciphertext was made with. Empty for decrypt.
    package var initializationVector: SecretBytes
    /// Ciphertext ‖ tag, or plaintext.
    package var data: SecretBytes

    package init(initializationVector: SecretBytes, data: SecretBytes) {
        self.initializationVector = initializationVector
        self.data = data
    }
}

/// An operation that is not finished, and what it is at.
package struct OperationUnderWay: Sendable {
    package var caller: (any OperationCaller)?
    /// Names of the HSMs that are at it: none, one, or a few at once.
    package var hsms: [String]
    /// It waits for a lane of an HSM.
    package var isWaiting: Bool
    /// Its ciphertext has been refused, and that is being looked into.
    package var isChecked: Bool
    /// How many calls have been made for it.
    package var attempts: Int

    package init(caller: (any OperationCaller)?, hsms: [String], isWaiting: Bool, isChecked: Bool, attempts: Int) {
        self.caller = caller
        self.hsms = hsms
        self.isWaiting = isWaiting
        self.isChecked = isChecked
        self.attempts = attempts
    }
}

/// What an operation lacked that was not answered in time.
package enum Shortage: Sendable, Equatable {
    /// Time: it was over before an HSM could be asked.
    case time
    /// A lane: none became free.
    case lane
    /// An answer of the HSMs that were at it.
    case answer
    /// The budget for a further attempt, after one had not been answered.
    case budget
}

/// How an operation ended, once and for all.
package enum OperationOutcome: Sendable, Equatable {
    /// An HSM did it.
    case done
    /// It cannot be done, whichever HSM is asked.
    case callersFault(CallersFault)
    /// Its deadline passed before an HSM answered.
    case timedOut(Shortage)
    /// No HSM that could do it is left. Says in words what the last one said.
    case unavailable(String)
    /// More is asked than the HSMs can do: it could not have been answered in time.
    case overloaded
    /// It would wait here for longer than another node takes that has room (`PoolMachine.detour`). Only where another one
    /// may be asked; nothing was done for it.
    case crowded
    /// Whoever asked for it waits no more.
    case abandoned
}

/// The end of an operation, with what the log wants to know of it.
package struct OperationResult: Sendable {
    package var outcome: OperationOutcome
    /// Present when the outcome is `done`.
    package var output: KeyOperationOutput?
    /// Name of the HSM that decided the outcome.
    package var hsm: String?
    /// How many calls were made for it.
    package var attempts: Int
    /// One of them was made beside another that was slower than usual.
    package var isHedged: Bool
    /// Time inside the deciding HSM's library, microseconds.
    package var hsmMicroseconds: UInt32
    /// How long it waited for a lane, microseconds.
    package var waitedMicroseconds: UInt64

    package init(
        outcome: OperationOutcome, output: KeyOperationOutput? = nil, hsm: String? = nil, attempts: Int = 0,
        isHedged: Bool = false, hsmMicroseconds: UInt32 = 0, waitedMicroseconds: UInt64 = 0
    ) {
        self.isHedged = isHedged
        self.waitedMicroseconds = waitedMicroseconds
        self.outcome = outcome
        self.output = output
        self.hsm = hsm
        self.attempts = attempts
        self.hsmMicroseconds = hsmMicroseconds
    }
}

/// The pool of HSMs as the rest of the node sees it.
package protocol KeyOperationPool: Sendable {
    /// Does `operation` on one of `hsms` before `deadline` (CLOCK_MONOTONIC, nanoseconds). Never blocks;
    /// `completion` is called exactly once, on any thread, possibly before this returns.
    ///
    /// - Parameter terms: what is to be kept to beside that. The pool itself adds whom to try before ciphertext is called
    ///   invalid.
    func submit(
        _ operation: KeyOperation, on hsms: HSMSet, deadline: UInt64, terms: OperationTerms,
        completion: @escaping @Sendable (OperationResult) -> Void)

    /// Whether the key `label` may be used on `hsms`, soon, or why not. Asked at each request.
    func decision(on label: KeyLabel, for purpose: KeyPurpose, on hsms: HSMSet) -> KeyDecision

    /// What may be said of a ciphertext that the HSMs do not open. Asked for such ones only.
    func word(onCiphertextOf label: KeyLabel) -> CiphertextWord
}
