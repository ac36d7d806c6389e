// SPDX-License-Identifier: Apache-2.0
import KeyStoreCredentials
import Testing

@Suite("The steps of a rotation")
struct CredentialRotationTests {
    private typealias Known = CredentialRotation.Known
    private static let now: Int64 = 1_800_000_000

    private func known(_ id: String, seen: Int64 = 0, used: Int64? = nil) -> Known {
        Known(
            accessKeyID: id, firstSeen: Self.now - 1_000_000 + seen, lastUsed: used.map { Self.now - $0 },
            lastUsedAt: used.map { _ in "fra-1" })
    }

    private func next(_ file: [String], _ node: [Known]) -> CredentialRotation {
        CredentialRotation.next(file: file, node: node, now: Self.now)
    }

    @Test("from one credential to the other, step by step")
    func steps() {
        #expect(next(["OLD"], [known("OLD", used: 0)]) == .make)
        #expect(next(["OLD", "NEW"], [known("OLD", used: 0)]) == .reload)
        let fresh = known("NEW", seen: 500)
        #expect(next(["OLD", "NEW"], [known("OLD", used: 0), fresh]) == .tellKMS(new: "NEW"))
        // Wherever it stands in the file.
        #expect(next(["NEW", "OLD"], [fresh, known("OLD", used: 0)]) == .tellKMS(new: "NEW"))
        let new = known("NEW", seen: 500, used: 60)
        let old = known("OLD", used: 3_540)
        #expect(next(["OLD", "NEW"], [old, new]) == .wait(new: "NEW", old: [old], until: Self.now + 60))
        let quiet = known("OLD", used: 3_600)
        #expect(next(["OLD", "NEW"], [quiet, new]) == .remove(new: "NEW", old: [quiet]))
        #expect(next(["NEW"], [quiet, new]) == .reload)
        #expect(next(["NEW"], [new]) == .make)
    }

    @Test("of two that came at one time, the later in the file is the new one; one that was never used can go")
    func sameAge() {
        #expect(next(["A", "B"], [known("A", used: 0), known("B")]) == .tellKMS(new: "B"))
        let spare = known("A")
        let used = known("B", seen: 1, used: 0)
        #expect(next(["A", "B"], [spare, used]) == .remove(new: "B", old: [spare]))
    }

    @Test("while one of three is in use, that one is waited for")
    func three() {
        let (spare, old, new) = (known("A"), known("B", seen: 1, used: 120), known("C", seen: 2, used: 0))
        #expect(
            next(["A", "B", "C"], [spare, old, new]) == .wait(new: "C", old: [old], until: Self.now + 3_480))
    }

    @Test("the command has the file, whatever its name, and no secret")
    func command() {
        #expect(
            CredentialRotation.command(keyStoreID: "cks-1234567890abcdef0", file: "/etc/claviger/A.json")
                == "aws kms update-custom-key-store --custom-key-store-id cks-1234567890abcdef0 "
                + "--xks-proxy-authentication-credential file:///etc/claviger/A.json")
        #expect(CredentialRotation.command(keyStoreID: nil, file: "/a b/it's").hasSuffix(#" 'file:///a b/it'\''s'"#))
    }
}
