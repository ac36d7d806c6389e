// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import Glibc
import HSMPool
import HostLimits
import LaneProtocol
import Logging
import NIOCore
import NodeConfig
import PrivateFiles
import Routing
import XKSListener
import XKSProtocol
import XKSService

/// A configuration with everything that it points at, read: what a node starts by, and what a reload goes over to.
struct NodePlan: Sendable {
    let configuration: NodeConfiguration
    let pool: PoolSettings
    let keyStores: [PlannedKeyStore]
    let listener: ListenerConfiguration
    let control: PlannedControl
    /// What the listeners may open beside one another.
    let descriptors: DescriptorPlan
    /// What those who have not authenticated may make the listeners hold.
    let memory: MemoryPlan
    /// `nil` where nothing is traced.
    let tracing: PlannedTracing?
    /// By HSM: by what its PIN is known again without being kept.
    let pinMarks: [String: PINMark]
    /// What clients or peers will not accept of it: a check fails for it, a node takes it. A line each.
    let fatalWarnings: [String]

    var settings: NodeSettings { configuration.settings }

    /// Digests of the policies, by the path prefix of their key store.
    var policies: [String: String] {
        keyStores.reduce(into: [:]) { $0[$1.keyStore.pathPrefix] = $1.policy?.digest }
    }

    /// Throws `ConfigurationProblems` with all that is wrong. Blocks: secrets may come from commands.
    init(_ configuration: NodeConfiguration, secrets: SecretReader, logger: Logger) throws {
        let (plan, diagnostics) = Self.examine(configuration, secrets: secrets)
        for warning in diagnostics.warnings { logger.warning("configuration", metadata: ["warning": "\(warning)"]) }
        guard let plan else {
            throw diagnostics.error ?? ConfigurationProblems(file: configuration.file, problems: [])
        }
        self = plan
    }

    /// Reads what the configuration points at, for whoever starts a node by it and for whoever only checks it. Blocks:
    /// secrets may come from commands.
    ///
    /// - Returns: the plan, unless something is wrong, and what there is to say.
    static func examine(
        _ configuration: NodeConfiguration, secrets: SecretReader
    ) -> (plan: NodePlan?, diagnostics: Diagnostics) {
        let settings = configuration.settings
        // Before the PINs are read: of a file that is replaced meanwhile the older state is remembered.
        let pinMarks = PINMark.marks(of: settings)
        let translation = Translation(secrets: secrets.readAll(settings.secretSources), now: Int64(time(nil)))
        var diagnostics = Diagnostics(configuration)
        var pool = translation.pool(&diagnostics)
        let keyStores = translation.keyStores(&diagnostics)
        for index in pool.members.indices {
            pool.members[index].offered = keyStores.offered(by: pool.members[index].name)
        }
        let listener = translation.listener(&diagnostics)
        let control = translation.control(&diagnostics)
        let descriptors = translation.descriptors(&diagnostics)
        let memory = descriptors.flatMap { translation.memory(for: $0, &diagnostics) }
        translation.checkStateDirectory(&diagnostics)
        translation.warnOfRoot(&diagnostics)
        translation.checkCluster(&diagnostics)
        let tracing = translation.tracing(&diagnostics)
        guard diagnostics.error == nil, var listener, let control, let descriptors, let memory else {
            return (nil, diagnostics)
        }
        listener.limits.connections = descriptors.xks
        listener.limits.unauthenticatedBytes = memory.xks.bytes
        listener.limits.connectionBytes = memory.xks.connectionBytes
        let plan = NodePlan(
            configuration: configuration, pool: pool, keyStores: keyStores, listener: listener, control: control,
            descriptors: descriptors, memory: memory, tracing: tracing, pinMarks: pinMarks,
            fatalWarnings: diagnostics.fatalWarnings)
        return (plan, diagnostics)
    }

    private init(
        configuration: NodeConfiguration, pool: PoolSettings, keyStores: [PlannedKeyStore],
        listener: ListenerConfiguration, control: PlannedControl, descriptors: DescriptorPlan, memory: MemoryPlan,
        tracing: PlannedTracing?, pinMarks: [String: PINMark], fatalWarnings: [String]
    ) {
        self.fatalWarnings = fatalWarnings
        self.configuration = configuration
        self.pool = pool
        self.keyStores = keyStores
        self.listener = listener
        self.control = control
        self.descriptors = descriptors
        self.memory = memory
        self.tracing = tracing
        self.pinMarks = pinMarks
    }
}

