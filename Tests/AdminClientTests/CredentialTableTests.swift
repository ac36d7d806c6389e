// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import Testing

@Suite struct CredentialTableTests {
    private static let now: Int64 = 1_800_000_000
    private let credentials = [
        CredentialStatus(
            keyStore: "/bank", accessKeyId: "AAAABBBBCCCCDDDD2222", firstSeenUnixSeconds: now - 864_000,
            lastUsedUnixSeconds: now - 7_300, lastUsedAt: "fra-1"),
        CredentialStatus(
            keyStore: "/bank", accessKeyId: "AAAABBBBCCCCDDDD3333", firstSeenUnixSeconds: now - 300,
            lastUsedUnixSeconds: now - 60, lastUsedAt: "iad-1"),
        CredentialStatus(keyStore: "", accessKeyId: "AAAABBBBCCCCDDDD4444", firstSeenUnixSeconds: now),
    ]

    @Test func eachWithItsAgeAndLastUse() {
        #expect(
            CredentialTable.text(credentials, nowUnixSeconds: Self.now, on: Page(columns: 100)) == """
                key store            access key id         known for  last used  at
                /bank                AAAABBBBCCCCDDDD2222       10 d    2 h ago  fra-1
                /bank                AAAABBBBCCCCDDDD3333        5 m   just now  iad-1
                (empty path prefix)  AAAABBBBCCCCDDDD4444        0 s      never  -
                """)
    }

    @Test(arguments: [60, 80]) func itFitsTheTerminal(columns: Int) {
        let lines = CredentialTable.text(credentials, nowUnixSeconds: Self.now, on: Page(columns: columns))
            .split(separator: "\n")
        #expect(lines.allSatisfy { $0.count <= columns } && lines[0].contains("last used"), "\(lines)")
    }

    /// While one credential is replaced by another, a node's status shows both.
    @Test func theStatusShowsKeyStoresThatHaveSeveral() {
        var status = Example.status
        #expect(!StatusTable.text(status, nowUnixSeconds: Self.now, on: Page(columns: 100)).contains("credentials"))
        status.status.credentials = credentials
        let text = StatusTable.text(status, nowUnixSeconds: Self.now, on: Page(columns: 100))
        #expect(text.contains("key stores with several credentials"))
        #expect(text.contains("AAAABBBBCCCCDDDD3333") && !text.contains("AAAABBBBCCCCDDDD4444"))
    }
}
