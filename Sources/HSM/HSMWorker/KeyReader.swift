// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11

/// Reads the keys of a token in rounds, each in steps that cost one search or one object, so that probes, canaries and
/// the node's questions have their turn between two of them. Pure: says what to ask next, and takes what was answered.
///
/// A round finds every object anew, and reads those that it does not know. What it knows already it reads again as far
/// as its time allows, those first that were read longest ago: a token can exchange a key under one handle.
package struct KeyReader: Sendable {
    /// Most objects of a token that are looked at, and so remembered.
    package static let mostObjects = 100_000
    /// Up to so many labels are searched for one by one; more are found by reading every key of the token.
    package static let mostLabelSearches = 200
    /// A key that could be read before is taken for what it was until an attribute has been refused so often in a row,
    /// for so long (nanoseconds): a token may fail for a moment, in which a handle that leads nowhere demands one round
    /// after the other.
    private static let patience = (refusals: 3, time: 30_000_000_000 as UInt64)
    /// Of what is read again, every fifth is an object that no key store offers: its label may have changed.
    private static let othersEvery = 5

    /// What to ask the token next.
    package enum Step: Sendable, Equatable {
        /// Search the AES keys of this label; all of them without one.
        case search(KeyLabel?)
        case read(ObjectHandle)
    }

    private struct Object: Sendable {
        var label: KeyLabel?
        /// Present for a key that is offered.
        var key: KeyDescription?
        /// Its label fits a pattern, and can be no external key id.
        var isMisfit = false
        /// Why it could not be read the last time, and how often in a row.
        var refusal: UnreadableKey?
        var refusals = 0
        /// When the round began in which the first of them came; 0 without one.
        var refusedSince: UInt64 = 0
        /// The round that read it last.
        var round: UInt64
    }

    private var objects: [ObjectHandle: Object] = [:]
    private var round: UInt64 = 0
    private var now: UInt64 = 0
    private var offered = OfferedKeys()
    private var seen: [ObjectHandle] = []
    private var isSeen: Set<ObjectHandle> = []
    private var isCut = false
    /// What is still to be done, the next one last.
    private var searches: [KeyLabel?] = []
    private var news: [ObjectHandle] = []
    private var again: [ObjectHandle] = []
    private var under: Step?
    /// How many searches by label come first.
    private var labelSearches = 0
    private var beganWithLabels = false
    private var rereadsAll = false
    private var answered = 0
    private var silence: ReturnCode?

    package init() {}

    /// True once the keys that are named one by one have been read, in a round that begins with them and goes on.
    package private(set) var hasReadLabels = false

    /// What the token says where no object of the round could be read at all: then it is the token that fails.
    package var failure: PKCS11Error? {
        guard let silence, answered == 0 else { return nil }
        return PKCS11Error(function: .getAttributeValue, code: silence)
    }

    /// Begins a round, whatever became of the one before.
    ///
    /// - Parameters:
    ///   - rereadsAll: reads every offered key again, however long it takes: a handle has led nowhere.
    ///   - now: CLOCK_MONOTONIC, nanoseconds.
    package mutating func begin(_ offered: OfferedKeys, rereadsAll: Bool, now: UInt64) {
        round &+= 1
        self.now = now
        if self.offered != offered {
            for (handle, object) in objects { objects[handle]?.isMisfit = object.label.map(offered.misses) ?? false }
        }
        self.offered = offered
        self.rereadsAll = rereadsAll
        (seen, isSeen, isCut, news, again, under) = ([], [], false, [], [], nil)
        (answered, silence, labelSearches) = (0, nil, 0)
        (beganWithLabels, hasReadLabels) = (false, false)
        let readsEverything = offered.needsFullSearch || offered.labels.count > Self.mostLabelSearches
        searches = readsEverything ? [nil] : []
        // The first time the named keys come first, so that they can be used; later they come among the others, too.
        if offered.labels.count <= Self.mostLabelSearches, !readsEverything || objects.isEmpty {
            addLabelSearches()
            beganWithLabels = labelSearches > 0
        }
    }

    /// Handles may mean other objects now: everything is read anew.
    package mutating func forget() { objects = [:] }

    /// The next step; `nil` when the round is over.
    ///
    /// - Parameter mayReadAgain: whether there is time for objects that are known already.
    package mutating func next(mayReadAgain: Bool) -> Step? {
        under = nextStep(mayReadAgain: mayReadAgain)
        return under
    }

    private mutating func nextStep(mayReadAgain: Bool) -> Step? {
        if labelSearches > 0, let label = searches.popLast() {
            labelSearches -= 1
            return .search(label)
        }
        if let handle = news.popLast() { return .read(handle) }
        hasReadLabels = beganWithLabels && !searches.isEmpty
        if let label = searches.popLast() { return .search(label) }
        while let handle = again.last {
            guard mayReadAgain || rereadsAll && objects[handle]?.key != nil else { break }
            again.removeLast()
            return .read(handle)
        }
        objects = objects.filter { isSeen.contains($0.key) }
        return nil
    }

    /// The answer to a search.
    package mutating func found(_ handles: [ObjectHandle], isCut: Bool) {
        guard case .search(let label) = under else { return }
        var known: [ObjectHandle] = []
        for handle in handles where isSeen.insert(handle).inserted {
            seen.append(handle)
            if isKnown(handle) { known.append(handle) } else { news.append(handle) }
        }
        // The token's order, as far as it has one.
        news.reverse()
        again += known
        if label == nil, isCut {
            self.isCut = true
            // What is named one by one must not hang on which keys a token shows first.
            addLabelSearches()
        }
        if searches.isEmpty { orderAgain() }
    }

    /// The answer to reading an object.
    package mutating func took(_ reading: KeyReading) {
        guard case .read(let handle) = under else { return }
        switch reading {
        case .gone:
            answered += 1
            objects[handle] = nil
        case .key(let key):
            answered += 1
            objects[handle] = Object(
                label: key.label, key: isOffered(key) ? key : nil,
                isMisfit: key.label.map(offered.misses) ?? false, round: round)
        case .unreadable(let refusal):
            if refusal.isSilent { silence = refusal.code } else { answered += 1 }
            let before = objects[handle]
            let refusals = (before?.refusals ?? 0) + 1
            let since = before?.refusal == nil ? now : before?.refusedSince ?? now
            let isBrief = refusals < Self.patience.refusals || now &- since < Self.patience.time
            let known = refusal.isSilent || isBrief ? before?.key : nil
            objects[handle] = Object(
                label: known?.label ?? refusal.label, key: known, refusal: refusal, refusals: refusals,
                refusedSince: since, round: round)
        }
    }

    /// Everything that is known of the objects which this round has found so far.
    package var results: KeySearchResults {
        var results = KeySearchResults(isCut: isCut)
        for handle in seen {
            guard let object = objects[handle] else { continue }
            let key = object.key.flatMap { isOffered($0) ? $0 : nil }
            let refusal = object.refusal.flatMap { isOfInterest($0) ? $0 : nil }
            if let key { results.keys.append(key) }
            if object.isMisfit, let label = object.label { results.misfits.append(label) }
            if let refusal { results.unreadable.append(refusal) }
            if key == nil, refusal == nil { results.others += 1 }
        }
        return results
    }

    private mutating func addLabelSearches() {
        for label in offered.labels.sorted(by: >) { searches.append(label) }
        labelSearches = offered.labels.count
    }

    /// Known, and known well enough: what has come to be offered since has not been described.
    private func isKnown(_ handle: ObjectHandle) -> Bool {
        guard let object = objects[handle] else { return false }
        return object.key != nil || object.refusal != nil || !(object.label.map(offered.contains) ?? false)
    }

    /// Those that were read longest ago come first, which is last in the list.
    private mutating func orderAgain() {
        let byAge = again.sorted { (objects[$0]?.round ?? 0) > (objects[$1]?.round ?? 0) }
        var keys = byAge.filter { objects[$0]?.key != nil }
        var others = byAge.filter { objects[$0]?.key == nil }
        guard !rereadsAll else {
            again = others + keys
            return
        }
        var order: [ObjectHandle] = []
        order.reserveCapacity(again.count)
        while !keys.isEmpty || !others.isEmpty {
            let isOthersTurn = order.count % Self.othersEvery == Self.othersEvery - 1
            if let next = isOthersTurn ? others.popLast() ?? keys.popLast() : keys.popLast() ?? others.popLast() {
                order.append(next)
            }
        }
        again = order.reversed()
    }

    private func isOffered(_ key: KeyDescription) -> Bool {
        // A label that is no UTF-8 is nobody's, and is reported; keys without label are, to tools that want all.
        !key.strangeLabel.isEmpty || offered.includesAll || (key.label.map(offered.contains) ?? false)
    }

    private func isOfInterest(_ refusal: UnreadableKey) -> Bool {
        offered.includesAll || (refusal.label.map(offered.contains) ?? true)
    }
}
