// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import Routing

/// One HSM of the pool, ready to be used: its secrets have been read.
package struct PoolMember: Sendable, Equatable {
    /// What its worker is started with. The PIN is kept for the node's life, because a worker that is started anew must
    /// log in again.
    package var worker: WorkerConfiguration
    /// Added to the worker's environment; vendor libraries read their settings from it when they are loaded.
    package var environment: [String: String]
    /// What routing goes by.
    package var traits: HSMTraits
    /// Most sessions that all node processes of this host may hold with the token; 0: what the token says.
    package var sessionLimit: Int
    /// Which of its keys key stores offer; its worker lists no others.
    package var offered: OfferedKeys
    /// What its library is kept from, from the next start of its worker on.
    package var sealed: SealedPaths

    package init(
        worker: WorkerConfiguration, environment: [String: String], traits: HSMTraits, sessionLimit: Int = 0,
        offered: OfferedKeys = .all, sealed: SealedPaths = SealedPaths()
    ) {
        self.worker = worker
        self.environment = environment
        self.traits = traits
        self.sessionLimit = sessionLimit
        self.offered = offered
        self.sealed = sealed
    }
}

extension PoolMember {
    /// Name in the configuration, unique.
    package var name: String { worker.name }

    /// True when a worker started for one would do for the other: what differs else is the node's alone.
    func hasSameWorker(as other: PoolMember) -> Bool {
        worker == other.worker && environment == other.environment
    }

    /// Sessions of a worker beside its lanes: one holds the login, one is the keeper's.
    static let sessionsBesideLanes = 2

    /// What names the token in the lane ledger: node processes of one host with the same configuration mean the same.
    var ledgerName: String {
        switch worker.token {
        case .label(let label): "\(worker.module) label \(label)"
        case .serial(let serial): "\(worker.module) serial \(serial)"
        case .slot(let slot): "\(worker.module) slot \(slot)"
        }
    }
}

/// The pool's settings.
package struct PoolSettings: Sendable {
    package var members: [PoolMember]
    package var limits: PoolLimits
    package var proofLimits: ProofLimits
    /// The program whose `hsm-worker` subcommand is a worker: this very binary.
    package var executable: String
    /// How long a worker may take from its start until it can serve, nanoseconds. Loading a library and logging in to a
    /// network HSM takes seconds; what takes longer hangs, and a new process is tried.
    package var startPatience: UInt64
    /// Whether what a library has left behind outside of its worker's process group is ended with the worker. For a process
    /// that starts others in its own session only.
    package var endsOrphans: Bool

    package init(
        members: [PoolMember], limits: PoolLimits, proofLimits: ProofLimits = ProofLimits(), executable: String,
        startPatience: UInt64 = 30_000_000_000, endsOrphans: Bool = false
    ) {
        self.endsOrphans = endsOrphans
        self.members = members
        self.limits = limits
        self.proofLimits = proofLimits
        self.executable = executable
        self.startPatience = startPatience
    }
}
