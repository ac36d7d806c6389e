// SPDX-License-Identifier: Apache-2.0
import HSMWorker
import LaneProtocol
import PKCS11
import Testing

/// A token that answers a reader's steps, and counts them.
private struct ScriptedToken {
    var objects: [UInt: KeyReading] = [:]
    var mostHandles = Int.max
    private(set) var reads: [UInt] = []
    private(set) var searches: [KeyLabel?] = []

    init(_ labels: [KeyLabel] = []) {
        for (index, label) in labels.enumerated() { add(UInt(index + 1), label) }
    }

    mutating func add(_ handle: UInt, _ label: KeyLabel, checkValue: [UInt8] = []) {
        objects[handle] = .key(
            KeyDescription(
                handle: ObjectHandle(rawValue: handle), label: label, id: [], size: 32, usage: .encrypt,
                checkValue: checkValue))
    }

    mutating func hide(_ handle: UInt, _ label: KeyLabel?, isSilent: Bool) {
        objects[handle] = .unreadable(
            UnreadableKey(
                handle: ObjectHandle(rawValue: handle), label: label, id: [], attribute: "CKA_END_DATE",
                code: .generalError, isSilent: isSilent))
    }

    /// One round; `until` ends it as a failure would.
    mutating func round(
        _ reader: inout KeyReader, _ offered: OfferedKeys, rereadsAll: Bool = false, again: Int = .max,
        at seconds: UInt64 = 0,
        each: (KeyReader) -> Void = { _ in }
    ) -> KeySearchResults {
        (reads, searches) = ([], [])
        reader.begin(offered, rereadsAll: rereadsAll, now: seconds * 1_000_000_000)
        while let step = reader.next(mayReadAgain: reads.count < again) {
            each(reader)
            answer(step, &reader)
        }
        return reader.results
    }

    mutating func answer(_ step: KeyReader.Step, _ reader: inout KeyReader) {
        switch step {
        case .search(let label):
            searches.append(label)
            let fitting = objects.keys.sorted().filter { handle in
                guard let label else { return true }
                switch objects[handle] {
                case .key(let key): return key.label == label
                case .unreadable(let key): return key.label == label
                case .gone, nil: return false
                }
            }
            let found = fitting.prefix(label == nil ? mostHandles : .max)
            reader.found(found.map { ObjectHandle(rawValue: $0) }, isCut: found.count < fitting.count)
        case .read(let handle):
            reads.append(handle.rawValue)
            reader.took(objects[handle.rawValue] ?? .gone)
        }
    }
}

@Suite("Key reader")
struct KeyReaderTests {
    private func offering(_ labels: Set<KeyLabel> = [], _ patterns: String...) -> OfferedKeys {
        OfferedKeys(labels: labels, patterns: patterns.compactMap { LabelPattern($0) })
    }

    private func labels(_ results: KeySearchResults) -> [KeyLabel] { results.keys.compactMap(\.label).sorted() }

    @Test("Named keys are searched by label: ten thousand others cost nothing")
    func byLabel() {
        var token = ScriptedToken((0..<10_000).map { KeyLabel("other-\($0)") } + ["foo"])
        var reader = KeyReader()
        let found = token.round(&reader, offering(["foo", "bar"]))
        #expect(labels(found) == ["foo"])
        // With a search of everything, and everything offered: 10,001 keys, each with its canary.
        #expect(token.reads == [10_001])
        #expect(token.searches == ["bar", "foo"])
        #expect(!found.isCut)
    }

    @Test("With a pattern all keys are looked at once; only offered ones are reported")
    func byPattern() {
        var token = ScriptedToken((0..<1_000).map { KeyLabel("other-\($0)") } + ["app-1", "foo", "app-2"])
        var reader = KeyReader()
        let found = token.round(&reader, offering(["foo"], "app-*"), again: 0)
        #expect(labels(found) == ["app-1", "app-2", "foo"])
        #expect(found.others == 1_000)
        #expect(token.reads.count == 1_003)
        #expect(token.searches == ["foo", nil])
        // What is known costs one search; the search by label was for the first time only.
        let again = token.round(&reader, offering(["foo"], "app-*"), again: 0)
        #expect(labels(again) == labels(found) && again.others == 1_000)
        #expect(token.reads.isEmpty)
        #expect(token.searches == [nil])
    }

