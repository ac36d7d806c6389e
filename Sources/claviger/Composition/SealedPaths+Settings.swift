// SPDX-License-Identifier: Apache-2.0
import Glibc
import LaneProtocol
import NodeConfig
import StatusVocabulary

extension SealedPaths {
    /// What of a node's files no library has any business with: its state, its configuration, and every file that holds a
    /// key, a PIN or a secret. The worker has its PIN from the node.
    ///
    /// - Parameter file: the configuration file.
    init(of settings: NodeSettings, file: String) {
        var paths = [file]
        if case .tls(_, let key, _) = settings.xks.protection { paths.append(key) }
        if let cluster = settings.cluster { paths.append(cluster.key) }
        if let control = settings.control.protection { paths.append(control.key) }
        for case .file(let path) in settings.secretSources { paths.append(path) }
        // All of it: what systemd has decrypted for the unit.
        if let directory = getenv("CREDENTIALS_DIRECTORY") { paths.append(String(cString: directory)) }
        if let audit = settings.audit { paths.append(audit.directory(under: settings.node.stateDirectory)) }
        self.init(paths: paths, fileDirectories: [settings.node.stateDirectory])
    }
}

extension SandboxSettings {
    init(_ settings: HSMSettings.Sandbox) {
        let mode: Compartment.Mode =
            switch settings.mode {
            case .standard: .standard
            case .strict: .strict
            case .off: .off
            }
        self.init(mode: mode, readable: settings.readable, writable: settings.writable, ports: settings.ports)
    }
}
