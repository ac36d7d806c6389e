// SPDX-License-Identifier: Apache-2.0

// The wire form of a whole block list, version 1, as JSON, for nodes that do not read pages (BlockPage.swift):
//
//     {"version": 1, "known": true,
//      "blocks": [{"id": "…", "target": {"kind": "key", "value": "prod-1"}, "reason": "…", "madeAt": 1790000000,
//                  "expiresAt": 1790003600, "madeBy": "alice@fra-1"}],
//      "lifts": [{"id": "…", "liftedAt": 1790000100, "liftedBy": "bob@fra-2"}]}
//
// Arrays are in the order of the ids. `expiresAt` is left out for a block without an expiry; the value of the kind
// `everything` is "". `known` says whether the sender's list is complete; why it is not stays with the sender.
//
// Reading is strict: every value is checked as an operator's is, an id occurs once in each array, and a member that
// is not named here is an error. What a later version may add, such as a condition, could change what a block means;
// to take half of it in would be wrong on either side.

extension BlockTarget: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable { case kind, value }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.strictContainer(CodingKeys.self)
        let kind = try values.decode(String.self, forKey: .kind)
        let value = try values.decode(String.self, forKey: .value)
        self = try decoder.checked { () throws(BlockError) in try BlockTarget(kind: kind, value: value) }
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(kind, forKey: .kind)
        try values.encode(value, forKey: .value)
    }
}

extension Block: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable { case id, target, reason, madeAt, expiresAt, madeBy }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.strictContainer(CodingKeys.self)
        self.init(
            id: try values.decode(String.self, forKey: .id),
            target: try values.decode(BlockTarget.self, forKey: .target),
            reason: try values.decode(String.self, forKey: .reason),
            madeAt: try values.decode(Int64.self, forKey: .madeAt),
            expiresAt: try values.decodeIfPresent(Int64.self, forKey: .expiresAt),
            madeBy: try values.decode(String.self, forKey: .madeBy))
        try decoder.checked { () throws(BlockError) in try validate() }
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(id, forKey: .id)
        try values.encode(target, forKey: .target)
        try values.encode(reason, forKey: .reason)
        try values.encode(madeAt, forKey: .madeAt)
        try values.encodeIfPresent(expiresAt, forKey: .expiresAt)
        try values.encode(madeBy, forKey: .madeBy)
    }
}

extension BlockLift: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable { case id, liftedAt, liftedBy }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.strictContainer(CodingKeys.self)
        self.init(
            id: try values.decode(String.self, forKey: .id),
            liftedAt: try values.decode(Int64.self, forKey: .liftedAt),
            liftedBy: try values.decode(String.self, forKey: .liftedBy))
        try decoder.checked { () throws(BlockError) in try validate() }
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(id, forKey: .id)
        try values.encode(liftedAt, forKey: .liftedAt)
        try values.encode(liftedBy, forKey: .liftedBy)
    }
}

extension BlockList: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable { case version, known, blocks, lifts }

    package static let wireVersion = 1
    /// Longest wire form that a node reads, in bytes.
    package static let mostWireBytes = 4 << 20

    package init(from decoder: any Decoder) throws {
        let values = try decoder.strictContainer(CodingKeys.self)
        let version = try values.decode(Int.self, forKey: .version)
        guard version == Self.wireVersion else {
            throw DecodingError.dataCorruptedError(
                forKey: .version, in: values,
                debugDescription: "The block list has version \(version); this node reads \(Self.wireVersion).")
        }
        let isKnown = try values.decode(Bool.self, forKey: .known)
        let blocks = try values.decode([Block].self, forKey: .blocks)
        let lifts = try values.decode([BlockLift].self, forKey: .lifts)
        self.init(blocks: blocks, lifts: lifts, unknown: isKnown ? nil : Self.unknownElsewhere)
        guard self.blocks.count == blocks.count, self.lifts.count == lifts.count else {
            throw DecodingError.dataCorruptedError(
                forKey: .blocks, in: values, debugDescription: "An id occurs twice in the block list.")
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(Self.wireVersion, forKey: .version)
        try values.encode(knowledge == .known, forKey: .known)
        try values.encode(blocks.values.sorted { $0.id < $1.id }, forKey: .blocks)
        try values.encode(lifts.values.sorted { $0.id < $1.id }, forKey: .lifts)
    }

    private static let unknownElsewhere = "the node that sent this list has lost its own"

    /// Bytes of the wire form as JSON without white space: what an encoder writes that escapes slashes, too.
    package var wireBytes: Int {
        let blocks = blocks.values.reduce(0) { $0 + $1.wireBytes }
        return blocks + lifts.values.reduce(0) { $0 + $1.wireBytes } + Self.wireFrameBytes
    }

    static let wireFrameBytes = 64

    /// The list as far as it fits into a wire form that other nodes read: what is in force first, then what changed last.
    package func fittingWire(now: Int64) -> BlockList {
        guard wireBytes > Self.mostWireBytes else { return self }
        var bytes = Self.wireFrameBytes
        let ids = ordered(now: now).map(\.id).prefix { id in
            bytes += (blocks[id]?.wireBytes ?? 0) + (lifts[id]?.wireBytes ?? 0)
            return bytes <= Self.mostWireBytes
        }
        return BlockList(
            blocks: ids.compactMap { blocks[$0] }, lifts: ids.compactMap { lifts[$0] }, terms: terms,
            knowledge: knowledge)
    }
}

extension Block {
    /// With the comma after it. 170 is more than the names, the id and the numbers take.
    var wireBytes: Int {
        170 + target.kind.utf8.count + [target.value, reason, madeBy].reduce(0) { $0 + $1.escapedBytes }
    }
}

extension BlockLift {
    var wireBytes: Int { 90 + liftedBy.escapedBytes }
}

extension String {
    /// In JSON. Printable text has quotes, backslashes and slashes to escape, and nothing else.
    fileprivate var escapedBytes: Int {
        utf8.reduce(0) { $0 + ($1 == 0x22 || $1 == 0x5C || $1 == 0x2F ? 2 : 1) }
    }
}

/// Any member's name.
private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

extension Decoder {
    /// The object's members. Throws when one has a name that `Keys` does not list.
    func strictContainer<Keys: CodingKey & CaseIterable>(
        _ keys: Keys.Type
    ) throws -> KeyedDecodingContainer<Keys> {
        let known = Set(Keys.allCases.map(\.stringValue))
        let present = try container(keyedBy: AnyKey.self).allKeys
        if let stranger = present.first(where: { !known.contains($0.stringValue) }) {
            throw DecodingError.dataCorrupted(
                .init(codingPath: codingPath, debugDescription: "A member \"\(stranger.stringValue)\" is not known."))
        }
        return try container(keyedBy: keys)
    }

    /// Turns a value's own error into one of decoding.
    fileprivate func checked<Value>(_ body: () throws(BlockError) -> Value) throws -> Value {
        do throws(BlockError) {
            return try body()
        } catch {
            throw DecodingError.dataCorrupted(.init(codingPath: codingPath, debugDescription: "\(error)"))
        }
    }
}
