// SPDX-License-Identifier: Apache-2.0
import CPlatform
import LaneProtocol
import PKCS11

/// What the keeper does again and again, on a session of its own: catalogue, probes and canaries.
struct KeeperRounds {
    let shared: SharedToken
    private let token: TokenIdentity
    private let control: ControlChannel
    private let session: KeeperSession
    private var canaries: Canaries<KeeperSession>
    /// What key stores offer; `nil` until the node has sent it. Nothing is read before.
    private var offered: OfferedKeys?
    private var reader = KeyReader()
    private var attributes = KeyAttributes()
    private var schedule: CatalogueSchedule
    private var catalogue = KeyCatalogue()
    private var results = KeySearchResults()
    /// The login's restorations when the round began.
    private var restorations: UInt64 = 0
    /// True when the round has been begun anew after a failure.
    private var isSecondTry = false
    private var lastSent: CatalogueState?
    private var standingComplaints: [CatalogueComplaint] = []

    init(
        _ configuration: WorkerConfiguration, token: OpenToken, capabilities: TokenCapabilities,
        control: ControlChannel, doorbell: Doorbell
    ) throws(WorkerFailure) {
        let history = IVHistory()
        guard let probeIVs = IVPool(history: history), let canaryIVs = IVPool(history: history) else {
            throw WorkerFailure(kind: .call, message: "there is no memory")
        }
        let login = TokenLogin(token, pin: configuration.pin, doorbell: doorbell)
        let knownBlock = KnownBlockHolder()
        shared = SharedToken(
            module: token.module, slot: token.identity.slot, login: login, capabilities: capabilities,
            keys: KeyTable(), knownBlock: knownBlock, doorbell: doorbell, ivHistory: history)
        let prober = Prober(
            knownBlock: knownBlock, ivs: probeIVs, profile: capabilities.profile, isLoggedIn: login.isWanted)
        do {
            session = try KeeperSession(shared, prober: prober)
        } catch {
            throw .call(error, doing: "opening the keeper's session")
        }
        schedule = CatalogueSchedule(interval: UInt64(max(configuration.catalogueInterval, 50)) * 1_000_000)
        canaries = Canaries(session: session, ivs: canaryIVs, profile: capabilities.profile)
        self.token = token.identity
        self.control = control
        if configuration.pin == nil, token.description.flags.contains(.loginRequired) {
            complain("no PIN is configured, and the token wants a login: its private keys stay unseen")
        }
    }

    /// Adds something that people should see, beside the keys that cannot serve.
    mutating func complain(_ reason: String) {
        standingComplaints.append(CatalogueComplaint(label: "", reason: "token \"\(token.label)\": \(reason)"))
    }

    // MARK: Keys

    /// True once the node has been informed of keys.
    var hasSentKeys: Bool { lastSent != nil }

    /// When `readKeys` has something to do; 0 is at once.
    var nextReading: UInt64 { offered == nil ? .max : schedule.isReading ? 0 : schedule.next }

    /// From now on key stores offer these keys. They are looked for at once.
    mutating func offer(_ keys: OfferedKeys) {
        guard keys != offered else { return }
        offered = keys
        if schedule.isReading { beginRound(keys) } else { schedule.demand(isUrgent: false) }
    }

    /// Has the keys read anew: a handle has led nowhere, or the node asks.
    mutating func demandReading() { schedule.demand(isUrgent: true) }

    /// Reads keys until `end`, if it is time, and informs the node at the end of a round that changed something. When
    /// the token cannot be asked, what was known stands: the probe reports how the token is.
    mutating func readKeys(until end: UInt64) throws(WorkerFailure) {
        guard let offered, schedule.isDue(claviger_monotonic_nanoseconds()) else { return }
        do throws(PKCS11Error) {
            if !schedule.isReading {
                try restoreSeenLogin()
                schedule.begin(now: claviger_monotonic_nanoseconds())
                beginRound(offered)
            }
            try step(until: end)
        } catch {
            try mend(after: error)
            guard !isSecondTry else {
                guard hasSentKeys else { throw .call(error, doing: "searching the keys of token \"\(token.label)\"") }
                return endRound(isComplete: false)
            }
            isSecondTry = true
            schedule.begin(now: claviger_monotonic_nanoseconds())
            beginRound(offered)
        }
    }

    private mutating func beginRound(_ offered: OfferedKeys) {
        if restorations != shared.login.restorations {
            reader.forget()
            restorations = shared.login.restorations
        }
        reader.begin(offered, rereadsAll: schedule.isUrgent, now: claviger_monotonic_nanoseconds())
    }

