// SPDX-License-Identifier: Apache-2.0

// How block lists are exchanged since version 2: page by page, what is in force first, in both directions at once.
//
//     {"version": 2, "knowledge": "known", "digest": "…",
//      "entries": [{"block": {…}, "remaining": 3600, "lift": {…}}],
//      "after": "0:…", "last": true, "order": ["…"], "inForce": ["…"], "disk": "written",
//      "hits": {"…": {"keyStores": 1, "keys": 3}}}
//
// `block` and `lift` are as in version 1 (BlockWire.swift). `after` in a request says where the other side's pages go
// on ("": the first; absent: none is wanted), in an answer that there are more. `last`: the sender has sent all.
// `order`: the orders that somebody waits for; `inForce` in the answer: those of them that hold there; `hits`: how much
// these hit there, left out by a node that does not say. `disk`: whether the answering node has all of it on disk.
//
// An entry that cannot be read, because a later version made it or because it is no order, is left out and counted; it
// never costs the rest of the page. Half of an entry is never taken: a member that is not named here may change what a
// block means. Members of the page itself that are not known are ignored.

/// Part of a list on its way between two nodes.
package struct BlockPage: Sendable, Equatable {
    package static let version = 2
    /// Most bytes of a page's entries; the first entry is always in it.
    package static let mostBytes = 256 << 10
    /// Most entries that are read from a page, and most orders that are waited for.
    package static let mostEntries = 4_096
    package static let mostOrders = 256
    /// Most orders of which what they hit is said: that takes a look at every key.
    package static let mostHits = 4

    /// Whether the answering node has on its disk what it received.
    package enum Disk: String, Sendable, Codable {
        case written
        /// It is on its way there.
        case pending
        /// It cannot be written.
        case failed
    }

    /// Of the sender's list.
    package enum Knowledge: String, Sendable, Codable {
        case none, known, unknown

        package init(_ knowledge: BlockKnowledge) {
            self =
                switch knowledge {
                case .none: .none
                case .known: .known
                case .unknown: .unknown
                }
        }
    }

    package var knowledge: Knowledge
    /// Of the whole list of the sender, once it has taken in what it answers.
    package var digest: String
    package var entries: [BlockEntry]
    package var after: String?
    /// There are no further pages of the sender's list.
    package var isLast: Bool
    package var order: [String]
    package var inForce: [String]
    package var disk: Disk?
    /// By id.
    package var hits: [String: BlockHits] = [:]
    /// Entries that could not be read.
    package var unreadable: Int

    package init(
        knowledge: Knowledge, digest: String, entries: [BlockEntry] = [], after: String? = nil, isLast: Bool = true,
        order: [String] = [], inForce: [String] = [], disk: Disk? = nil
    ) {
        self.knowledge = knowledge
        self.digest = digest
        self.entries = entries
        self.after = after
        self.isLast = isLast
        self.order = order
        self.inForce = inForce
        self.disk = disk
        unreadable = 0
    }
}

/// Where an order stands in the sequence in which a list is sent: what is in force first, everything before the rest;
/// then what is lifted, then what has ended; within each the latest first.
struct BlockPosition: Comparable {
    let rank: Int
    /// Grows with age.
    let age: Int64
    let id: String

    /// As `after` of a page; the same order as that of the text.
    var cursor: String {
        let digits = String(age)
        return "\(rank):" + String(repeating: "0", count: max(12 - digits.utf8.count, 0)) + digits + ":" + id
    }

    static func < (left: BlockPosition, right: BlockPosition) -> Bool {
        (left.rank, left.age, left.id) < (right.rank, right.age, right.id)
    }
}

extension BlockList {
    /// All orders in the sequence in which they are sent.
    func ordered(now: Int64) -> [BlockPosition] {
        blocks.values.map { block in
            if let lift = lifts[block.id] {
                return BlockPosition(rank: 2, age: Block.latestTime - lift.liftedAt, id: block.id)
            }
            let rank = isInForce(id: block.id, now: now) ? (block.target == .everything ? 0 : 1) : 3
            return BlockPosition(rank: rank, age: Block.latestTime - block.madeAt, id: block.id)
        }.sorted()
    }

