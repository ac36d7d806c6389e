// SPDX-License-Identifier: Apache-2.0
import Cluster
import NodeConfig

// From `[cluster]` to the settings of the room Cluster.

extension ClusterSettings {
    init(
        _ node: NodeIdentitySettings, _ table: ClusterTableSettings, xks: XKSSettings, connections: Int,
        unknownConnections: Int
    ) {
        self.init(
            node: node.id, site: node.site, listenHost: table.listen.host, listenPort: table.listen.port,
            advertise: table.advertise.description, seeds: table.seeds.map(\.description),
            tls: ClusterTLSFiles(table), maxForwardBytes: xks.maxBodyBytes,
            isForwarding: table.forwarding, connections: connections, unknownConnections: unknownConnections)
    }
}

extension ClusterTLSFiles {
    init(_ table: ClusterTableSettings) {
        self.init(ca: table.ca, certificate: table.certificate, key: table.key, refused: Set(table.refused))
    }
}

extension Translation {
    /// Reports what is wrong with the files of `[cluster]`.
    func checkCluster(_ diagnostics: inout Diagnostics) {
        guard let table = diagnostics.settings.cluster else { return }
        do throws(ClusterError) {
            let shown = try ClusterService.check(ClusterTLSFiles(table), node: diagnostics.settings.node.id)
            if let flaw = shown?.flaw(now: now) {
                diagnostics.warn(
                    flaw.setting, flaw.text, isFatal: flaw.isFatal, fix: "`claviger cluster issue` makes a new one")
            }
        } catch {
            let settings = [
                ("cluster.ca", table.ca), ("cluster.certificate", table.certificate), ("cluster.key", table.key),
            ]
            let setting = settings.first { $0.1 == error.file }?.0 ?? "cluster"
            diagnostics.report(setting, sentence(error.description), fix: error.mend)
        }
    }
}
