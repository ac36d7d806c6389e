// SPDX-License-Identifier: Apache-2.0
import NodeConfig
import TLSFacts
import Testing

@Suite struct ClusterTableTests {
    /// One key per line, so that tests can replace them.
    private static let table = """
        [cluster]
        listen = "10.0.0.1:7444"
        advertise = "fra-1.example.com:7444"
        seeds = ["iad-1.example.com:7443", "10.0.0.2:7443", "[2001:db8::1]:7443"]
        ca = "cluster/ca.pem"
        certificate = "/c.pem"
        key = "/k.pem"
        forwarding = false
        refused = ["3FA107", "3f:a1:07", "0b"]

        """

    /// The good file with the table, one of its lines replaced or (`nil`) removed.
    private func file(_ line: String = "", _ other: String? = "") -> String {
        let lines = Self.table.split(separator: "\n").compactMap { each in
            each.hasPrefix(line) && !line.isEmpty ? other : String(each)
        }
        return goodFile + lines.joined(separator: "\n") + "\n"
    }

    @Test func everyKeyIsRead() throws {
        let settings = try parse(file())
        #expect(
            settings.cluster
                == ClusterTableSettings(
                    listen: ListenAddress(host: "10.0.0.1", port: 7444),
                    advertise: ListenAddress(host: "fra-1.example.com", port: 7444),
                    seeds: [
                        ListenAddress(host: "iad-1.example.com", port: 7443),
                        ListenAddress(host: "10.0.0.2", port: 7443), ListenAddress(host: "2001:db8::1", port: 7443),
                    ],
                    ca: "/etc/claviger/cluster/ca.pem", certificate: "/c.pem", key: "/k.pem", forwarding: false,
                    refused: try ["3f:a1:07", "0b"].map { try #require(CertificateSerial($0)) }))
    }

    @Test func whatIsLeftOutHasItsDefault() throws {
        let cluster = try parse(
            goodFile + """
                [cluster]
                advertise = "127.0.0.1:1"
                ca = "/a"
                certificate = "/c"
                key = "/k"
                """
        ).cluster
        #expect(cluster?.listen == ListenAddress(host: "0.0.0.0", port: 7443))
        #expect(cluster?.seeds == [] && cluster?.forwarding == true && cluster?.refused == [])
    }

    @Test func theDelayOfADrainFollowsTheCluster() throws {
        #expect(try parse(file()).node.drainDelay == .seconds(3))
        let own = "id = \"fra-1\"\ndrain_delay = \"250ms\""
        #expect(try parse(file().replacing("id = \"fra-1\"", with: own)).node.drainDelay == .milliseconds(250))
        let none = "id = \"fra-1\"\ndrain_delay = \"0s\""
        #expect(try parse(file().replacing("id = \"fra-1\"", with: none)).node.drainDelay == .zero)
        #expect(try parse(goodFile.replacing("id = \"fra-1\"", with: own)).node.drainDelay == .milliseconds(250))
        let long = problems(goodFile.replacing("id = \"fra-1\"", with: "id = \"fra-1\"\ndrain_delay = \"301s\""))
        #expect(long.map(\.path) == ["node.drain_delay"])
        #expect(long.first?.message == "must be between 0s and 5m")
    }

    @Test(arguments: [
        ("listen", "listen = \"7443\"", "cluster.listen", "is not an address and a port"),
        ("listen", "listen = \"127.0.0.1:8443\"", "cluster.listen", "is the address of the XKS listener"),
        ("listen", "listen = \"0.0.0.0:8080\"", "cluster.listen", "overlaps with the address of the control listener"),
        ("listen", "listen = \"[::]:8443\"", "cluster.listen", "overlaps with the address of the XKS listener"),
        ("advertise", "advertise = \"0.0.0.0:7443\"", "cluster.advertise", "every address of this node"),
        ("advertise", "advertise = \"[::]:7443\"", "cluster.advertise", "every address of this node"),
        ("advertise", "advertise = \"fra-1:0\"", "cluster.advertise", "has port 0"),
        ("advertise", "advertise = \"fra-1\"", "cluster.advertise", "is not an address and a port"),
        ("advertise", "advertise = 7443", "cluster.advertise", "must be a string"),
        ("refused", "refused = [\"xyz\"]", "cluster.refused[0]", "is no serial number of a certificate"),
        ("refused", "refused = [3]", "cluster.refused[0]", "must be a string, and is an integer"),
        ("seeds", "seeds = \"a:1\"", "cluster.seeds", "must be a list, and is a string"),
        ("seeds", "seeds = [\"a:1\", \"b\"]", "cluster.seeds[1]", "= \"b\": is not an address and a port"),
        ("seeds", "seeds = [\"a:1\", \"a:1\"]", "cluster.seeds[1]", "stands in the list twice"),
        ("seeds", "seeds = [\"0.0.0.0:1\"]", "cluster.seeds[0]", "every address of this node"),
        ("seeds", "seeds = [\"a:0\"]", "cluster.seeds[0]", "has port 0"),
        ("seeds", "seeds = [1]", "cluster.seeds[0]", "must be a string"),
        ("ca", "ca = \"\"", "cluster.ca", "is not a path"),
        ("forwarding", "forwarding = \"no\"", "cluster.forwarding", "must be true or false"),
        ("forwarding", "forward = true", "cluster.forward", "did you mean `forwarding`?"),
    ])
    func aMistakeIsNamed(line: String, wrong: String, path: String, says: String) throws {
        let found = problems(file(line + " =", wrong))
        #expect(found.map(\.path) == [path])
        let text = try #require(found.first).rendered(file: "f")
        #expect(text.contains(says), "\(text)")
        #expect(found.first?.line != nil)
    }

    @Test(arguments: ["advertise", "ca", "certificate", "key"])
    func whatIsMissingIsNamed(key: String) {
        let found = problems(file(key + " =", nil))
        #expect(found.map(\.path) == ["cluster.\(key)"])
        #expect(found.first?.message == "is missing")
        #expect(found.first?.fix.hasPrefix("write \(key) = \"") == true)
    }

    @Test func listenersWithPortsOfTheSystemsChoiceDoNotClash() throws {
        let text = file("listen =", "listen = \"127.0.0.1:0\"").replacing(
            "listen = \"127.0.0.1:8443\"", with: "listen = \"127.0.0.1:0\"")
        #expect(problems(text + "[control]\nlisten = \"127.0.0.1:0\"\n").isEmpty)
    }
}
