// SPDX-License-Identifier: Apache-2.0

/// What this node has yet to send to others of third nodes. Each message carries the news that were sent least (SWIM
/// section 4.1); after λ · log(n) times they are old.
struct NewsQueue: Sendable {
    /// What one piece of news is about. Its content is looked up when it is sent.
    struct Item: Sendable, Hashable {
        var name: String
        /// Each accuser of a suspect is news by itself (Lifeguard, section IV-B).
        var accuser: String?
    }

    private struct Slip: Sendable {
        var item: Item
        /// Which news of the item: an older slip is void.
        var edition: UInt64
    }

    private struct State: Sendable {
        var edition: UInt64
        var carriesFacts: Bool
    }

    private var states: [Item: State] = [:]
    /// By how often they were sent; within one heap the latest first.
    private var heaps: [[Slip]] = []
    private var lastEdition: UInt64 = 0
    /// How many slips there are, void ones included.
    private var slips = 0

    var isEmpty: Bool { states.isEmpty }
    var count: Int { states.count }

    /// News, to be sent from the beginning.
    mutating func add(_ item: Item, carriesFacts: Bool) {
        lastEdition += 1
        let carriesFacts = carriesFacts || states[item]?.carriesFacts == true
        states[item] = State(edition: lastEdition, carriesFacts: carriesFacts)
        if heaps.isEmpty { heaps.append([]) }
        heaps[0].append(Slip(item: item, edition: lastEdition))
        slips += 1
        if slips > 2 * states.count + Self.spareSlips { throwVoidSlipsAway() }
    }

    private static let spareSlips = 64

    /// News that follow each other faster than they are sent would pile up below those that are sent.
    private mutating func throwVoidSlipsAway() {
        for level in heaps.indices { heaps[level].removeAll { states[$0.item]?.edition != $0.edition } }
        slips = heaps.reduce(0) { $0 + $1.count }
    }

    /// What was said of a node before holds no more.
    mutating func forget(_ name: String, accusers: [String]) {
        states[Item(name: name, accuser: nil)] = nil
        for accuser in accusers { states[Item(name: name, accuser: accuser)] = nil }
    }

    /// Drops all for which it is so.
    mutating func drop(where isOld: (Item) -> Bool) {
        for item in states.keys where isOld(item) { states[item] = nil }
    }

    /// Takes out what goes into a message to somebody, those sent least first.
    ///
    /// - Parameters:
    ///   - most: how many at most.
    ///   - repeats: how often each is sent.
    ///   - make: what is sent of an item, with the facts where they are news; `nil` where this receiver need not be
    ///     informed, or the message has no room: then it stays as it is.
    mutating func take(
        _ most: Int, repeats: Int, make: (Item, _ carriesFacts: Bool) -> MemberUpdate?
    ) -> [MemberUpdate] {
        var taken: [MemberUpdate] = []
        // What is sent now must not be sent again in the same message.
        var reported: [(Slip, Int)] = []
        var kept: [(Slip, Int)] = []
        for level in heaps.indices {
            while taken.count < most, kept.count < 4 * most, let slip = heaps[level].popLast() {
                slips -= 1
                guard let state = states[slip.item], state.edition == slip.edition else { continue }
                guard let update = make(slip.item, state.carriesFacts) else {
                    kept.append((slip, level))
                    continue
                }
                taken.append(update)
                reported.append((slip, level + 1))
            }
        }
        for (slip, level) in kept.reversed() { heaps[level].append(slip) }
        slips += kept.count
        for (slip, level) in reported {
            guard level < repeats else {
                states[slip.item] = nil
                continue
            }
            if level == heaps.count { heaps.append([]) }
            heaps[level].append(slip)
            slips += 1
        }
        return taken
    }
}
