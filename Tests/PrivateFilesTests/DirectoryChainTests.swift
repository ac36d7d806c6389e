// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import PrivateFiles
import Testing

@Suite struct DirectoryChainTests {
    private func flaw(_ steps: (String, UInt32, UInt32)...) -> String? {
        DirectoryChain.flaw(of: steps.map { .init(path: $0.0, owner: $0.1, mode: $0.2) }, user: 1_000)?.message
    }

    @Test func whatRootOrItsOwnerAloneCanReplaceIsGood() {
        #expect(flaw(("/", 0, 0o755), ("/var", 0, 0o755), ("/var/lib", 0, 0o755), ("/var/lib/c", 990, 0o700)) == nil)
        #expect(flaw(("/", 0, 0o755), ("/home/a", 1_000, 0o755), ("/home/a/s", 1_000, 0o700)) == nil)
        #expect(flaw(("/", 0, 0o755), ("/tmp", 0, 0o1777), ("/tmp/s", 1_000, 0o700)) == nil, "the sticky bit keeps it")
    }

    @Test func whatOthersCanReplaceIsNamed() {
        // Before, a command asked whoever had put a socket there, and a node made a new store there.
        #expect(
            flaw(("/", 0, 0o755), ("/srv", 0, 0o777), ("/srv/s", 990, 0o700))?
                .hasPrefix("/srv can be written by every user") == true)
        #expect(flaw(("/", 0, 0o755), ("/tmp", 0, 0o1777), ("/tmp/s", 990, 0o1777)) != nil)
        #expect(
            flaw(("/", 0, 0o755), ("/u", 1_234, 0o755), ("/u/s", 990, 0o700))?.hasPrefix("/u belongs to user 1234")
                == true)
    }

    @Test func realDirectories() throws {
        let directory = NSTemporaryDirectory() + "claviger-chain-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory + "/open/state", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        for name in ["", "/open", "/open/state"] { chmod(directory + name, 0o700) }
        #expect(DirectoryChain.flaw(of: directory + "/open/state") == nil)
        #expect(DirectoryChain.flaw(of: directory + "/open/not-yet") == nil)
        chmod(directory + "/open", 0o777)
        symlink(directory + "/open/state", directory + "/link")
        for name in ["/open/state", "/open/not-yet", "/link"] {
            #expect(DirectoryChain.flaw(of: directory + name)?.mend == "chmod o-w \(directory)/open", "\(name)")
        }
        #expect(DirectoryChain.flaw(of: directory + "/none/below") == nil, "cannot be looked at")
        #expect(DirectoryChain.owner(of: directory) == geteuid())
    }
}
