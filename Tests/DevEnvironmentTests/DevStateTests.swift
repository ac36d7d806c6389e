// SPDX-License-Identifier: Apache-2.0
import DevEnvironment
import Foundation
import Testing

@Suite struct DevStateTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    @Test func oneNodeAtATimeHoldsTheDirectory() throws {
        let path = scratch.path + "/state"
        do {
            let state = try DevState.open(path)
            let failure = #expect(throws: DevError.self) { try DevState.open(path) }
            #expect(failure?.description.contains("--state") == true)
            withExtendedLifetime(state) {}
        }
        #expect(throws: Never.self) { try DevState.open(path) }
    }

    @Test func missingParentsAreMade() throws {
        let state = try DevState.open(scratch.path + "/a/b/c")
        #expect(state.directory == scratch.path + "/a/b/c")
        #expect(try scratch.mode("a/b/c") == 0o700)
        #expect(try scratch.mode("a/b/c/tls") == 0o700)
    }

    @Test func anEmptyDirectoryIsClosedToOthers() throws {
        try FileManager.default.createDirectory(
            atPath: scratch.path + "/state", withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o755])
        _ = try DevState.open(scratch.path + "/state")
        #expect(try scratch.mode("state") == 0o700)
    }

    @Test func aDirectoryOfSomethingElseIsLeftAlone() throws {
        try Data().write(to: URL(fileURLWithPath: scratch.path + "/something"))
        let before = try scratch.mode(".")
        #expect(throws: DevError.self) { try DevState.open(scratch.path) }
        #expect(try scratch.mode(".") == before)
        #expect(!scratch.exists("lock"))
    }

    @Test func aSymbolicLinkIsRefused() throws {
        try FileManager.default.createDirectory(atPath: scratch.path + "/real", withIntermediateDirectories: false)
        try FileManager.default.createSymbolicLink(
            atPath: scratch.path + "/link", withDestinationPath: scratch.path + "/real")
        #expect(throws: DevError.self) { try DevState.open(scratch.path + "/link") }
    }

    @Test(arguments: ["", "/", "/tmp/a#b", "/tmp/a=b", "/tmp/a\nb", "/tmp/" + String(repeating: "x", count: 510)])
    func pathsThatSoftHSMWouldMisreadAreRefused(path: String) {
        #expect(throws: DevError.self) { try DevState.open(path) }
    }

    @Test func theDefaultDirectoryFollowsTheEnvironment() {
        #expect(
            DevState.defaultDirectory(environment: ["HOME": "/home/a"]) == "/home/a/.local/state/claviger/dev")
        #expect(
            DevState.defaultDirectory(environment: ["HOME": "/home/a", "XDG_STATE_HOME": "/s"]) == "/s/claviger/dev")
        #expect(
            DevState.defaultDirectory(environment: ["HOME": "/home/a", "XDG_STATE_HOME": "relative"])
                == "/home/a/.local/state/claviger/dev")
        #expect(DevState.defaultDirectory(environment: [:]) == nil)
    }

    @Test func theLibraryIsTheFirstThatIsThere() throws {
        let library = scratch.path + "/libsofthsm2.so"
        try Data().write(to: URL(fileURLWithPath: library))
        #expect(try SoftHSMLibrary.find(in: ["/nowhere/libsofthsm2.so", library]) == library)
        let failure = #expect(throws: DevError.self) { try SoftHSMLibrary.find(in: ["/nowhere/libsofthsm2.so"]) }
        #expect(failure?.description.contains("apt-get install softhsm2") == true)
    }
}
