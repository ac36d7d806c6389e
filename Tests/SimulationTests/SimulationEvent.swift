// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing

/// What can happen. Events of workers carry the worker's life: those of an earlier one are dropped.
enum SimulationEvent {
    case request
    case tick(number: UInt64)
    case watch
    case faultBegins(Int)
    case faultEnds(Int)
    case startWorker(hsm: Int, life: Int)
    case workerReady(hsm: Int, life: Int)
    /// A worker dies of itself.
    case workerDies(hsm: Int, life: Int)
    /// The node notices that a worker has ended.
    case workerEnded(hsm: Int, life: Int)
    case callReturns(hsm: Int, life: Int, lane: Int, generation: UInt64)
    case sessionMoved(hsm: Int, life: Int, lane: Int, generation: UInt64, LaneOperation)
    case selfProbe(hsm: Int, life: Int)
    case probeReturns(hsm: Int, life: Int)
    case keyProven(hsm: Int, life: Int, key: Int)
    case keyFoundLost(hsm: Int, key: Int)
}

/// Why the machine was stepped: what the checkers judge its reaction by.
enum Cause: Equatable {
    case request
    case tick
    case answer(hsm: Int, Disposition)
    case probe(hsm: Int, passed: Bool)
    case ready(hsm: Int)
    case starting(hsm: Int)
    case ended(hsm: Int)
    case silence(hsm: Int)
    case allowance
    /// A session was opened or closed, or refused: no sign that an HSM works, nor that it does not.
    case session
    case keys
}

/// One entry of a trace; the numbers are what the entry is about.
enum Note: UInt8 {
    case request, dispatch, answer, finish, restart, laneOrder, laneMoved, probe, probed, phase, faultBegins, faultEnds
    case startOrdered, starting, ready, dies, ended, laneClosed, joined, left
}

/// What a run did, as a number that is the same for the same run, and as lines if somebody wants to read them.
struct Trace {
    private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    var isPrinting = false

    mutating func note(_ note: Note, at now: UInt64, _ one: Int = 0, _ two: Int = 0, _ three: Int = 0) {
        mix(now)
        mix(UInt64(note.rawValue))
        mix(UInt64(bitPattern: Int64(one)))
        mix(UInt64(bitPattern: Int64(two)))
        mix(UInt64(bitPattern: Int64(three)))
        if isPrinting { print("\((now - Scenario.start) / 1_000) µs: \(note) \(one) \(two) \(three)") }
    }

    /// FNV-1a, a word at a time.
    private mutating func mix(_ value: UInt64) { hash = (hash ^ value) &* 0x0000_0100_0000_01B3 }
}
