// SPDX-License-Identifier: Apache-2.0
import AccessControl
import HSMPool
import LaneProtocol
import NodeConfig
import Quota
import Routing
import SecureMemory
import SigV4
import XKSListener
import XKSProtocol
import XKSService

// From the settings of the configuration file to those of the rooms. Each problem that only shows here (a secret that
// cannot be read, a certificate that does not fit) is reported with the line of the setting that points at it.

/// Collects what is wrong, so that all of it can be reported at once.
struct Diagnostics {
    let configuration: NodeConfiguration
    private(set) var problems: [ConfigurationProblem] = []
    private var reservations: [Reservation] = []
    /// What is no matter of the configuration, and a person should know.
    var notes: [String] = []
    /// What was found and is as it should be, for people.
    var found: [String] = []
    /// Those that the listeners for KMS and for people show, once they were read.
    var certificate: ServerCertificate?
    var controlCertificate: ServerCertificate?

    private struct Reservation {
        var problem: ConfigurationProblem
        /// Clients, or peers, will not accept it. A node starts all the same, and says so; a check fails.
        var isFatal: Bool
    }

    /// Warnings, each with where it belongs and the mend.
    var reserved: [ConfigurationProblem] { reservations.map(\.problem) }

    /// A line each, with file, line, setting and mend.
    var warnings: [String] { reserved.map { $0.rendered(file: configuration.file) } }

    /// Those of them for which a check fails.
    var fatalWarnings: [String] {
        reservations.filter(\.isFatal).map { $0.problem.rendered(file: configuration.file) }
    }

    init(_ configuration: NodeConfiguration) { self.configuration = configuration }

    var settings: NodeSettings { configuration.settings }

    mutating func report(_ path: String, _ message: String, fix: String) {
        problems.append(configuration.problem(at: path, message, fix: fix))
    }

    /// What this host does not have.
    mutating func reportOfHost(_ path: String, _ message: String, fix: String) {
        var problem = configuration.problem(at: path, message, fix: fix)
        problem.isOfHost = true
        problems.append(problem)
    }

    mutating func warn(_ path: String, _ message: String, isFatal: Bool, fix: String) {
        reservations.append(
            Reservation(problem: configuration.problem(at: path, message, fix: fix), isFatal: isFatal))
    }

    /// - Parameter table: that names the files.
    mutating func report(_ error: TLSMaterialError, among files: TLSFiles, in table: String) {
        report("\(table).\(error.setting(among: files))", error.problem, fix: error.mend)
    }

    /// Counts as problems what a node would only warn of, and what keeps clients or peers from it.
    mutating func takeFatalWarnings() {
        problems += reservations.filter(\.isFatal).map(\.problem)
        reservations.removeAll(where: \.isFatal)
    }

    /// Everything found, as one error; `nil` when there is nothing.
    var error: ConfigurationProblems? {
        let sorted = problems.sorted { ($0.line ?? 0) < ($1.line ?? 0) }
        return problems.isEmpty ? nil : ConfigurationProblems(file: configuration.file, problems: sorted)
    }
}

/// A key store of the configuration, with its secrets read. Its HSMs have names; the pool gives them numbers.
struct PlannedKeyStore: Sendable {
    var keyStore: KeyStore
    var verifier: SigV4Verifier
    /// `nil` for all.
    var hsms: [String]?
    var foreignForm: AADForm
    var policy: PlannedPolicy?
    /// `nil` for none.
    var quota: QuotaLimits?
    var auditsSuccesses = true
}

extension [PlannedKeyStore] {
    /// The keys of an HSM that may be asked for.
    func offered(by hsm: String) -> OfferedKeys {
        filter { $0.hsms?.contains(hsm) ?? true }.reduce(OfferedKeys()) { $0.union($1.keyStore.offered) }
    }
}

/// Reads the secrets and certificates that the configuration names, and makes the rooms' settings.
struct Translation {
    let secrets: SecretBatch
    /// Unix seconds, for the validity of certificates.
    let now: Int64
    /// Nothing that the file names is opened.
    var isOffline = false

    // MARK: HSMs