extension Translation {
    /// Reports who else could put a state directory of their own in place of the node's.
    func checkStateDirectory(_ diagnostics: inout Diagnostics) {
        guard let flaw = DirectoryChain.flaw(of: diagnostics.settings.node.stateDirectory) else { return }
        diagnostics.report("node.state_dir", flaw.message, fix: flaw.mend)
    }
}

extension Translation {
    /// What root makes in a service's state directory, the service cannot use afterwards.
    func warnOfRoot(_ diagnostics: inout Diagnostics) {
        let directory = diagnostics.settings.node.stateDirectory
        guard geteuid() == 0, let owner = DirectoryChain.owner(of: directory), owner != 0 else { return }
        diagnostics.warn(
            "node.state_dir",
            "this node runs as root, and \(directory) belongs to \(UserName.shown(owner)): it will leave files there that "
                + "\(UserName.plain(owner)) cannot use",
            isFatal: false, fix: "run it as \(UserName.plain(owner))")
    }

    /// Reports where the descriptors that this process may have open are too few for a connection, and warns where they are
    /// too few for `xks.max_connections`.
    func descriptors(_ diagnostics: inout Diagnostics) -> DescriptorPlan? {
        let settings = diagnostics.settings
        let demand = DescriptorPlan.Demand(
            sessions: settings.hsms.map(\.sessions), eventLoops: settings.node.eventLoops ?? System.coreCount,
            isClustered: settings.cluster != nil, xksConnections: settings.xks.maxConnections)
        do throws(TooFewDescriptors) {
            let plan = try DescriptorPlan(demand, limit: HostLimits.descriptors)
            if plan.xks < demand.xksConnections {
                diagnostics.warn(
                    "xks.max_connections",
                    "this process may have \(plan.limit) descriptors open (ulimit -n, LimitNOFILE= of the unit), so that "
                        + "at most \(plan.xks) connections are taken instead of \(demand.xksConnections)",
                    isFatal: false, fix: "raise the limit")
            }
            return plan
        } catch {
            diagnostics.reportOfHost(
                "xks.max_connections", error.description, fix: "raise the limit, or lower hsm.sessions")
            return nil
        }
    }
}

extension Translation {
    /// How the memory for all that is not authenticated is divided; nil, and reported, where it is too little.
    func memory(for descriptors: DescriptorPlan, _ diagnostics: inout Diagnostics) -> MemoryPlan? {
        let settings = diagnostics.settings
        do throws(MemoryPlan.Shortage) {
            return try MemoryPlan(
                MemoryPlan.Demand(
                    unauthenticatedBytes: settings.node.maxUnauthenticatedBytes,
                    controlConnections: descriptors.control, adminConnections: descriptors.admin,
                    unknownPeers: descriptors.unknownPeers, xksConnections: descriptors.xks,
                    xksPerAddress: settings.xks.maxUnauthenticatedPerAddress,
                    xksHeaderBytes: settings.xks.maxHeaderBytes, xksBodyBytes: settings.xks.maxBodyBytes,
                    hasTLS: settings.xks.protection != .plaintext,
                    controlHasTLS: settings.control.protection != nil))
        } catch {
            diagnostics.report(
                "node.max_unauthenticated_bytes",
                "is \(error.given), less than the listeners need at least: \(error.sum)",
                fix: "raise it to \(error.needed) or more, or lower max_header_bytes or max_body_bytes of [xks]")
            return nil
        }
    }
}

extension NodePlan {
    /// What the service works by.
    ///
    /// - Parameter hsms: the pool's numbers for names of HSMs; `nil` names all.
    func service(hsms: ([String]?) -> HSMSet) -> ServiceSettings {
        let xks = settings.xks
        var limits = xks.limits
        // A record of the audit log has all that a later policy may ask for.
        limits.keepsUnknownFields =
            settings.audit != nil || keyStores.contains { $0.policy?.policy.asksForUnknownFields == true }
        return ServiceSettings(
            keyStores: keyStores.map { store in
                ServedKeyStore(
                    keyStore: store.keyStore, verifier: store.verifier, hsms: hsms(store.hsms),
                    hsmNames: store.hsms.map(Set.init), foreignForm: store.foreignForm, policy: store.policy?.policy,
                    quota: store.quota, auditsSuccesses: store.auditsSuccesses)
            },
            limits: limits,
            deadline: nanoseconds(xks.requestDeadline), version: Product.name, tracing: tracing?.requests)
    }
}

extension XKSSettings {
    /// How large the parts of a request may be.
    var limits: XKSLimits { XKSLimits(dataBytes: maxPlaintextBytes, additionalDataBytes: maxAADBytes) ?? .standard }
}
