// SPDX-License-Identifier: Apache-2.0
import Glibc
import HSMPool
import LaneProtocol
import Logging
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

    var settings: NodeSettings { configuration.settings }

    /// Throws `ConfigurationProblems` with all that is wrong. Blocks: secrets may come from commands.
    init(_ configuration: NodeConfiguration, secrets: SecretReader, logger: Logger) throws {
        let translation = Translation(
            secrets: secrets.readAll(configuration.settings.secretSources), now: Int64(time(nil)))
        var diagnostics = Diagnostics(configuration)
        var pool = translation.pool(&diagnostics)
        keyStores = translation.keyStores(&diagnostics)
        for index in pool.members.indices {
            pool.members[index].offered = keyStores.offered(by: pool.members[index].name)
        }
        self.pool = pool
        let listener = translation.listener(&diagnostics)
        translation.checkStateDirectory(&diagnostics)
        translation.warnOfRoot(&diagnostics)
        translation.checkCluster(&diagnostics)
        for warning in diagnostics.warnings { logger.warning("configuration", metadata: ["warning": "\(warning)"]) }
        if let error = diagnostics.error { throw error }
        guard let listener else { throw ConfigurationProblems(file: configuration.file, problems: []) }
        self.configuration = configuration
        self.listener = listener
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
}

extension NodePlan {
    /// What the service works by.
    ///
    /// - Parameter hsms: the pool's numbers for names of HSMs; `nil` names all.
    func service(hsms: ([String]?) -> HSMSet) -> ServiceSettings {
        let xks = settings.xks
        return ServiceSettings(
            keyStores: keyStores.map { store in
                ServedKeyStore(
                    keyStore: store.keyStore, verifier: store.verifier, hsms: hsms(store.hsms),
                    hsmNames: store.hsms.map(Set.init), foreignForm: store.foreignForm)
            },
            limits: XKSLimits(dataBytes: xks.maxPlaintextBytes, additionalDataBytes: xks.maxAADBytes) ?? .standard,
            deadline: nanoseconds(xks.requestDeadline), version: Product.name)
    }
}