    func pool(_ diagnostics: inout Diagnostics) -> PoolSettings {
        let xks = diagnostics.settings.xks
        let sealed = SealedPaths(of: diagnostics.settings, file: diagnostics.configuration.file)
        var members: [PoolMember] = []
        for (index, hsm) in diagnostics.settings.hsms.enumerated() {
            var pin: SecretBytes?
            if let source = hsm.pin { pin = read(source, "hsm[\(index)].pin", &diagnostics) }
            members.append(
                PoolMember(
                    worker: WorkerConfiguration(
                        name: hsm.name, module: hsm.module, token: selector(hsm.token), pin: pin,
                        initializeArguments: hsm.initializeArguments,
                        profile: hsm.profile == "auto" ? nil : GCMProfile(named: hsm.profile),
                        lanes: UInt16(clamping: hsm.sessions),
                        catalogueInterval: milliseconds(hsm.catalogueInterval),
                        probeInterval: milliseconds(hsm.probeInterval), sandbox: SandboxSettings(hsm.sandbox)),
                    environment: hsm.environment,
                    traits: HSMTraits(
                        stuckAfter: nanoseconds(hsm.stuckAfter), tier: hsm.tier, weight: hsm.weight, depth: hsm.depth),
                    sessionLimit: hsm.sessionLimit, sealed: sealed))
        }
        return PoolSettings(
            members: members,
            limits: PoolLimits(
                requestTime: nanoseconds(xks.requestDeadline), longestAttempt: nanoseconds(xks.attemptDeadline),
                waiting: xks.maxRequestsInFlight),
            executable: ownExecutable(), endsOrphans: true)
    }

    private func selector(_ token: NodeConfig.HSMSettings.Token) -> TokenSelector {
        switch token {
        case .label(let label): .label(label)
        case .serial(let serial): .serial(serial)
        case .slot(let slot): .slot(slot)
        }
    }

    // MARK: Key stores

    func keyStores(_ diagnostics: inout Diagnostics) -> [PlannedKeyStore] {
        diagnostics.settings.keyStores.indices.compactMap { keyStore($0, &diagnostics) }
    }

    private func keyStore(_ index: Int, _ diagnostics: inout Diagnostics) -> PlannedKeyStore? {
        let settings = diagnostics.settings.keyStores[index]
        let path = "keystore[\(index)]"
        var credentials: [Credential] = []
        for (position, credential) in settings.credentials.enumerated() {
            let location = "\(path).credentials[\(position)]"
            guard let secret = read(credential.secret, "\(location).secret", &diagnostics) else { continue }
            do throws(CredentialError) {
                credentials.append(try Credential(accessKeyID: credential.accessKeyID, secret: secret))
            } catch {
                diagnostics.report(
                    location, error.description, fix: "make a new one with claviger keystore new-credential")
            }
        }
        var policy: PlannedPolicy?
        if let file = settings.policy, !isOffline {
            policy = self.policy(file, "\(path).policy", &diagnostics)
            guard policy != nil else { return nil }
        }
        guard credentials.count == settings.credentials.count else { return nil }
        do {
            return PlannedKeyStore(
                keyStore: try KeyStore(pathPrefix: settings.pathPrefix, keys: settings.keys.map(pattern)),
                verifier: try SigV4Verifier(credentials: credentials, allowedRegions: settings.regions),
                hsms: settings.hsms, foreignForm: settings.aad == .digest ? .digest : .specification, policy: policy,
                quota: quota(settings, path, &diagnostics), auditsSuccesses: settings.auditsSuccesses)
        } catch {
            diagnostics.report(path, "\(error)", fix: "correct this key store")
            return nil
        }
    }

    private func quota(
        _ settings: KeyStoreSettings, _ path: String, _ diagnostics: inout Diagnostics
    ) -> QuotaLimits? {
        let rate = { (rate: KeyStoreSettings.Rate) in QuotaRate(perSecond: rate.perSecond, burst: rate.burst) }
        let limits = QuotaLimits(store: settings.rate.map(rate), principal: settings.principalRate.map(rate))
        if let all = settings.rate, let each = settings.principalRate, each.perSecond > all.perSecond {
            diagnostics.warn(
                "\(path).principal_requests_per_second",
                "\(each.perSecond) for each principal is more than requests_per_second = \(all.perSecond) for all",
                isFatal: false, fix: "lower it, or remove it")
        }
        return limits.isNone ? nil : limits
    }

