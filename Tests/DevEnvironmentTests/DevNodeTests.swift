// SPDX-License-Identifier: Apache-2.0
import DevEnvironment
import Foundation
import LaneProtocol
import SecureMemory
import Testing

@Suite struct DevNodeTests {
    private struct Killed: Error {}

    private let scratch: Scratch
    private let provisioner = RecordingProvisioner()

    init() throws { scratch = try Scratch() }

    /// One start of a node, up to where it would listen; gives the directory back.
    @discardableResult
    private func start(_ options: DevOptions = DevOptions()) throws -> DevNode.Summary {
        let state = try DevState.open(scratch.path + "/state")
        let node = try DevNode.prepare(
            options, state: state, module: "/lib/softhsm.so", provision: provisioner.provision)
        return DevNode.Summary(
            accessKeyID: node.credential.accessKeyID, secret: node.credential.secret.text, hsms: node.hsms)
    }

    @Test func theFirstStartMakesEverything() throws {
        let made = try start()
        #expect(made.hsms.map(\.name) == ["hsm-1", "hsm-2", "hsm-3"])
        #expect(provisioner.orders.map(\.name) == ["hsm-1", "hsm-2", "hsm-3"])
        for hsm in made.hsms {
            let directory = "state/\(hsm.name)"
            #expect(try scratch.text("\(directory)/tokens/object") == "token")
            #expect(
                try scratch.text("\(directory)/softhsm2.conf")
                    .contains("directories.tokendir = \(scratch.path)/state/\(hsm.name)/tokens\n"))
            #expect(try scratch.mode(directory) == 0o700)
        }
        #expect(try scratch.mode("state") == 0o700)
        for file in ["credential.json", "secret", "keys", "claviger.toml", "hsm-1/pin", "hsm-1/so-pin"] {
            #expect(try scratch.mode("state/" + file) == 0o600, "\(file)")
        }
    }

    @Test func everyTokenGetsTheSameKeysAndPINsOfItsOwn() throws {
        try start()
        let plans = provisioner.orders.map(\.plan)
        let first = try #require(plans.first)
        #expect(first.keys.map(\.label) == ["foo", "bar", "encrypt_only_key", "decrypt_only_key", "impotent_key"])
        #expect(
            first.keys.map(\.usage) == [
                [.encrypt, .decrypt], [.encrypt, .decrypt], .encrypt, .decrypt, [.sign, .verify],
            ])
        #expect(Set(first.keys.map(\.value.bytes)).count == 5)
        #expect(first.keys.allSatisfy { $0.value.count == 32 })
        for plan in plans { #expect(plan.keys.map(\.value.bytes) == first.keys.map(\.value.bytes)) }
        #expect(Set(plans.map(\.userPIN.text)).count == 3)
        #expect(Set(plans.map(\.label)).count == 3)
        #expect(try scratch.text("state/hsm-2/pin") == plans[1].userPIN.text)
        #expect(plans.allSatisfy { $0.userPIN.text != $0.soPIN.text })
    }

    @Test func theSecondStartChangesNothing() throws {
        let first = try start()
        let files = ["tls/ca.pem", "tls/server.pem", "tls/client-key.pem", "keys", "credential.json", "claviger.toml"]
        let before = try files.map { try scratch.content("state/" + $0) }
        #expect(try start() == first)
        #expect(try files.map { try scratch.content("state/" + $0) } == before)
        #expect(provisioner.orders.count == 3)
    }

    @Test func furtherHSMsGetTheKeysThatTheOthersHave() throws {
        try start(DevOptions(hsms: 1))
        try start(DevOptions(hsms: 3))
        #expect(provisioner.orders.map(\.name) == ["hsm-1", "hsm-2", "hsm-3"])
        let values = provisioner.orders.map { $0.plan.keys.map(\.value.bytes) }
        #expect(values[1] == values[0])
        #expect(values[2] == values[0])
    }

    @Test func anInterruptedFirstStartIsResumed() throws {
        provisioner.failure = Killed()
        #expect(throws: Killed.self) { try start() }
        #expect(scratch.exists("state/hsm-1.partial"))
        #expect(!scratch.exists("state/hsm-1"))

        provisioner.failure = nil
        try start()
        #expect(provisioner.orders.map(\.name) == ["hsm-1", "hsm-1", "hsm-2", "hsm-3"])
        #expect(!scratch.exists("state/hsm-1.partial"))
        let values = provisioner.orders.map { $0.plan.keys.map(\.value.bytes) }
        #expect(values.allSatisfy { $0 == values[0] })
    }

    @Test func keysAreNeverMadeAnewBesideTokensThatHoldOthers() throws {
        try start(DevOptions(hsms: 1))
        try FileManager.default.removeItem(atPath: scratch.path + "/state/keys")
        try start(DevOptions(hsms: 1))
        #expect(throws: DevError.self) { try start(DevOptions(hsms: 2)) }
        #expect(!scratch.exists("state/keys"))
        #expect(provisioner.orders.count == 1)
    }

    @Test(arguments: ["", "foo 00\n", "foo " + String(repeating: "g", count: 64), "nonsense"])
    func aDamagedKeyFileIsReported(content: String) throws {
        try start(DevOptions(hsms: 1))
        try Data(content.utf8).write(to: URL(fileURLWithPath: scratch.path + "/state/keys"))
        #expect(throws: DevError.self) { try start(DevOptions(hsms: 2)) }
    }

    @Test func aCredentialThatWasPutThereIsKept() throws {
        try start()
        let secret = String(repeating: "A", count: 43)
        let document = #"{"AccessKeyId": "MYOWNACCESSKEYIDFORTESTS", "RawSecretAccessKey": "\#(secret)"}"#
        try Data(document.utf8).write(to: URL(fileURLWithPath: scratch.path + "/state/credential.json"))
        #expect(try start().accessKeyID == "MYOWNACCESSKEYIDFORTESTS")
        #expect(try scratch.text("state/secret") == secret)
        try Data("{}".utf8).write(to: URL(fileURLWithPath: scratch.path + "/state/credential.json"))
        #expect(throws: DevError.self) { try start() }
    }

    @Test(
        arguments: [
            DevOptions(hsms: 0), DevOptions(hsms: 17), DevOptions(sessions: 0), DevOptions(sessions: 257),
            DevOptions(depth: 0), DevOptions(depth: 9),
        ])
    func optionsOutOfRangeAreRefused(options: DevOptions) {
        #expect(throws: DevError.self) { try start(options) }
    }
}

extension DevNode {
    struct Summary: Equatable {
        var accessKeyID: String
        var secret: String
        var hsms: [DevHSM]
    }
}