    @Test("Labels that a pattern means and that can be no external key id are told; a change of the pattern is heeded")
    func misfits() {
        var token = ScriptedToken(["app-1", "app two", "other one"])
        var reader = KeyReader()
        #expect(token.round(&reader, offering([], "app*"), again: 0).misfits == ["app two"])
        #expect(token.round(&reader, offering([], "*"), again: 0).misfits.sorted() == ["app two", "other one"])
        #expect(token.round(&reader, offering(["app two"], "*"), again: 0).misfits == ["other one"])
    }

    @Test("The keys that are named come first, so that they can serve while the others are read")
    func namedFirst() {
        var token = ScriptedToken((0..<500).map { KeyLabel("app-\($0)") } + ["foo"])
        var reader = KeyReader()
        var readBefore: Int?
        _ = token.round(&reader, offering(["foo"], "app-*")) { reader in
            if reader.hasReadLabels, readBefore == nil { readBefore = reader.results.keys.count }
        }
        #expect(readBefore == 1)
    }

    @Test("What a token shows in part only is reported as cut, and named keys are found all the same")
    func cut() {
        var token = ScriptedToken((0..<10_052).map { KeyLabel("app-\($0)") } + ["foo"])
        token.mostHandles = 10_000
        var reader = KeyReader()
        for _ in 0..<2 {
            let found = token.round(&reader, offering(["foo"], "app-*"))
            #expect(found.isCut)
            // Without the search by label `foo` was not among them.
            #expect(labels(found).last == "foo")
            #expect(found.keys.count == 10_001)
        }
    }

    @Test("Very many names are found by one search of everything")
    func manyNames() {
        let names = (0..<1_000).map { KeyLabel("n-\($0)") }
        var token = ScriptedToken(names)
        var reader = KeyReader()
        #expect(token.round(&reader, offering(Set(names))).keys.count == 1_000)
        #expect(token.searches == [nil])
    }

    @Test("Known keys are read again as far as there is time, those first that were read longest ago")
    func rereading() {
        var token = ScriptedToken((0..<100).map { KeyLabel("app-\($0)") } + (0..<100).map { KeyLabel("x-\($0)") })
        var reader = KeyReader()
        _ = token.round(&reader, offering([], "app-*"))
        var read: [UInt] = []
        for _ in 0..<13 {
            _ = token.round(&reader, offering([], "app-*"), again: 10)
            #expect(token.reads.count == 10)
            #expect(token.reads.filter { $0 > 100 }.count == 2)
            read += token.reads.filter { $0 <= 100 }
        }
        // In 13 rounds of eight each key has had its turn, and none a second one before all had one.
        #expect(Set(read.prefix(100)).count == 100)
    }

    @Test("A value that is exchanged under a known handle is found when its turn comes")
    func exchanged() {
        var token = ScriptedToken(["foo"])
        var reader = KeyReader()
        _ = token.round(&reader, offering(["foo"]))
        token.add(1, "foo", checkValue: [9, 9, 9])
        #expect(token.round(&reader, offering(["foo"]), again: 0).keys.first?.checkValue == [])
        #expect(token.round(&reader, offering(["foo"]), again: 1).keys.first?.checkValue == [9, 9, 9])
    }

    @Test("After a handle has led nowhere every offered key is read again, whatever the time")
    func urgent() {
        var token = ScriptedToken((0..<50).map { KeyLabel("app-\($0)") } + (0..<50).map { KeyLabel("x-\($0)") })
        var reader = KeyReader()
        _ = token.round(&reader, offering([], "app-*"))
        _ = token.round(&reader, offering([], "app-*"), rereadsAll: true, again: 0)
        #expect(token.reads.sorted() == Array(1...50))
    }

    @Test("Keys that come, go, and are renamed")
    func changes() {
        var token = ScriptedToken(["foo", "bar", "x"])
        var reader = KeyReader()
        let offered = offering(["foo", "bar"], "new-*")
        #expect(labels(token.round(&reader, offered)) == ["bar", "foo"])
        token.objects[2] = nil
        token.add(4, "new-1")
        #expect(labels(token.round(&reader, offered, again: 0)) == ["foo", "new-1"])
        token.add(3, "new-2")
        #expect(labels(token.round(&reader, offered)) == ["foo", "new-1", "new-2"])
        token.add(1, "gone")
        #expect(labels(token.round(&reader, offered)) == ["new-1", "new-2"])
    }

