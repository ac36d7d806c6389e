// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11

/// What the keeper does again and again, on a session of its own: catalogue, probes and canaries.
struct KeeperRounds {
    let shared: SharedToken
    private let token: TokenIdentity
    private let control: ControlChannel
    private let session: KeeperSession
    private var canaries: Canaries<KeeperSession>
    private var catalogue = KeyCatalogue()
    private var findings = KeyFindings(keys: [])
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

    /// Looks for keys, and tells the node when something changed, or `always`. When the token cannot be asked, what was
    /// known stands: the probe reports how the token is.
    mutating func readCatalogue(always: Bool) throws(WorkerFailure) {
        var read = search()
        if case .failure(let error) = read {
            try mend(after: error)
            read = search()
        }
        switch read {
        case .success(let found): findings = found
        case .failure(let error):
            if always { throw .call(error, doing: "searching the keys of token \"\(token.label)\"") }
        }
        send(always: always)
    }

    /// One probe; once more after mending the session when it failed.
    mutating func probe() throws(WorkerFailure) -> ProbeReport {
        let refusalBefore = session.refusal
        var report = session.probe()
        if !report.passed {
            if report.function == .generateRandom, report.code == UInt64(ReturnCode.randomNoRNG.rawValue) {
                throw .brokenGenerator
            }
            try mend(
                after: PKCS11Error(
                    function: report.function, code: ReturnCode(rawValue: UInt(truncatingIfNeeded: report.code))))
            report = session.probe()
        }
        if session.refusal != refusalBefore { send(always: false) }
        return report
    }

    /// Answers one request for a canary.
    mutating func prove(_ request: CanaryRequest) { control.send(canaries.serve(request)) }

    /// Without login a token shows no private key and calls that success; so what is found counts only when the login
    /// stood all the while. Absence is not unavailability.
    private func search() -> Result<KeyFindings, PKCS11Error> {
        if shared.login.canBeSeen {
            let login = shared.login.restore()
            guard login.isOK else { return .failure(login.error) }
        }
        let restorations = shared.login.restorations
        do {
            let (found, loggedIn) = try session.aesKeys(atMost: KeyCatalogue.mostKeys)
            guard loggedIn, shared.login.restorations == restorations else {
                return .failure(PKCS11Error(function: .findObjects, code: .userNotLoggedIn))
            }
            return .success(found)
        } catch {
            return .failure(error)
        }
    }

    private mutating func send(always: Bool) {
        var state = catalogue.update(findings, token: token.label)
        state.complaints += standingComplaints
        if let refusal = session.refusal {
            state.complaints.append(
                CatalogueComplaint(
                    label: "",
                    reason:
                        "token \"\(token.label)\" makes no session key (\(refusal)): probes only draw random bytes, "
                        + "and a refused ciphertext gets no second opinion from this HSM"))
        }
        guard always || state != lastSent else { return }
        lastSent = state
        // The lanes know a key before the node may name it.
        shared.keys.replace(with: state.places)
        control.send(.catalogue(state.entries, complaints: state.complaints))
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
