// SPDX-License-Identifier: Apache-2.0
import ClusterCertificates
import DevEnvironment
import Foundation
import LaneProtocol
import NodeConfig
import SecureMemory
import Testing
import X509

@Suite struct DevClusterTests {
    private let scratch: Scratch
    private let provisioner = RecordingProvisioner()

    init() throws { scratch = try Scratch() }

    private func prepare(
        _ options: DevOptions = DevOptions(nodes: 3, hsms: 2), haproxy: String? = "/bin/true", now: Date = Date(),
        state: String = "state"
    ) throws -> DevCluster {
        try DevCluster.prepare(
            options, state: DevState.open(scratch.path + "/" + state), module: "/lib/softhsm.so", haproxy: haproxy,
            now: now, provision: provisioner.provision)
    }

    private func settings(_ node: DevClusterNode) throws -> NodeSettings {
        try NodeConfiguration.load(file: node.configurationFile).settings
    }

    @Test func everyNodeHasADirectoryOfItsOwn() throws {
        let cluster = try prepare()
        let state = scratch.path + "/state"
        #expect(cluster.nodes.map(\.name) == ["node-1", "node-2", "node-3"])
        #expect(cluster.nodes.map(\.directory) == (1...3).map { "\(state)/node-\($0)" })
        for node in cluster.nodes {
            #expect(node.hsms.map(\.directory) == ["\(node.directory)/hsm-1", "\(node.directory)/hsm-2"])
            #expect(node.stateDirectory == node.directory + "/node")
            for name in ["", "/node", "/hsm-1", "/hsm-2/tokens"] {
                #expect(try scratch.mode("state/\(node.name)\(name)") == 0o700)
            }
            for name in ["claviger.toml", "\(node.name)-key.pem", "hsm-1/pin"] {
                #expect(try scratch.mode("state/\(node.name)/\(name)") == 0o600)
            }
        }
        #expect(try scratch.mode("state/haproxy.cfg") == 0o600)
        #expect(try scratch.mode("state/tls/server-pair.pem") == 0o600)
        #expect(try scratch.mode("state/cluster/ca-key.pem") == 0o600)
    }

    @Test func theTokensOfAllNodesHoldTheSameKeys() throws {
        _ = try prepare()
        let plans = provisioner.orders.map(\.plan)
        #expect(plans.count == 6)
        let first = try #require(plans.first)
        #expect(first.keys.count == 5)
        for plan in plans {
            #expect(plan.keys.map(\.label) == first.keys.map(\.label))
            #expect(plan.keys.map(\.value.bytes) == first.keys.map(\.value.bytes))
        }
        #expect(Set(plans.map(\.userPIN.text)).count == 6)
    }

