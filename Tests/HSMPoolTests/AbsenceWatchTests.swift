// SPDX-License-Identifier: Apache-2.0
import HSMPool
import LaneProtocol
import Testing

private let second: UInt64 = 1_000_000_000
private let minute = 60 * second

extension AbsenceWatch {
    fileprivate mutating func listed(
        _ labels: Set<KeyLabel>, extent: KeyListing.Extent, isToHaveKeys: Bool, now: UInt64
    ) {
        let entries = labels.map { CatalogueEntry(reference: 1, label: $0, usage: .decrypt) }
        listed(KeyListing(entries, extent: extent), isToHaveKeys: isToHaveKeys, now: now)
    }
}

@Suite("Absence of keys")
struct AbsenceWatchTests {
    private func watch(_ labels: Set<KeyLabel>, now: UInt64 = 0) -> AbsenceWatch {
        var watch = AbsenceWatch()
        watch.workerStarted()
        watch.listed(labels, extent: .whole, isToHaveKeys: true, now: now)
        return watch
    }

    @Test("a worker can deny a key once it has listed the whole token, and never one that it has listed before")
    func denying() {
        var watch = AbsenceWatch()
        watch.workerStarted()
        #expect(!watch.canDeny("foo"))
        for extent in [KeyListing.Extent.growing, .cut] {
            watch.listed(["bar"], extent: extent, isToHaveKeys: true, now: 0)
            #expect(!watch.canDeny("foo"))
        }
        watch.listed(["bar"], extent: .whole, isToHaveKeys: true, now: 0)
        #expect(watch.canDeny("foo"))
        watch.listed([], extent: .whole, isToHaveKeys: true, now: 0)
        // Without: true, and KMS receives KeyNotFoundException for a key that the library has lost sight of.
        #expect(!watch.canDeny("bar"))
        #expect(watch.missing == ["bar"])
    }

    @Test("a key that comes back is missing no more; a fresh worker's word counts")
    func fresh() {
        var watch = watch(["foo", "bar"])
        watch.listed(["bar"], extent: .whole, isToHaveKeys: true, now: 0)
        watch.listed(["foo", "bar"], extent: .whole, isToHaveKeys: true, now: 0)
        #expect(watch.missing.isEmpty)
        watch.listed(["bar"], extent: .whole, isToHaveKeys: true, now: 0)
        #expect(!watch.canDeny("foo"))
        watch.workerStarted()
        #expect(!watch.canDeny("foo"))
        watch.listed(["bar"], extent: .growing, isToHaveKeys: true, now: 0)
        #expect(!watch.canDeny("foo"))
        watch.listed(["bar"], extent: .whole, isToHaveKeys: true, now: 0)
        #expect(watch.canDeny("foo"))
    }

    /// Without restarts a library that has lost sight of a key never found it again.
    @Test("the worker is started anew at once where another HSM serves the key")
    func servedElsewhere() throws {
        var watch = watch(["foo", "bar"])
        watch.listed(["bar"], extent: .whole, isToHaveKeys: true, now: minute)
        #expect(watch.restart(now: minute) { _ in false } == nil)
        let reason = try #require(watch.restart(now: minute) { $0 == "foo" })
        #expect(reason.contains("foo"))
        // The kill takes a moment: it is said once.
        #expect(watch.restart(now: minute + second) { _ in true } == nil)
    }

    @Test("or when a request asks for the key, and only for one that was there")
    func asked() {
        var watch = watch(["foo", "bar"])
        watch.wanted("foo")
        watch.listed(["bar"], extent: .whole, isToHaveKeys: true, now: minute)
        #expect(watch.restart(now: minute) { _ in false } == nil)
        watch.wanted("never-there")
        #expect(watch.restart(now: minute) { _ in false } == nil)
        watch.wanted("foo")
        #expect(watch.restart(now: minute) { _ in false } != nil)
    }

    @Test("keys that are deleted one by one do not have the worker started for each")
    func oneByOne() {
        var watch = watch(["a", "b", "c", "d"])
        var (restarts, left): (Int, Set<KeyLabel>) = (0, ["a", "b", "c", "d"])
        for now in stride(from: minute, to: minute + 30 * second, by: Int(second)) {
            if !left.isEmpty { left.removeFirst() }
            watch.listed(left, extent: .whole, isToHaveKeys: true, now: now)
            if watch.restart(now: now, isServedElsewhere: { _ in true }) != nil {
                restarts += 1
                watch.workerStarted()
            }
        }
        #expect(restarts == 2)
    }

    @Test("a token without any offered key is looked at after 1, 2, 4 … minutes, at most an hour")
    func looks() {
        var watch = watch([])
        #expect(watch.isEmpty)
        var restarts: [UInt64] = []
        for now in stride(from: 0, to: 400 * minute, by: Int(second))
        where watch.restart(now: now, isServedElsewhere: { _ in true }) != nil {
            restarts.append(now / minute)
            watch.workerStarted()
            watch.listed([], extent: .whole, isToHaveKeys: true, now: now)
        }
        #expect(restarts == [1, 3, 7, 15, 31, 63, 123, 183, 243, 303, 363])
        watch.listed(["foo"], extent: .whole, isToHaveKeys: true, now: 400 * minute)
        #expect(!watch.isEmpty)
        #expect(watch.restart(now: 900 * minute) { _ in true } == nil)
    }

    @Test("an HSM of which no key store wants anything may be empty")
    func nothingOffered() {
        var watch = AbsenceWatch()
        watch.workerStarted()
        watch.listed([], extent: .whole, isToHaveKeys: false, now: 0)
        #expect(!watch.isEmpty)
        #expect(watch.restart(now: 900 * minute) { _ in true } == nil)
    }

    @Test("a token that is still being read is not empty yet")
    func growing() {
        var watch = AbsenceWatch()
        watch.workerStarted()
        watch.listed([], extent: .growing, isToHaveKeys: true, now: 0)
        #expect(!watch.isEmpty)
        #expect(watch.restart(now: 10 * minute) { _ in true } == nil)
    }

    @Test("a key that the worker cannot read is neither absent nor missing")
    func unread() {
        var watch = watch(["foo", "bar"])
        watch.listed(
            KeyListing(
                [CatalogueEntry(reference: 1, label: "bar", usage: .decrypt)],
                complaints: [
                    CatalogueComplaint(label: "foo", reason: "CKA_END_DATE", isUndecided: true),
                    CatalogueComplaint(label: "short", reason: "128 bits"),
                ]),
            isToHaveKeys: true, now: 0)
        #expect(!watch.canDeny("foo"))
        #expect(watch.canDeny("short") && watch.canDeny("other"))
        #expect(watch.restart(now: minute) { _ in true } == nil)
    }

    @Test("what key stores offer no more is missed no more")
    func reload() {
        var watch = watch(["foo", "bar"])
        watch.listed([], extent: .whole, isToHaveKeys: true, now: 0)
        watch.wanted("foo")
        watch.keepOnly { $0 == "bar" }
        #expect(watch.missing == ["bar"])
        #expect(watch.restart(now: 10 * second) { _ in false } == nil)
    }
}
