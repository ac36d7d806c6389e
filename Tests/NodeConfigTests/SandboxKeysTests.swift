// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import NodeConfig
import StatusVocabulary
import Testing

@Suite("hsm.sandbox")
struct SandboxKeysTests {
    private static let module = #"module = "/usr/lib/p11.so""#

    @Test("the default, and the lists of a strict one")
    func read() throws {
        #expect(try parse(goodFile).hsms[0].sandbox == HSMSettings.Sandbox())
        let lines = """
            sandbox = "strict"
            sandbox_read = ["/etc/Chrystoki.conf", "luna"]
            sandbox_write = ["/var/lib/luna"]
            sandbox_connect = [1792, 65535]
            """
        #expect(
            try parse(goodFile(after: Self.module, adding: lines)).hsms[0].sandbox
                == HSMSettings.Sandbox(
                    mode: .strict, readable: ["/etc/Chrystoki.conf", "/etc/claviger/luna"],
                    writable: ["/var/lib/luna"], ports: [1792, 65535]))
        let off = try parse(goodFile(after: Self.module, adding: #"sandbox = "off""#))
        #expect(off.hsms[0].sandbox.mode == .off)
    }

    @Test(
        "each mistake is told with its place",
        arguments: [
            (#"sandbox = "none""#, "hsm[0].sandbox"),
            (#"sandbox_read = ["/x"]"#, "hsm[0].sandbox_read"),
            ("sandbox = \"off\"\nsandbox_connect = [1]", "hsm[0].sandbox_connect"),
            ("sandbox = \"strict\"\nsandbox_connect = [0]", "hsm[0].sandbox_connect[0]"),
            ("sandbox = \"strict\"\nsandbox_connect = [1, 65536]", "hsm[0].sandbox_connect[1]"),
            ("sandbox = \"strict\"\nsandbox_connect = [\"1\"]", "hsm[0].sandbox_connect[0]"),
            ("sandbox = \"strict\"\nsandbox_write = [\"\"]", "hsm[0].sandbox_write[0]"),
            ("sandbox = \"strict\"\nsandbox_read = \"/x\"", "hsm[0].sandbox_read"),
        ])
    func mistakes(lines: String, path: String) throws {
        let found = problems(try goodFile(after: Self.module, adding: lines))
        #expect(found.map(\.path) == [path], "\(found)")
    }

    @Test("more than 64 elements are refused")
    func excess() throws {
        let list = (0..<65).map { "\"/f\($0)\"" }.joined(separator: ", ")
        let found = problems(
            try goodFile(after: Self.module, adding: "sandbox = \"strict\"\nsandbox_read = [\(list)]"))
        #expect(found.map(\.path) == ["hsm[0].sandbox_read"])
    }

    @Test("the configuration's modes are the worker's")
    func modes() {
        #expect(HSMSettings.Sandbox.Mode.allCases.map(\.rawValue) == Compartment.Mode.allCases.map(\.rawValue))
    }
}
