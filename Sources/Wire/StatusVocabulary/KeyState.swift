// SPDX-License-Identifier: Apache-2.0

// The states of a key on an HSM. A new one is a case of `KeyState`: the compiler then leads to whatever distinguishes
// states, and docs/reference/hsm-states.md says to people what it means.

/// What people and the store are told of a key on one HSM. The raw values are the words for it.
package enum KeyState: String, WordedState {
    /// It has opened the canary: it holds the same key.
    case proven
    /// It has not been asked yet, or could not answer, and is not given the key's requests until it has.
    case unproven
    /// It holds another key under the same label, and is never given the key's requests.
    case different
    /// It has no such key.
    case absent
    /// The key's attributes allow no proof. It serves only where no HSM could give one (docs/internals/key-proof.md). Its
    /// owner has made it so: nothing is wrong with the HSM.
    case unprovable

    /// A state of a later version proves nothing here.
    package static let ofUnknownWord = KeyState.unproven

    /// Whether the HSM is given requests for the key.
    package var isServing: Bool {
        switch self {
        case .proven: true
        case .unproven, .different, .absent, .unprovable: false
        }
    }

    /// Whether the HSM is kept from the key, and somebody has to mend that.
    package var isExclusion: Bool {
        switch self {
        case .different, .absent: true
        case .proven, .unproven, .unprovable: false
        }
    }
}

/// What the key proof knows of a key on an HSM that lists it: what decides whether the HSM serves the key, and whether
/// it is asked again. It leaves this process only as a `KeyState` and a sentence.
///
/// The two are not one, because a check that failed is repeated and one that was never made is awaited, and to people
/// both are `unproven`; because a key that an HSM does not list has a state, and nothing to prove; and because what
/// belongs to a case here is a sentence there.
package enum KeyVerdict: Sendable, Equatable {
    /// Not checked yet, or not since the key, its number or the worker changed.
    case unproven
    /// It opened the canary.
    case proven
    /// It holds another key under the same label than the HSM of this name, which made the canary.
    case different(than: String)
    /// It can never be checked, and why.
    case unprovable(String)
    /// The check itself failed; it is tried again.
    case failing(String)
}

extension KeyState {
    /// The one place where the state is made from the verdict.
    ///
    /// - Parameter verdict: `nil` where the HSM does not list the key.
    package init(_ verdict: KeyVerdict?) {
        self =
            switch verdict {
            case nil: .absent
            case .proven: .proven
            case .unproven, .failing: .unproven
            case .different: .different
            case .unprovable: .unprovable
            }
    }
}

extension KeyVerdict {
    /// What there is to say beside the state, for people; empty where there is nothing.
    package var detail: String {
        switch self {
        case .proven, .unproven: ""
        case .different(let maker): "not the key of \(maker)"
        case .unprovable(let reason), .failing(let reason): reason
        }
    }
}
