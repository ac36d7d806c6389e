// SPDX-License-Identifier: Apache-2.0
import DevEnvironment
import Foundation
import Testing

@Suite struct DevConfigurationTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func configuration(_ options: DevOptions, state name: String = "state") throws -> String {
        let state = try DevState.open(scratch.path + "/" + name)
        _ = try DevNode.prepare(
            options, state: state, module: "/lib/softhsm.so", provision: RecordingProvisioner().provision)
        return try scratch.text(name + "/claviger.toml")
    }

    @Test func theFileNamesEveryHSMWithItsOwnTokenPINAndEnvironment() throws {
        let text = try configuration(DevOptions(hsms: 2, sessions: 5, depth: 3))
        let hsms = text.components(separatedBy: "[[hsm]]\n").dropFirst()
        #expect(hsms.count == 2)
        for (number, table) in hsms.enumerated() {
            let directory = "\(scratch.path)/state/hsm-\(number + 1)"
            #expect(table.contains(#"name = "hsm-\#(number + 1)""#))
            #expect(table.contains(#"module = "/lib/softhsm.so""#))
            #expect(table.contains(#"token = { label = "claviger-dev-hsm-\#(number + 1)" }"#))
            #expect(table.contains(#"pin = { file = "\#(directory)/pin" }"#))
            #expect(table.contains("sessions = 5\n") && table.contains("depth = 3\n"))
            #expect(table.contains(#"env = { SOFTHSM2_CONF = "\#(directory)/softhsm2.conf" }"#))
        }
        #expect(text.contains(#"path_prefix = "/example/uri/path/prefix""#))
        #expect(text.contains(#"keys = ["foo", "bar", "encrypt_only_key", "decrypt_only_key", "impotent_key"]"#))
        #expect(text.contains(#"secret = { file = "\#(scratch.path)/state/secret" }"#))
    }

    @Test func noSecretStandsInTheFile() throws {
        let text = try configuration(DevOptions())
        #expect(!text.contains(try scratch.text("state/secret")))
        #expect(!text.contains(try scratch.text("state/hsm-1/pin")))
    }

    @Test func transportFollowsTheOptions() throws {
        let tls = try configuration(DevOptions())
        #expect(tls.contains(#"certificate = "\#(scratch.path)/state/tls/server.pem""#))
        #expect(!tls.contains("client_ca"))
        #expect(!tls.contains("plaintext"))
        let mutual = try configuration(DevOptions(mutualTLS: true))
        #expect(mutual.contains(#"client_ca = "\#(scratch.path)/state/tls/ca.pem""#))
        #expect(mutual.contains(#"client_name = "claviger-dev-client""#))
        let plain = try configuration(DevOptions(plaintext: true))
        #expect(plain.contains("plaintext = true"))
        #expect(!plain.contains("certificate"))
        #expect(throws: DevError.self) { try configuration(DevOptions(plaintext: true, mutualTLS: true)) }
    }

    @Test func theControlListenerFollowsTheXKSListenersPort() {
        #expect(DevOptions().controlListen == "127.0.0.1:8480")
        #expect(DevOptions(listen: "127.0.0.1:0").controlListen == "127.0.0.1:0")
        #expect(DevOptions(listen: "127.0.0.1:0", controlListen: "127.0.0.1:99").controlListen == "127.0.0.1:99")
    }

    @Test func pathsAreQuoted() throws {
        let text = try configuration(DevOptions(), state: #"a "b" \c"#)
        #expect(text.contains(#"/a \"b\" \\c/node""#))
    }
}