    @Test func aNodeTakesTheConfigurationThatIsMade() throws {
        for options in [
            DevOptions(nodes: 3, hsms: 2), DevOptions(nodes: 2, hsms: 1, plaintext: true),
            DevOptions(nodes: 9, hsms: 1, mutualTLS: true), DevOptions(nodes: 2, hsms: 1, listen: "127.0.0.1:0"),
        ] {
            let cluster = try prepare(options)
            let all = try cluster.nodes.map(settings)
            #expect(all.map(\.node.id) == cluster.nodes.map(\.name))
            for (node, settings) in zip(cluster.nodes, all) {
                #expect(settings.node.stateDirectory == node.stateDirectory)
                #expect("\(settings.xks.listen)" == node.address)
                #expect("\(settings.control.listen)" == node.controlAddress)
                let table = try #require(settings.cluster)
                #expect(table.listen == table.advertise && "\(table.listen)" == node.clusterAddress)
                #expect(
                    table.seeds.map(\.description)
                        == cluster.nodes.filter { $0 != node }.map(\.clusterAddress))
                #expect(
                    settings.hsms.map(\.environment).compactMap { $0["SOFTHSM2_CONF"] }
                        == node.hsms.map(\.configurationFile))
                #expect(settings.keyStores == all[0].keyStores)
            }
            let addresses = all.flatMap { [$0.xks.listen, $0.control.listen, $0.cluster?.listen] }.compactMap(\.self)
            #expect(Set(addresses.map(\.port)).count == options.nodes * 3)
            #expect(!addresses.contains { $0.port == 0 })
        }
    }

    @Test func everyNodesCertificateIsOfTheClustersCA() throws {
        let cluster = try prepare()
        for node in cluster.nodes {
            let table = try #require(try settings(node).cluster)
            let authority = try Certificate(pemEncoded: String(contentsOfFile: table.ca, encoding: .utf8))
            let pair = CertificatePair(certificate: table.certificate, key: table.key)
            let certificate = try #require(try pair.load()).certificate
            #expect(authority.publicKey.isValidSignature(certificate.signature, for: certificate))
            let names = try #require(try certificate.extensions.subjectAlternativeNames)
            #expect(names.contains(.dnsName(NodeCertificateName.dnsName(of: node.name))))
        }
        // It is not the CA that clients trust.
        #expect(try scratch.content("state/cluster/ca.pem") != scratch.content("state/tls/ca.pem"))
    }

    @Test func theSecondStartChangesNothing() throws {
        let files = [
            "cluster/ca.pem", "node-1/node-1.pem", "node-3/node-3-key.pem", "node-2/claviger.toml", "haproxy.cfg",
            "tls/server-pair.pem", "keys",
        ]
        _ = try prepare()
        let before = try files.map { try scratch.content("state/" + $0) }
        _ = try prepare()
        #expect(try files.map { try scratch.content("state/" + $0) } == before)
        #expect(provisioner.orders.count == 6)
    }

    @Test func aClusterAndASingleNodeShareKeysAndCredential() throws {
        let single = try DevNode.prepare(
            DevOptions(hsms: 1), state: DevState.open(scratch.path + "/state"), module: "/lib/softhsm.so",
            provision: provisioner.provision
        ).credential.accessKeyID
        #expect(try prepare(DevOptions(nodes: 2, hsms: 1)).credential.accessKeyID == single)
        let values = provisioner.orders.map { $0.plan.keys.map(\.value.bytes) }
        #expect(values.count == 3 && Set(values).count == 1)
        try FileManager.default.removeItem(atPath: scratch.path + "/state/keys")
        // The tokens of the nodes count as well.
        try FileManager.default.removeItem(atPath: scratch.path + "/state/hsm-1")
        let failure = #expect(throws: DevError.self) { try prepare(DevOptions(nodes: 3, hsms: 1)) }
        #expect(failure?.description.contains("/state/node-2/hsm-1 hold") == true)
    }

    @Test func certificatesAreRenewedBeforeTheyEnd() throws {
        let now = Date()
        _ = try prepare(now: now)
        let authority = try scratch.content("state/cluster/ca.pem")
        let certificate = try scratch.content("state/node-1/node-1.pem")
        _ = try prepare(now: now.addingTimeInterval(800 * 86_400))
        #expect(try scratch.content("state/cluster/ca.pem") == authority)
        #expect(try scratch.content("state/node-1/node-1.pem") != certificate)
        _ = try prepare(now: now.addingTimeInterval(3_000 * 86_400))
        #expect(try scratch.content("state/cluster/ca.pem") != authority)
    }

    @Test func portsFollowThoseOfTheListeners() throws {
        let cluster = try prepare(DevOptions(nodes: 2, hsms: 1))
        #expect(cluster.endpoint == "127.0.0.1:8443")
        #expect(cluster.nodes.map(\.address) == ["127.0.0.1:8444", "127.0.0.1:8445"])
        #expect(cluster.nodes.map(\.controlAddress) == ["127.0.0.1:8481", "127.0.0.1:8482"])
        #expect(cluster.nodes.map(\.clusterAddress) == ["127.0.0.1:8491", "127.0.0.1:8492"])
        let free = try prepare(DevOptions(nodes: 2, hsms: 1, listen: "127.0.0.1:0"), state: "free")
        #expect(!free.endpoint.hasSuffix(":0") && free.endpoint.hasPrefix("127.0.0.1:"))
    }

    @Test(arguments: [
        DevOptions(nodes: 0), DevOptions(nodes: 10), DevOptions(nodes: 2, listen: "127.0.0.1"),
        DevOptions(nodes: 2, listen: "127.0.0.1:65535"), DevOptions(nodes: 2, listen: "127.0.0.1:-1"),
        DevOptions(nodes: 2, listen: "127.0.0.1:8480"), DevOptions(nodes: 2, controlListen: "127.0.0.1:65530"),
        DevOptions(nodes: 2, plaintext: true, mutualTLS: true),
    ])
    func optionsThatDoNotFitAreRefused(options: DevOptions) throws {
        #expect(throws: DevError.self) { try prepare(options) }
        #expect(provisioner.orders.isEmpty)
    }

    // MARK: What it says

    private struct Line: Decodable {
        struct Node: Decodable, Equatable {
            var name: String
            var pid: Int
            var url, control_url, cluster_address, config, state_dir: String
        }
        var url, prefix, access_key_id, secret, ca, control_url, state_directory: String
        var worker_pids: [Int]
        var nodes: [Node]
        var haproxy_pid: Int?
        var haproxy_config: String?
    }

    private func line(_ announcement: DevAnnouncement) throws -> Line {
        let text = try announcement.jsonLine()
        #expect(!text.contains("\n"))
        return try JSONDecoder().decode(Line.self, from: Data(text.utf8))
    }

    @Test func theJSONLineNamesEveryNode() throws {
        let cluster = try prepare(DevOptions(nodes: 2, hsms: 1))
        let line = try line(cluster.announcement(pids: [11, 12], balancerPID: 13))
        #expect(line.url == "https://127.0.0.1:8443" && line.control_url == "http://127.0.0.1:8481")
        #expect(line.access_key_id == cluster.credential.accessKeyID && line.worker_pids.isEmpty)
        #expect(line.haproxy_pid == 13 && line.haproxy_config == scratch.path + "/state/haproxy.cfg")
        #expect(
            line.nodes.last
                == .init(
                    name: "node-2", pid: 12, url: "https://127.0.0.1:8445", control_url: "http://127.0.0.1:8482",
                    cluster_address: "127.0.0.1:8492", config: scratch.path + "/state/node-2/claviger.toml",
                    state_dir: scratch.path + "/state/node-2/node"))
    }

    @Test func withoutHAProxyTheNodesStandForThemselves() throws {
        let cluster = try prepare(DevOptions(nodes: 2, hsms: 1, plaintext: true), haproxy: nil)
        #expect(!scratch.exists("state/haproxy.cfg"))
        let announcement = cluster.announcement(pids: [11, 12], balancerPID: nil)
        let line = try line(announcement)
        #expect(line.url == "http://127.0.0.1:8444" && line.haproxy_pid == nil && line.haproxy_config == nil)
        #expect(announcement.text().contains("HAProxy is not installed"))
        #expect(announcement.text().contains("http://127.0.0.1:8445"))
    }

    @Test func theTextSaysHowToTryIt() throws {
        let cluster = try prepare(DevOptions(nodes: 2, hsms: 1))
        let announcement = cluster.announcement(pids: [11, 12], balancerPID: 13)
        let text = announcement.text()
        let file = scratch.path + "/state/node-2/claviger.toml"
        for part in [
            "https://127.0.0.1:8443/example/uri/path/prefix/kms/xks/v1", "kill -9 12", announcement.curlCommand(),
            "claviger cluster status --config '\(file)'", "claviger serve --config '\(file)'",
            "http://127.0.0.1:8481/cluster/health",
        ] {
            #expect(text.contains(part), "\(part)")
        }
    }

    @Test func aNodeIsReadyWhenItServesAndSeesAllOthers() {
        func whole(_ status: Int, _ states: [String]) -> Bool {
            let nodes = states.map { #"{"name":"n","liveness":"\#($0)"}"# }.joined(separator: ",")
            return ClusterReadiness.isWhole(readyz: status, health: Array(#"{"nodes":[\#(nodes)]}"#.utf8), nodes: 2)
        }
        #expect(whole(200, ["alive", "alive"]))
        #expect(whole(200, ["alive", "alive", "dead"]))
        #expect(!whole(503, ["alive", "alive"]))
        #expect(!whole(200, ["alive"]))
        #expect(!whole(200, ["alive", "suspect"]))
        #expect(!whole(200, ["alive", "left"]))
        #expect(!ClusterReadiness.isWhole(readyz: 200, health: Array("no JSON".utf8), nodes: 0))
    }
}
