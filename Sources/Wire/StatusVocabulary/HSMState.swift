// SPDX-License-Identifier: Apache-2.0

// The states of an HSM. A new one is a case of `HSMState`: the compiler then leads to whatever distinguishes states, and
// docs/reference/hsm-states.md says to people what it means.

/// What people, other nodes, KMS and the store are told of an HSM. The raw values are the words for it: in JSON, in the
/// store, between nodes and in the log.
package enum HSMState: String, WordedState {
    /// Its worker has not logged in yet, or its first probe is under way.
    case starting
    /// It works, and gets its share.
    case active
    /// It gets requests, and something is wrong with it.
    case degraded
    /// It gets no requests.
    case unavailable
    /// It was out, and has to show that it works; requests only reach it when no other HSM can serve.
    case probing

    /// What a state of a later version means is not known here: the HSM is not counted on.
    package static let ofUnknownWord = HSMState.unavailable

    /// Whether requests are given to it in the ordinary way.
    package var canServe: Bool {
        switch self {
        case .active, .degraded: true
        case .starting, .probing, .unavailable: false
        }
    }

    /// Whether it is nothing that people should look into.
    package var isExpected: Bool {
        switch self {
        case .active, .starting: true
        case .degraded, .probing, .unavailable: false
        }
    }

    /// What KMS is told.
    ///
    /// - Parameter isDrained: an operator has taken it out of service. It could serve, and serves nobody.
    package func health(isDrained: Bool) -> HSMHealth {
        switch self {
        case _ where isDrained: .unavailable
        case .active: .active
        case .degraded: .degraded
        case .starting, .probing, .unavailable: .unavailable
        }
    }
}

/// How an HSM fares, in the words of the XKS API (XKS 1.0.3, "GetHealthStatus"). The better is the lesser.
package enum HSMHealth: String, Sendable, CaseIterable, Comparable {
    case active = "ACTIVE"
    /// Unhealthy, but still serves.
    case degraded = "DEGRADED"
    /// Cannot serve.
    case unavailable = "UNAVAILABLE"

    private var gravity: Int {
        switch self {
        case .active: 0
        case .degraded: 1
        case .unavailable: 2
        }
    }

    package static func < (left: HSMHealth, right: HSMHealth) -> Bool { left.gravity < right.gravity }
}

/// Where an HSM stands with the router: what decides whether it gets requests. It leaves this process only as an
/// `HSMState`.
///
/// The two are not one, because people are told more, and less. An HSM in phase `serving` is degraded when something is
/// wrong that does not keep it from serving; and while a worker is started anew, or is probed before it has ever served,
/// what matters is whether the HSM is on its way up or has failed.
package enum HSMPhase: Sendable, Equatable {
    /// No worker, and nobody waits for one: a person has to mend something, or the last starts were all in vain.
    /// → `starting`
    case down
    /// A worker is being started, or will be: after a pause, or as soon as a request needs it. → `probing`, `down`
    case starting
    /// A worker is ready, and must show by a probe that the HSM works. Gets requests only when no other HSM can serve,
    /// one at a time. → `serving`, `starting`, `down`
    case probing
    /// Gets requests. → `probing` (soft failures in a row), `starting` (hard failure), `down`
    case serving
}

extension HSMState {
    /// The one place where the state is made from the phase.
    ///
    /// - Parameters:
    ///   - hasServed: it has served since the node started, or since it was configured.
    ///   - hasFailed: its last worker has said why it gave up.
    ///   - isFlawed: something is wrong with it that does not keep it from serving.
    package init(_ phase: HSMPhase, hasServed: Bool, hasFailed: Bool, isFlawed: Bool) {
        self =
            switch phase {
            case .serving: isFlawed ? .degraded : .active
            case .probing: hasServed ? .probing : .starting
            case .starting: hasServed || hasFailed ? .unavailable : .starting
            case .down: .unavailable
            }
    }
}
