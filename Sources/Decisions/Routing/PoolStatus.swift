// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import StatusVocabulary

/// What HSMs could do beside what is asked of them.
package struct SpareRoom: Sendable, Equatable {
    /// Operations a second.
    package var perSecond: Int
    /// How long one takes, nanoseconds.
    package var call: UInt64

    package init(perSecond: Int, call: UInt64) {
        self.perSecond = perSecond
        self.call = call
    }
}

/// One HSM of the pool: what people are shown of it, and what the store and other nodes are told besides.
package struct PoolHSM: Sendable, Equatable {
    package var shown: HSMStatus
    /// Path of its PKCS#11 library.
    package var module: String
    /// `nil` until the token has been seen.
    package var identity: TokenIdentity?
    /// Answers since the node started that were failures of the HSM.
    package var failures: UInt64
    /// Process id of the worker; 0 while there is none.
    package var workerPID: Int32

    package init(
        shown: HSMStatus, module: String, identity: TokenIdentity?, failures: UInt64 = 0, workerPID: Int32 = 0
    ) {
        self.shown = shown
        self.module = module
        self.identity = identity
        self.failures = failures
        self.workerPID = workerPID
    }
}

/// One cell of the matrix key × HSM.
package struct KeyCell: Sendable, Equatable {
    /// Name of the HSM.
    package var hsm: String
    package var state: KeyState
    /// What there is to say beside it, in words; may be empty.
    package var detail: String
    /// What the key's attributes allow.
    package var usage: KeyUsage
    /// Operations that the HSM has done with the key since the node started.
    package var encrypts: UInt64
    package var decrypts: UInt64

    /// - Parameter verdict: of the key proof; `nil` where the HSM does not list the key.
    package init(
        _ verdict: KeyVerdict?, hsm: String, usage: KeyUsage = [], encrypts: UInt64 = 0, decrypts: UInt64 = 0
    ) {
        self.hsm = hsm
        state = KeyState(verdict)
        detail = verdict?.detail ?? ""
        self.usage = usage
        self.encrypts = encrypts
        self.decrypts = decrypts
    }
}

/// One row of the matrix key × HSM: every HSM of the configuration, whoever may ask it for the key.
package struct KeyRow: Sendable, Equatable {
    package var label: KeyLabel
    /// Name of the HSM that made the canary; `nil` while there is none.
    package var canaryMaker: String?
    /// Why it is refused everywhere; `nil` when it is not.
    package var dispute: String?
    /// What is odd about it and keeps it from nothing, a sentence each.
    package var complaints: [String]
    /// Every HSM that lists it says that it may neither encrypt nor decrypt.
    package var isOfNoUse: Bool
    /// One for each HSM, in the order of the configuration.
    package var cells: [KeyCell]
    /// By all HSMs, earlier processes included.
    package var uses = KeyUses()

    package init(
        label: KeyLabel, canaryMaker: String?, dispute: String?, complaints: [String] = [], isOfNoUse: Bool = false,
        cells: [KeyCell]
    ) {
        self.isOfNoUse = isOfNoUse
        self.label = label
        self.canaryMaker = canaryMaker
        self.dispute = dispute
        self.complaints = complaints
        self.cells = cells
    }

    /// The row as people are shown it.
    ///
    /// - Parameter mayServe: whether an HSM, by its name, is to serve the key. Those that are not have no cell.
    package func shown(where mayServe: (String) -> Bool) -> KeyStatus {
        let cells = cells.filter { mayServe($0.hsm) }.map { ($0.hsm, $0.state) }
        var status = KeyStatus(
            label: label.text, canaryBy: canaryMaker, disputed: dispute, complaints: complaints,
            mayDoNothing: isOfNoUse, cells: Dictionary(cells) { _, last in last })
        status.encrypts = uses.encrypts
        return status
    }
}
