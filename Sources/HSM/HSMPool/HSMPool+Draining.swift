// SPDX-License-Identifier: Apache-2.0
import Glibc
import Routing

/// What became of an order to drain an HSM for a time.
package enum TimedDrain: Sendable, Equatable {
    case done
    case unknownHSM
    /// It is drained already: for good, or for a time that somebody else has asked for.
    case isDrained
    /// There is nothing to be prolonged.
    case isOver
}

extension HSMPool {
    /// An operator takes an HSM out of use, or back into it; it is remembered over restarts. False when there is none of
    /// that name.
    package func drain(_ name: String, _ isDrained: Bool) -> Bool {
        let effects = state.withLock { state -> [PoolEffect]? in
            guard state.position(of: name) != nil else { return nil }
            state.timedDrains.forget(name)
            return state.drain(name, isDrained, now: monotonicNanoseconds())
        }
        guard let effects else { return false }
        journal.setDrained(name, isDrained)
        finish(name, isDrained, effects, isDrained ? "until it is undrained" : "ordered")
        return true
    }

    /// Takes an HSM out of use until its time is over, which may be prolonged, or an operator puts it back.
    package func drain(_ name: String, seconds: Int) -> TimedDrain {
        let (now, unixSeconds) = (monotonicNanoseconds(), Int64(time(nil)))
        let (result, effects) = state.withLock { state -> (TimedDrain, [PoolEffect]) in
            guard let hsm = state.position(of: name) else { return (.unknownHSM, []) }
            guard !state.machine.isDrained(hsm) else { return (.isDrained, []) }
            state.timedDrains.begin(name, seconds: seconds, now: now, unixSeconds: unixSeconds)
            return (.done, state.drain(name, true, now: now))
        }
        if result == .done { finish(name, true, effects, "\(seconds) s, unless prolonged") }
        return result
    }

    package func prolongDrain(of name: String, seconds: Int) -> TimedDrain {
        let now = monotonicNanoseconds()
        return state.withLock { state in
            guard state.position(of: name) != nil else { return .unknownHSM }
            return state.timedDrains.prolong(name, seconds: seconds, now: now) ? .done : .isOver
        }
    }

    /// Since when an HSM is drained for a time, Unix seconds; `nil` where it is not.
    package func timedDrainBegin(of name: String) -> Int64? { state.withLock { $0.timedDrains.begin(of: name) } }

    /// Puts back what was drained for a time that is over.
    func endTimedDrains() {
        let now = monotonicNanoseconds()
        let ended = state.withLock { state in
            state.timedDrains.takeEnded(now: now).map { ($0, state.drain($0, false, now: now)) }
        }
        for (name, effects) in ended {
            finish(name, false, effects, "its time is over, and nobody has prolonged it")
        }
    }

    private func finish(_ name: String, _ isDrained: Bool, _ effects: [PoolEffect], _ detail: String) {
        if isDrained {
            logger.notice("hsm drained", metadata: ["hsm": "\(name)", "for": "\(detail)"])
        } else {
            logger.notice("hsm undrained", metadata: ["hsm": "\(name)", "reason": "\(detail)"])
        }
        perform(effects)
        changed()
    }
}

extension PoolState {
    mutating func drain(_ name: String, _ isDrained: Bool, now: UInt64) -> [PoolEffect] {
        var effects: [PoolEffect] = []
        // The one with other settings that is to take over, too.
        for hsm in hsms.indices where hsms[hsm].settings.name == name {
            effects += self.effects(of: machine.drain(hsm, isDrained, now: now), now: now)
        }
        return effects
    }
}