    private func pattern(_ key: KeyStoreSettings.KeySelector) throws(AccessControlError) -> KeyPattern {
        switch key {
        case .label(let label): try KeyPattern(label)
        case .glob(let glob): .glob(try Glob(glob))
        case .named(let id, let label): try KeyPattern(externalKeyID: id, label: label)
        }
    }

    // MARK: Listener

    func listener(_ diagnostics: inout Diagnostics) -> ListenerConfiguration? {
        let xks = diagnostics.settings.xks
        advise(&diagnostics)
        guard let transport = transport(xks.protection, &diagnostics) else { return nil }
        var configuration = ListenerConfiguration(
            addresses: [.init(host: xks.listen.host, port: xks.listen.port)], transport: transport)
        configuration.limits.headerBytes = xks.maxHeaderBytes
        configuration.limits.bodyBytes = xks.maxBodyBytes
        configuration.limits.connections = xks.maxConnections
        configuration.limits.requestsInFlight = xks.maxRequestsInFlight
        configuration.limits.unauthenticatedPerAddress = xks.maxUnauthenticatedPerAddress
        configuration.balancers = xks.proxyProtocolFrom
        configuration.timeouts.handshake = Int(milliseconds(xks.handshakeTimeout))
        configuration.timeouts.header = Int(milliseconds(xks.headerTimeout))
        configuration.timeouts.body = Int(milliseconds(xks.bodyTimeout))
        configuration.timeouts.idle = Int(milliseconds(xks.idleTimeout))
        configuration.tcp.keepAliveIdle = Int(milliseconds(xks.keepalive.idle) / 1_000)
        configuration.tcp.keepAliveInterval = Int(milliseconds(xks.keepalive.interval) / 1_000)
        configuration.tcp.keepAliveCount = xks.keepalive.count
        return configuration
    }

    /// Warns of settings that serve nobody well.
    func advise(_ diagnostics: inout Diagnostics) {
        for advice in diagnostics.settings.xks.advice {
            diagnostics.warn(advice.path, advice.message, isFatal: false, fix: "choose less")
        }
        adviseOnControl(&diagnostics)
        adviseOnTracing(&diagnostics)
    }

    private func transport(
        _ protection: XKSSettings.Protection, _ diagnostics: inout Diagnostics
    ) -> ListenerTransport? {
        guard case .tls(let certificate, let key, let clients) = protection else { return .plaintext }
        let files = TLSFiles(
            certificate: certificate, key: key, clientAuthority: clients?.ca, clientNames: clients?.names ?? [])
        do throws(TLSMaterialError) {
            let material = try TLSMaterial.load(files, now: now)
            for warning in material.warnings {
                diagnostics.warn(
                    warning.file == clients?.ca ? "xks.client_ca" : "xks.certificate", warning.description,
                    isFatal: warning.isFatalForClients, fix: "renew it")
            }
            diagnostics.certificate = material.server
            if diagnostics.settings.xks.showsItsCertificateToKMS {
                for flaw in material.server?.flaws ?? [] {
                    diagnostics.warn(
                        "xks.certificate", "\(certificate): the certificate \(flaw)", isFatal: false,
                        fix: "replace the certificate")
                }
            }
            return .tls(material)
        } catch {
            diagnostics.report(error, among: files, in: "xks")
            return nil
        }
    }

    // MARK: Secrets and units

    func read(_ source: SecretSource, _ path: String, _ diagnostics: inout Diagnostics) -> SecretBytes? {
        do throws(SecretProblem) {
            return try secrets.read(source)
        } catch {
            diagnostics.report(path, error.message, fix: error.fix)
            return nil
        }
    }
}

/// Without the full stop at its end: who shows a problem adds the mend to it.
func sentence(_ text: String) -> String { text.hasSuffix(".") ? String(text.dropLast()) : text }

/// Whole milliseconds, saturating.
private func milliseconds(_ duration: Duration) -> UInt32 { UInt32(clamping: nanoseconds(duration) / 1_000_000) }

/// Nanoseconds, saturating; a negative duration counts as none.
func nanoseconds(_ duration: Duration) -> UInt64 {
    let (seconds, attoseconds) = duration.components
    let (whole, overflow) = UInt64(clamping: seconds).multipliedReportingOverflow(by: 1_000_000_000)
    return overflow ? .max : whole &+ UInt64(clamping: attoseconds / 1_000_000_000)
}
