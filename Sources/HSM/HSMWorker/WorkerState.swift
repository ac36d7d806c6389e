// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import LaneProtocol
import PKCS11
import SecureMemory
import Synchronization

/// Where the keys are, by the catalogue's numbers. Written by the keeper, read by the lanes.
final class KeyTable: Sendable {
    private let handles = Mutex<[UInt32: KeyHandle]>([:])

    func handle(of reference: UInt32) -> KeyHandle { handles.withLock { $0[reference] } ?? .gone }

    func replace(with new: [UInt32: KeyHandle]) { handles.withLock { $0 = new } }
}

/// What one probe encrypted, for lanes that need a decryption with known result.
struct KnownBlock: Sendable {
    var key: ObjectHandle
    var iv: [UInt8]
    /// Ciphertext ‖ tag.
    var ciphertext: [UInt8]
    /// Random bytes of no worth.
    var plaintext: [UInt8]
}

/// The latest block that a probe encrypted and decrypted, if there is any.
final class KnownBlockHolder: Sendable {
    private let block = Mutex<KnownBlock?>(nil)

    var current: KnownBlock? { block.withLock { $0 } }

    func replace(with new: KnownBlock?) { block.withLock { $0 = new } }
}

/// What the keeper is asked to do, from other threads.
struct KeeperTasks: OptionSet, Sendable {
    let rawValue: UInt8
    static let readCatalogue = KeeperTasks(rawValue: 1)
    static let probe = KeeperTasks(rawValue: 2)
}

/// Wakes the keeper.
final class Doorbell: Sendable {
    private struct State {
        var tasks: KeeperTasks = []
        var failure: WorkerFailure?
        var offered: OfferedKeys?
        var canaries: [CanaryRequest] = []
        /// How many of `canaries`, the first ones, have been taken.
        var taken = 0
    }

    private let state = Mutex(State())
    private let descriptor: Int32

    init() { descriptor = claviger_eventfd() }

    deinit { close(descriptor) }

    func ring(_ tasks: KeeperTasks) {
        state.withLock { $0.tasks.formUnion(tasks) }
        signal()
    }

    /// The worker cannot go on; the first reason counts.
    func fail(_ failure: WorkerFailure) {
        state.withLock { if $0.failure == nil { $0.failure = failure } }
        signal()
    }

    /// From now on these are the keys that key stores offer.
    func offer(_ keys: OfferedKeys) {
        state.withLock { $0.offered = keys }
        signal()
    }

    /// What key stores offer, if that has been sent since it was asked for last.
    func takeOffered() -> OfferedKeys? {
        state.withLock { state in
            defer { state.offered = nil }
            return state.offered
        }
    }

    /// Lines up a request for a canary. Never waits.
    func ask(_ request: CanaryRequest) {
        state.withLock { $0.canaries.append(request) }
        signal()
    }

    /// The next request for a canary, in the order in which they came.
    func takeCanary() -> CanaryRequest? {
        state.withLock { state in
            guard state.taken < state.canaries.count else {
                state.canaries.removeAll(keepingCapacity: state.taken < 1024)
                state.taken = 0
                return nil
            }
            defer { state.taken += 1 }
            return state.canaries[state.taken]
        }
    }

    private func signal() {
        var one: UInt64 = 1
        // Full means that it rings already.
        _ = write(descriptor, &one, MemoryLayout<UInt64>.size)
    }

    /// Waits until somebody rings or `deadline` (CLOCK_MONOTONIC, nanoseconds) has passed, and takes the tasks. Does
    /// not wait while a canary is asked for.
    func wait(until deadline: UInt64) throws(WorkerFailure) -> KeeperTasks {
        let deadline = state.withLock { $0.taken < $0.canaries.count ? 0 : deadline }
        let now = claviger_monotonic_nanoseconds()
        let milliseconds = deadline > now ? (deadline - now) / 1_000_000 + 1 : 0
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        if poll(&waiting, 1, Int32(clamping: milliseconds)) > 0 {
            var count: UInt64 = 0
            _ = read(descriptor, &count, MemoryLayout<UInt64>.size)
        }
        let (tasks, failure) = state.withLock { state in
            defer { state.tasks = [] }
            return (state.tasks, state.failure)
        }
        if let failure { throw failure }
        return tasks
    }
}

/// The token's login, held by one session for the whole process.
final class TokenLogin: Sendable {
    private struct State {
        var session: Session?
        /// Why this PIN is never tried again.
        var refusal: CallResult?
        var restorations: UInt64 = 0
    }

    private let module: Module
    private let token: TokenIdentity
    private let pin: SecretBytes?
    private let doorbell: Doorbell
    private let state: Mutex<State>

    /// True when sessions ought to be logged in, and this library's sessions show it. One that does not, right after a
    /// login that succeeded, is not asked again.
    let canBeSeen: Bool

    init(_ token: OpenToken, pin: SecretBytes?, doorbell: Doorbell) {
        module = token.module
        self.token = token.identity
        self.pin = pin
        self.doorbell = doorbell
        state = Mutex(State(session: token.loginSession))
        canBeSeen = pin != nil && (try? token.loginSession.userIsLoggedIn()) == true
    }

    /// True when sessions of this worker ought to be logged in.
    var isWanted: Bool { pin != nil }

    /// How often the login had to be restored. What was seen while this number changed was seen without login.
    var restorations: UInt64 { state.withLock { $0.restorations } }

    /// Makes sure that the login stands: at most one C_Login, and none ever with a PIN known to be refused.
    func restore() -> CallResult {
        state.withLock { state in
            if let refusal = state.refusal { return refusal }
            if let session = state.session {
                if let loggedIn = try? session.userIsLoggedIn(), loggedIn || pin == nil { return .ok }
                try? session.close()
                state.session = nil
            }
            do throws(PKCS11Error) {
                let session = try Session.open(module, slot: token.slot)
                state.session = session
                if let pin { try session.login(pin: pin) }
                state.restorations &+= 1
                return .ok
            } catch {
                return failed(error, &state)
            }
        }
    }

    private func failed(_ error: PKCS11Error, _ state: inout State) -> CallResult {
        if let session = state.session {
            try? session.close()
            state.session = nil
        }
        let result = CallResult(function: error.function, code: error.code)
        if error.function == .login, error.code.forbidsAnotherLogin {
            state.refusal = result
            doorbell.fail(.login(error, token: token))
        }
        if error.code == .cryptokiNotInitialized {
            // The library has shut itself down; only a new process heals it.
            doorbell.fail(.call(error, doing: "restoring the login"))
        }
        return result
    }
}
