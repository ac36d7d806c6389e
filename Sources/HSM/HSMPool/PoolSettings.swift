// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import Routing
import SecureMemory

/// One HSM of the pool, ready to be used: its secrets have been read.
package struct PoolMember: Sendable {
    /// Name in the configuration, unique.
    package var name: String
    /// Path of the PKCS#11 library.
    package var module: String
    package var token: TokenSelector
    /// User PIN. Kept for the node's life, because a worker that is started anew must log in again.
    package var pin: SecretBytes?
    /// Passed to C_Initialize as `pReserved`, for libraries that want it.
    package var initializeArguments: String?
    /// How the token wants AES-GCM to be called; `nil`: the worker finds out.
    package var profile: GCMProfile?
    /// Lanes, each with a session of its own: 1 … 1,024.
    package var sessions: Int
    /// How many requests may be on a lane at a time, the call included: 1 … 8.
    package var depth: Int
    /// Most sessions that all node processes of this host may hold with the token; 0: what the token says.
    package var sessionLimit: Int
    /// Lower tiers are used first.
    package var tier: Int
    /// Its share beside others of its tier.
    package var weight: Int
    /// Added to the worker's environment; vendor libraries read their settings from it when they are loaded.
    package var environment: [String: String]
    /// How often the keys are listed anew, milliseconds.
    package var catalogueInterval: UInt32
    /// How often the known-answer probe runs, milliseconds.
    package var probeInterval: UInt32
    /// How long a call may be overdue before the worker is killed, nanoseconds.
    package var stuckAfter: UInt64
    /// Which of its keys key stores offer; its worker lists no others.
    package var offered: OfferedKeys

    package init(
        name: String, module: String, token: TokenSelector, pin: SecretBytes?, initializeArguments: String? = nil,
        profile: GCMProfile? = nil, sessions: Int, depth: Int = 1, sessionLimit: Int = 0, tier: Int = 0,
        weight: Int = 100,
        environment: [String: String], catalogueInterval: UInt32, probeInterval: UInt32, stuckAfter: UInt64,
        offered: OfferedKeys = .all
    ) {
        self.name = name
        self.module = module
        self.token = token
        self.pin = pin
        self.initializeArguments = initializeArguments
        self.profile = profile
        self.sessions = sessions
        self.depth = depth
        self.sessionLimit = sessionLimit
        self.tier = tier
        self.weight = weight
        self.environment = environment
        self.catalogueInterval = catalogueInterval
        self.probeInterval = probeInterval
        self.stuckAfter = stuckAfter
        self.offered = offered
    }
}

extension PoolMember {
    /// Sessions of a worker beside its lanes: one holds the login, one is the keeper's.
    static let sessionsBesideLanes = 2

    /// What names the token in the lane ledger: node processes of one host with the same configuration mean the same.
    var ledgerName: String {
        switch token {
        case .label(let label): "\(module) label \(label)"
        case .serial(let serial): "\(module) serial \(serial)"
        case .slot(let slot): "\(module) slot \(slot)"
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

    package init(
        members: [PoolMember], limits: PoolLimits, proofLimits: ProofLimits = ProofLimits(), executable: String,
        startPatience: UInt64 = 30_000_000_000
    ) {
        self.members = members
        self.limits = limits
        self.proofLimits = proofLimits
        self.executable = executable
        self.startPatience = startPatience
    }
}