    /// A page of this list.
    ///
    /// - Parameters:
    ///   - cursor: the page begins behind it, the first for ""; `nil` sends no orders.
    ///   - first: orders that stand before all others on the first page.
    ///   - now: Unix seconds.
    package func page(after cursor: String?, first: [String] = [], now: Int64) -> BlockPage {
        var page = BlockPage(knowledge: .init(knowledge), digest: digest)
        guard let cursor else { return page }
        var bytes = 0
        if cursor.isEmpty {
            page.entries = first.prefix(BlockPage.mostOrders).compactMap { entry(id: $0, now: now) }
            bytes = page.entries.reduce(0) { $0 + $1.wireBytes }
        }
        let reported = Set(page.entries.map(\.block.id))
        var last = cursor
        for position in ordered(now: now) where position.cursor > cursor {
            if reported.contains(position.id) { continue }
            guard let entry = entry(id: position.id, now: now) else { continue }
            bytes += entry.wireBytes
            guard page.entries.isEmpty || bytes <= BlockPage.mostBytes, page.entries.count < BlockPage.mostEntries
            else {
                page.after = last
                page.isLast = false
                break
            }
            page.entries.append(entry)
            last = position.cursor
        }
        return page
    }
}

extension BlockEntry {
    var wireBytes: Int { block.wireBytes + (lift?.wireBytes ?? 0) + 48 }
}

// MARK: - Reading and writing

extension BlockEntry: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable { case block, lift, remaining }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.strictContainer(CodingKeys.self)
        self.init(
            block: try values.decode(Block.self, forKey: .block),
            lift: try values.decodeIfPresent(BlockLift.self, forKey: .lift),
            remaining: try values.decodeIfPresent(Int64.self, forKey: .remaining))
        guard lift.map({ $0.id == block.id }) ?? true, remaining.map({ $0 >= 0 }) ?? true else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "A lift of another block, or a negative time."))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(block, forKey: .block)
        try values.encodeIfPresent(lift, forKey: .lift)
        try values.encodeIfPresent(remaining, forKey: .remaining)
    }
}

/// An entry, or the mark of one that cannot be read.
private struct LenientEntry: Decodable {
    let entry: BlockEntry?
    init(from decoder: any Decoder) throws { entry = try? BlockEntry(from: decoder) }
}

extension BlockPage: Codable {
    private enum CodingKeys: String, CodingKey {
        case version, knowledge, digest, entries, after, last, order, inForce, disk, hits
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let entries = try values.decode([LenientEntry].self, forKey: .entries)
        // A word that only a later version knows vouches for nothing.
        let knowledge = Knowledge(rawValue: try values.decode(String.self, forKey: .knowledge)) ?? .unknown
        self.init(
            knowledge: knowledge, digest: try values.decode(String.self, forKey: .digest),
            entries: entries.compactMap(\.entry), after: try values.decodeIfPresent(String.self, forKey: .after),
            isLast: try values.decodeIfPresent(Bool.self, forKey: .last) ?? false,
            order: try values.decodeIfPresent([String].self, forKey: .order) ?? [],
            inForce: try values.decodeIfPresent([String].self, forKey: .inForce) ?? [],
            disk: try values.decodeIfPresent(String.self, forKey: .disk).flatMap(Disk.init))
        hits = (try? values.decodeIfPresent([String: BlockHits].self, forKey: .hits)) ?? [:]
        unreadable = entries.count - self.entries.count
        guard entries.count <= Self.mostEntries + Self.mostOrders, order.count <= Self.mostOrders,
            inForce.count <= Self.mostOrders, hits.count <= Self.mostOrders, digest.utf8.count <= 128,
            after.map({ $0.utf8.count <= 64 }) ?? true
        else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "The page is longer than a page can be."))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(Self.version, forKey: .version)
        try values.encode(knowledge, forKey: .knowledge)
        try values.encode(digest, forKey: .digest)
        try values.encode(entries, forKey: .entries)
        try values.encodeIfPresent(after, forKey: .after)
        if isLast { try values.encode(true, forKey: .last) }
        if !order.isEmpty { try values.encode(order, forKey: .order) }
        if !inForce.isEmpty { try values.encode(inForce, forKey: .inForce) }
        try values.encodeIfPresent(disk, forKey: .disk)
        if !hits.isEmpty { try values.encode(hits, forKey: .hits) }
    }
}
