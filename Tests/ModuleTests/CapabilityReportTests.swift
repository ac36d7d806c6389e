// SPDX-License-Identifier: Apache-2.0
import HSMWorker
import LaneProtocol
import PKCS11
import Testing

@Suite("What `hsm probe` shows", .serialized)
struct CapabilityReportTests {
    @Test("SoftHSM: what it takes, and how large")
    func softHSM() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM(keys: [SoftHSM.key("foo")])
            defer { hsm.remove() }
            let report = try CapabilityReport.read(
                module: SoftHSM.library, token: .label(SoftHSM.label), pin: hsm.userPIN)
            let trials = try #require(report.trials)
            #expect(trials.capabilities.profile == GCMProfile(named: "softhsm"))
            #expect(trials.ways.map(\.ivSource) == [.caller, nil])
            #expect(trials.largestData.accepted == 65_536)
            #expect(trials.largestAAD.accepted == 65_536)
            #expect(trials.largestAAD.refusal == nil)
            #expect(trials.ivLengths == [12: .accepted, 16: .accepted])
            // Of PKCS#11 3.0, which SoftHSM up to 2.6.1 is not.
            #expect(trials.attributes.filter { !$0.isReadable }.allSatisfy { $0.name == "CKA_UNIQUE_ID" })
            let text = report.text
            for part in [
                "IV source      the caller", "profile = \"caller\"", hsm.identity.serial, "48 bytes: accepted",
                "40 bytes: refused", "16 bytes accepted", "at least 64 KiB", "gives random bytes",
            ] { #expect(text.contains(part), "\(part) is missing in:\n\(text)") }
            // The key of the trials is gone, and none was left on the token.
            let session = try hsm.login()
            #expect(try session.aesKeys(atMost: 10).keys.map(\.label) == ["foo"])
        }
    }

    @Test("NSS softoken: both parameters and the message functions")
    func nss() async {
        await #expect(processExitsWith: .success) {
            let nss = try NSS()
            defer { nss.remove() }
            let report = try CapabilityReport.read(
                module: NSS.library, initializeArguments: nss.initializeArguments, token: .label(NSS.label),
                pin: nss.userPIN)
            #expect(report.trials?.ways.map(\.ivSource) == [.caller, .caller, .caller])
            #expect(report.trials?.ivLengths == [12: .accepted, 16: .accepted])
            #expect(report.text.contains("message functions: accepted"), "\(report.text)")
        }
    }

    @Test("An HSM that makes the IV is reported as such, with what it means")
    func ivByHSM() async {
        await #expect(processExitsWith: .success) {
            let faulty = try FaultyHSM(faults: "vendor iv buffer\nvendor bad-tag CKR_FUNCTION_FAILED")
            let report = try CapabilityReport.read(
                module: FaultyHSM.library, token: .label(SoftHSM.label), pin: faulty.hsm.userPIN)
            let text = report.text
            for part in [
                "the HSM, into the caller's zeroed buffer  (as CloudHSM and nShield do)", "profile = \"buffer\"",
                "CKR_FUNCTION_FAILED  (could also mean",
            ] { #expect(text.contains(part), "\(part) is missing in:\n\(text)") }
            faulty.hsm.remove()
        }
    }

    @Test("A token that makes no session key is reported as such")
    func noKey() async {
        await #expect(processExitsWith: .success) {
            let faulty = try FaultyHSM(faults: "return CKR_MECHANISM_INVALID C_GenerateKey")
            let report = try CapabilityReport.read(
                module: FaultyHSM.library, token: .label(SoftHSM.label), pin: faulty.hsm.userPIN)
            #expect(report.trials == nil)
            #expect(report.keyRefusal?.code == .mechanismInvalid)
            #expect(report.text.contains("makes no AES-256 session key"))
            let token = try OpenToken.open(
                module: FaultyHSM.library, token: .label(SoftHSM.label), pin: faulty.hsm.userPIN)
            #expect(token.capabilities == TokenCapabilities(profile: try #require(GCMProfile(named: "caller"))))
            faulty.hsm.remove()
        }
    }
}