    private mutating func step(until end: UInt64) throws(PKCS11Error) {
        var now = claviger_monotonic_nanoseconds()
        var hadReadLabels = reader.hasReadLabels
        repeat {
            guard let step = reader.next(mayReadAgain: schedule.mayReadAgain) else {
                if let failure = reader.failure { throw failure }
                try take(isGrowing: false)
                return endRound(isComplete: true)
            }
            let hasReadLabels = reader.hasReadLabels && !hadReadLabels && !schedule.hasRead
            if hasReadLabels || schedule.isTimeToReport(now) { try take(isGrowing: true) }
            hadReadLabels = reader.hasReadLabels
            switch step {
            case .search(let label):
                let (handles, isCut) = try session.keys(labelled: label, atMost: KeyReader.mostObjects)
                reader.found(handles, isCut: isCut)
            case .read(let key): reader.took(try session.describe(key, attributes: &attributes))
            }
            let after = claviger_monotonic_nanoseconds()
            schedule.spent(after &- now)
            now = after
        } while now < end
    }

    private mutating func endRound(isComplete: Bool) {
        isSecondTry = false
        schedule.end(
            now: claviger_monotonic_nanoseconds(), isComplete: isComplete, jitter: .random(in: 0..<1))
    }

    /// Without login a token shows no private key and calls that success; so what is found counts only when the login
    /// stood all the while. Absence is not unavailability.
    private mutating func take(isGrowing: Bool) throws(PKCS11Error) {
        guard session.loginStands(), shared.login.restorations == restorations else {
            throw PKCS11Error(function: .findObjects, code: .userNotLoggedIn)
        }
        results = reader.results
        if !isGrowing { lookForOthers() }
        send(isGrowing: isGrowing)
    }

    /// Most labels a round that are looked for among objects of other kinds: each costs a search.
    private static let mostOtherSearches = 4

    /// A person who has named a key wants to know what it is where it is no key that could serve.
    private mutating func lookForOthers() {
        let found = Set(results.keys.compactMap(\.label) + results.unreadable.compactMap(\.label))
        let missing = (offered?.labels ?? []).subtracting(found).sorted()
        for label in missing.prefix(Self.mostOtherSearches) {
            results.otherObjects[label] = session.otherObject(labelled: label)
        }
    }

    private func restoreSeenLogin() throws(PKCS11Error) {
        guard shared.login.canBeSeen else { return }
        let login = shared.login.restore()
        guard login.isOK else { throw login.error }
    }

    /// One probe; once more after mending the session when it failed.
    mutating func probe() throws(WorkerFailure) -> ProbeReport {
        let refusalBefore = session.refusal
        var report = try probeOnce()
        if !report.passed {
            try mend(
                after: PKCS11Error(
                    function: report.function, code: ReturnCode(rawValue: UInt(truncatingIfNeeded: report.code))))
            report = try probeOnce()
        }
        if session.refusal != refusalBefore { send(isGrowing: lastSent?.listing.extent == .growing) }
        return report
    }

    private mutating func probeOnce() throws(WorkerFailure) -> ProbeReport {
        let report = session.probe()
        if !report.passed, report.function == .generateRandom,
            report.code == UInt64(ReturnCode.randomNoRNG.rawValue)
        {
            throw .brokenGenerator
        }
        return report
    }

    /// Answers one request for a canary.
    mutating func prove(_ request: CanaryRequest) { control.send(canaries.serve(request)) }

    private mutating func send(isGrowing: Bool) {
        var state = catalogue.update(
            results, isGrowing: isGrowing, named: offered?.labels ?? [], token: token.label)
        state.listing.complaints += standingComplaints
        if let refusal = session.refusal {
            state.listing.complaints.append(
                CatalogueComplaint(
                    label: "",
                    reason:
                        "token \"\(token.label)\" makes no session key (\(refusal)): probes only draw random bytes, "
                        + "and a refused ciphertext of a key without canary cannot be looked into here"))
        }
        guard state != lastSent else { return }
        lastSent = state
        // The lanes know a key before the node may name it.
        shared.keys.replace(with: state.handles)
        control.send(.catalogue(state.listing))
    }

    /// Makes sure of the login and opens a new session; the probe key went with the old one.
    private mutating func mend(after error: PKCS11Error) throws(WorkerFailure) {
        if error.code == .cryptokiNotInitialized {
            throw .call(error, doing: "asking token \"\(token.label)\"")
        }
        _ = shared.restoreLogin()
        _ = session.reopen()
    }
}
