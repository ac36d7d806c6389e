// SPDX-License-Identifier: Apache-2.0
import DevEnvironment
import Foundation
import SecureMemory
import Testing

@Suite struct ProvisioningProcessTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// Fills one token by a shell script that has the module's path as `$1`.
    private func run(_ script: String, timeout: Int = 60) throws {
        let state = try DevState.open(scratch.path + "/state")
        let process = ProvisioningProcess(executable: "/bin/sh", arguments: ["-c", script, "sh"], timeout: timeout)
        _ = try DevNode.prepare(
            DevOptions(hsms: 1), state: state, module: "/lib/softhsm.so", provision: process.run)
    }

    @Test func theChildGetsPlanEnvironmentAndModule() throws {
        let out = scratch.path
        try run(
            #"cat > "\#(out)/plan" && printf '%s' "$1" > "\#(out)/module" && "#
                + #"printf '%s' "$SOFTHSM2_CONF" > "\#(out)/conf""#)
        let plan = try #require(TokenPlan(decoding: SecretBytes(Array(scratch.content("plan")))))
        #expect(plan.keys.count == 5)
        #expect(plan.userPIN.text == (try scratch.text("state/hsm-1/pin")))
        #expect(try scratch.text("module") == "/lib/softhsm.so")
        #expect(try scratch.text("conf") == scratch.path + "/state/hsm-1.partial/softhsm2.conf")
    }

    @Test func whatTheChildSaysOnFailureIsPassedOn() throws {
        let failure = #expect(throws: DevError.self) { try run("echo 'C_InitToken: no' >&2; exit 3") }
        #expect(failure?.description.contains("C_InitToken: no") == true)
        #expect(failure?.description.contains("exit status 3") == true)
        #expect(!scratch.exists("state/hsm-1"))
    }

    @Test func aChildThatReadsNothingIsNoHarm() throws {
        try run("exec 0<&-; exit 0")
        #expect(scratch.exists("state/hsm-1"))
    }

    @Test func aChildThatHangsIsStopped() throws {
        let failure = #expect(throws: DevError.self) { try run("exec sleep 600", timeout: 1) }
        #expect(failure?.description.contains("longer than 1 s") == true)
    }

    @Test func aProgramThatIsNotThereIsAnError() throws {
        let state = try DevState.open(scratch.path + "/state")
        let process = ProvisioningProcess(executable: "/nowhere/claviger", arguments: [])
        #expect(throws: DevError.self) {
            try DevNode.prepare(DevOptions(hsms: 1), state: state, module: "/lib/softhsm.so", provision: process.run)
        }
    }
}
