// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Testing

@Suite("What is known of access keys")
struct CredentialLedgerTests {
    private static let now: Int64 = 1_800_000_030
    private var ledger = CredentialLedger()

    @Test("the first sight stays, the latest use of any node counts, to the minute")
    mutating func uses() {
        ledger.configured(["A"], now: Self.now)
        ledger.configured(["A", "B"], now: Self.now + 100)
        #expect(ledger.entry(of: "A")?.firstSeen == Self.now && ledger.entry(of: "B")?.firstSeen == Self.now + 100)
        #expect(ledger.entry(of: "A")?.lastUsed == nil)
        ledger.used("A", at: Self.now + 200, by: "fra-1", now: Self.now + 200)
        ledger.used("A", at: Self.now + 90, by: "iad-1", now: Self.now + 201)
        #expect(
            ledger.entry(of: "A")
                == .init(accessKeyID: "A", firstSeen: Self.now, lastUsed: 1_800_000_180, usedAt: "fra-1"))
        // Of a node whose clock is ahead.
        ledger.used("A", at: .max, by: "iad-1", now: Self.now + 300)
        #expect(ledger.entry(of: "A")?.lastUsed == 1_800_000_300 && ledger.entry(of: "A")?.usedAt == "iad-1")
        // Of one that says nonsense.
        ledger.used("B", at: .min, by: "iad-1", now: Self.now)
        #expect(ledger.entry(of: "B")?.lastUsed == nil)
    }

    @Test("what has changed is to be stored once")
    mutating func changes() {
        ledger.configured(["A"], now: Self.now)
        ledger.used("A", at: Self.now, by: "fra-1", now: Self.now)
        #expect(ledger.takeChanges().map(\.accessKeyID) == ["A"])
        ledger.configured(["A"], now: Self.now + 1)
        ledger.used("A", at: Self.now + 5, by: "fra-1", now: Self.now + 5)
        #expect(ledger.takeChanges() == [])
        var again = CredentialLedger(stored: [
            .init(accessKeyID: "A", firstSeen: 5, lastUsed: Self.now / 60 * 60, usedAt: "fra-1")
        ])
        again.configured(["A"], now: Self.now)
        #expect(again.entry(of: "A")?.firstSeen == 5 && again.takeChanges() == [])
    }

    @Test("in use is what was used in the last hour")
    mutating func inUse() {
        ledger.used("A", at: Self.now, by: "fra-1", now: Self.now)
        ledger.configured(["B"], now: Self.now)
        let last = Self.now / 60 * 60
        #expect(ledger.inUse(["A", "B", "C"], now: last + 3_599).map(\.accessKeyID) == ["A"])
        #expect(ledger.inUse(["A", "B", "C"], now: last + 3_600) == [])
    }

    @Test("peers cannot fill the memory with ids, and the configuration's always find room")
    mutating func bounded() {
        for index in 0..<5_000 { ledger.used("ID\(index)", at: Self.now, by: "x", now: Self.now) }
        #expect(ledger.entry(of: "ID\(CredentialLedger.mostKnown - 1)") != nil)
        #expect(ledger.entry(of: "ID\(CredentialLedger.mostKnown)") == nil)
        ledger.configured(["MINE"], now: Self.now)
        ledger.used("MINE", at: Self.now, by: "fra-1", now: Self.now)
        #expect(ledger.inUse(["MINE"], now: Self.now).count == 1)
    }
}
