// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import SecureMemory

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

    package init(
        kind: LaneOperation, label: KeyLabel, additionalData: SecretBytes, initializationVector: SecretBytes,
        data: SecretBytes
    ) {
        self.kind = kind
        self.label = label
        self.additionalData = additionalData
        self.initializationVector = initializationVector
        self.data = data
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

/// How an operation ended, once and for all.
package enum OperationOutcome: Sendable, Equatable {
    /// An HSM did it.
    case done
    /// It cannot be done, whichever HSM is asked.
    case callersFault(CallersFault)
    /// Its deadline passed before an HSM answered.
    case timedOut
    /// No HSM that could do it is left. Says in words what the last one said.
    case unavailable(String)
    /// More waits already than the pool allows.
    case overloaded
}

/// The end of an operation, with what the log wants to know of it.
package struct OperationResult: Sendable {
    package var outcome: OperationOutcome
    /// Present when the outcome is `done`.
    package var output: KeyOperationOutput?
    /// Name of the HSM that decided the outcome.
    package var hsm: String?
    /// How many HSMs were asked.
    package var attempts: Int
    /// Time inside the deciding HSM's library, microseconds.
    package var hsmMicroseconds: UInt32

    package init(
        outcome: OperationOutcome, output: KeyOperationOutput? = nil, hsm: String? = nil, attempts: Int = 0,
        hsmMicroseconds: UInt32 = 0
    ) {
        self.outcome = outcome
        self.output = output
        self.hsm = hsm
        self.attempts = attempts
        self.hsmMicroseconds = hsmMicroseconds
    }
}

/// What the pool knows of a key. Absence and unavailability are different answers, all the way to the caller.
package enum KeyKnowledge: Sendable, Equatable {
    /// At least one HSM that can serve holds it; the usage is what all of those agree on.
    case held(usage: KeyUsage)
    /// Every HSM that can serve says that it has no such key; the text says more where there is more to say.
    case absent(String?)
    /// HSMs hold it, but none may serve it: they disagree on its value, or none can prove that it has the right one.
    /// The text says why, the usage is what all of them agree on.
    case refused(String, usage: KeyUsage)
    /// No HSM can serve, so nobody knows.
    case unknown
}

/// What HSMs tell of a key at one moment: all that decides whether it may be used.
package struct KeyAccount: Sendable, Equatable {
    package var knowledge: KeyKnowledge
    /// Between which days the key may be used to encrypt: the latest start and the earliest end that those tell which
    /// serve it.
    package var validity: KeyValidity

    package init(knowledge: KeyKnowledge, validity: KeyValidity) {
        self.knowledge = knowledge
        self.validity = validity
    }
}

/// The pool of HSMs as the rest of the node sees it.
package protocol KeyOperationPool: Sendable {
    /// Does `operation` on one of `hsms` before `deadline` (CLOCK_MONOTONIC, nanoseconds). Never blocks;
    /// `completion` is called exactly once, on any thread, possibly before this returns.
    func submit(
        _ operation: KeyOperation, on hsms: HSMSet, deadline: UInt64,
        completion: @escaping @Sendable (OperationResult) -> Void)

    /// What the HSMs of `hsms` say about the key `label`. Asked at each request.
    func account(of label: KeyLabel, on hsms: HSMSet) -> KeyAccount

    /// Every HSM, in the order of the configuration.
    func status() -> [HSMStatus]
}