    @Test("What comes to be offered is read; what is offered no more is reported no more")
    func reload() {
        var token = ScriptedToken(["foo", "bar", "app-1"])
        var reader = KeyReader()
        #expect(labels(token.round(&reader, offering(["foo"], "z*"))) == ["foo"])
        #expect(labels(token.round(&reader, offering([], "app-*"), again: 0)) == ["app-1"])
        #expect(labels(token.round(&reader, .all, again: 0)) == ["app-1", "bar", "foo"])
    }

    /// Where one object that cannot be read ended the round, this was the failure of the token, and no key came.
    @Test("An object that hides an attribute is out by itself")
    func unreadable() {
        var token = ScriptedToken(["foo", "bar"])
        token.hide(3, "odd", isSilent: false)
        token.hide(4, "foreign", isSilent: false)
        token.hide(5, nil, isSilent: true)
        var reader = KeyReader()
        let found = token.round(&reader, offering(["foo", "bar", "odd"], "no-*"))
        #expect(labels(found) == ["bar", "foo"])
        // The fourth is nobody's; of the fifth nobody knows.
        #expect(found.unreadable.map(\.handle.rawValue).sorted() == [3, 5])
        #expect(found.others == 1)
        #expect(reader.failure == nil)
    }

    @Test("A known key that says nothing for once is what it was; where all are silent, the token has failed")
    func silence() {
        var token = ScriptedToken(["foo", "bar"])
        var reader = KeyReader()
        let offered = offering([], "*")
        _ = token.round(&reader, offered)
        token.hide(1, nil, isSilent: true)
        for _ in 0..<5 {
            let found = token.round(&reader, offered)
            // Without: foo is gone after the third.
            #expect(labels(found) == ["bar", "foo"])
            #expect(found.unreadable.count == 1)
            #expect(reader.failure == nil)
        }
        token.hide(2, nil, isSilent: true)
        _ = token.round(&reader, offered)
        #expect(reader.failure == PKCS11Error(function: .getAttributeValue, code: .generalError))
        token.add(1, "foo")
        token.add(2, "bar")
        _ = token.round(&reader, offered)
        // What hides one attribute again and again is out, known or not; what does so for once is what it was, and for a
        // moment in which round follows upon round (a token that fails every second call drops no key).
        token.hide(1, "foo", isSilent: false)
        token.hide(3, "new", isSilent: false)
        for (second, rounds) in [(100, ["bar", "foo"]), (129, ["bar", "foo"]), (130, ["bar"]), (131, ["bar"])]
            as [(UInt64, [KeyLabel])]
        {
            #expect(labels(token.round(&reader, offered, at: second)) == rounds)
            guard second < 130 else { continue }
            for _ in 0..<5 { #expect(labels(token.round(&reader, offered, rereadsAll: true, at: second)) == rounds) }
        }
        // Three rounds that are far apart.
        token.add(1, "foo")
        #expect(labels(token.round(&reader, offered, at: 200)) == ["bar", "foo"])
        token.hide(1, "foo", isSilent: false)
        for (second, rounds) in [(300, ["bar", "foo"]), (360, ["bar", "foo"]), (420, ["bar"])]
            as [(UInt64, [KeyLabel])]
        {
            #expect(labels(token.round(&reader, offered, at: second)) == rounds)
        }
        token.add(1, "foo")
        token.add(3, "new")
        #expect(labels(token.round(&reader, offered)) == ["bar", "foo", "new"])
    }

    @Test("A round that is begun anew starts over; after a new login nothing is known")
    func beginAgain() {
        var token = ScriptedToken(["foo", "bar"])
        var reader = KeyReader()
        _ = token.round(&reader, offering(["foo", "bar"]))
        reader.begin(offering(["foo", "bar"]), rereadsAll: false, now: 0)
        if let step = reader.next(mayReadAgain: true) { token.answer(step, &reader) }
        #expect(labels(token.round(&reader, offering(["foo", "bar"]), again: 0)) == ["bar", "foo"])
        #expect(token.reads.isEmpty)
        reader.forget()
        _ = token.round(&reader, offering(["foo", "bar"]), again: 0)
        #expect(token.reads.sorted() == [1, 2])
    }
}
