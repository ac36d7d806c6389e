// SPDX-License-Identifier: Apache-2.0
import Conditions
import Foundation
import Glibc
import StatusVocabulary
import Testing

/// Whatever befalls HSMs. Two nodes with the same tokens: node-1 suffers, node-2 has to say it.
struct HSMTroubles {
    private let faults: [Faults]
    private let pair: Pair
    private let scratch: Scratch
    /// An HSM that node-1 does not have yet.
    private let third: [String]

    init() throws {
        scratch = try Scratch()
        faults = try Pair.names.map { _ in try Faults() }
        var third: [String] = []
        let configurations = try faults.map { faults in
            var configuration = try ServeConfiguration(with: faults)
            configuration.set("attempt_deadline", "\"1s\"", in: "[xks]")
            configuration.setInAll("[[hsm]]", "stuck_after", "\"20s\"")
            configuration.setInAll("[[hsm]]", "probe_interval", "\"1s\"")
            let table = configuration.removeTable("[[hsm]]", number: 2)
            // Each node's HSMs have their own faults.
            if third.isEmpty { third = table }
            return configuration
        }
        self.third = third
        pair = try Pair(configurations, hsms: 2)
    }

    private func trouble(
        _ code: ConditionCode, _ hsm: String? = nil, severity: Condition.Severity? = nil
    ) -> Trouble {
        Trouble(code, of: "node-1", hsm.map { "hsm \($0)" } ?? "", severity: severity, by: ["node-2"])
    }

    private func begins(_ troubles: [Trouble]) throws { for trouble in troubles { try pair.begins(trouble) } }

    func run() throws {
        let troubles = try overload() + tooSlow() + outOfOrder() + lost() + drained()
        try pair.end(troubles)
        try pair.whole(Pair.names)
    }

    /// A call takes 200 ms, one at a time, on all HSMs of both nodes: neither has room for the other.
    private func overload() throws -> [Trouble] {
        let slow = ["delay C_Encrypt 200ms", "delay C_Decrypt 200ms", "serial C_Encrypt", "serial C_Decrypt"]
        for faults in faults { try faults.set(["hsm-1": slow, "hsm-2": slow]) }
        let load = Load(pair.node("node-1"), connections: 32)
        let overloaded = trouble(.overloaded)
        try begins([overloaded])
        for faults in faults { try faults.clear() }
        _ = try load.stop()
        return [overloaded]
    }

    /// A call takes longer than a request may, on both HSMs of node-1, and nobody asks: its probes alone show it.
    private func tooSlow() throws -> [Trouble] {
        let slow = ["delay C_Encrypt 2200ms", "delay C_Decrypt 2200ms"]
        try faults[0].set(["hsm-1": slow, "hsm-2": slow])
        let troubles = [trouble(.hsmDegraded, "hsm-1"), trouble(.hsmsTooSlow, severity: .warning)]
        try begins(troubles)
        #expect(try XKSClient(pair.node("node-1")).encrypt([1]).status == 200, "node-2 answers")
        try faults[0].clear()
        return troubles
    }

    /// One whose new worker comes up and whose test hangs: the second key that it makes is that of the test. One with a
    /// PIN that the token refuses, and one that is added and whose library hangs.
    private func outOfOrder() throws -> [Trouble] {
        try faults[0].set([
            "hsm-1": ["hang C_GenerateKey every 2"], "hsm-3": ["[*]", "hang C_Initialize"],
        ])
        try Processes.kill(worker: try #require(pair.node("node-1").workers["hsm-1"]))
        let wrong = try scratch.write("not-the-pin\n", to: "wrong-pin")
        try reload { configuration in
            configuration.append(third.joined(separator: "\n"))
            configuration.set("pin", "{ file = \"\(wrong)\" }", in: "[[hsm]]", number: 1)
        }
        let troubles = [
            trouble(.hsmStarting, "hsm-3"), trouble(.hsmProbing, "hsm-1"), trouble(.hsmSettingsRefused, "hsm-2"),
        ]
        try begins(troubles)
        #expect(try XKSClient(pair.node("node-1")).encrypt([1]).status == 200, "hsm-2 serves by its former PIN")
        try faults[0].clear()
        return troubles
    }

    /// One that refuses the login, one whose calls hang, one whose library is in no compartment;
    /// and one token under two names.
    private func lost() throws -> [Trouble] {
        let serial = try #require(try pair.op("node-1").status().hsm("hsm-2")?.serial)
        var configuration = pair.configurations[0]
        let again = configuration.removeTable("[[hsm]]", number: 1).map { line in
            if line.hasPrefix("name = ") { return "name = \"again\"" }
            return line.hasPrefix("token = ") ? "token = { serial = \"\(serial)\" }" : line
        }
        try reload { configuration in
            configuration.append((third + ["sandbox = \"off\""] + again).joined(separator: "\n"))
        }
        try active(4)
        try faults[0].set([
            "hsm-1": ["refuse-login CKR_PIN_LOCKED"], "hsm-2": ["hang C_Encrypt"],
        ])
        try Processes.kill(worker: try #require(pair.node("node-1").workers["hsm-1"]))
        let load = Load(pair.node("node-1"), connections: 4)
        let troubles = [
            trouble(.hsmDegraded, "hsm-2"), trouble(.libraryNotConfined, "hsm-3"), trouble(.hsmTwice, "hsm-2"),
            trouble(.hsmUnavailable, "hsm-1"),
        ]
        try pair.begins(troubles[0])
        _ = try load.stop()
        try begins(Array(troubles.dropFirst()))
        try faults[0].clear()
        try reload { $0.append(third.joined(separator: "\n")) }
        try active()
        return troubles
    }

    /// First those of node-1, which passes on what it is asked; then those of the other, too.
    private func drained() throws -> [Trouble] {
        let hsms = ["node-1": ["hsm-1", "hsm-2", "hsm-3"], "node-2": ["hsm-1", "hsm-2"]]
        for hsm in hsms["node-1", default: []] { try pair.op("node-1").done("hsm", "drain", hsm) }
        let alone = [trouble(.hsmDrained, "hsm-1"), trouble(.noHSMServes, severity: .warning)]
        try begins(alone)
        #expect(try XKSClient(pair.node("node-1")).encrypt([1]).status == 200, "node-2 answers")
        for hsm in hsms["node-2", default: []] { try pair.op("node-2").done("hsm", "drain", hsm) }
        let all = [trouble(.noHSMServes)] + Pair.names.map { Trouble(.noNodeServes, by: [$0]) }
        try begins(all)
        #expect(try XKSClient(pair.node("node-1")).encrypt([1]).status == 500)
        for (name, hsms) in hsms { for hsm in hsms { try pair.op(name).done("hsm", "undrain", hsm) } }
        try active()
        return alone + all
    }

    private func active(_ count: Int = 3) throws {
        try eventually("\(count) HSMs are active", within: 30, every: 0.1) {
            try pair.node("node-1").health().hsms.filter { $0.state == "active" }.count == count
        }
    }

    /// Changes the configuration that node-1 had at the start.
    private func reload(_ change: (inout ServeConfiguration) -> Void) throws {
        var configuration = pair.configurations[0]
        change(&configuration)
        _ = try configuration.write()
        // By signal: the command waits for the HSMs.
        kill(pair.node("node-1").pid, SIGHUP)
    }
}
