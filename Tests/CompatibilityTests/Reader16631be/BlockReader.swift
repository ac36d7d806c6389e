// SPDX-License-Identifier: Apache-2.0

extension Version16631be {
    /// What it reads at `/cluster/v1/blocks`. A member that it does not know is an error, and costs the whole list.
    struct BlockList: Decodable {
        private enum CodingKeys: String, CodingKey, CaseIterable { case version, known, blocks, lifts }

        var isKnown: Bool
        var blocks: [String: Block]
        var lifts: [String: BlockLift]

        init(from decoder: any Decoder) throws {
            let values = try decoder.strictContainer(CodingKeys.self)
            guard try values.decode(Int.self, forKey: .version) == 1 else { throw decoder.refusal("version") }
            isKnown = try values.decode(Bool.self, forKey: .known)
            let blocks = try values.decode([Block].self, forKey: .blocks)
            let lifts = try values.decode([BlockLift].self, forKey: .lifts)
            self.blocks = Dictionary(blocks.map { ($0.id, $0) }) { first, _ in first }
            self.lifts = Dictionary(lifts.map { ($0.id, $0) }) { first, _ in first }
            guard self.blocks.count == blocks.count, self.lifts.count == lifts.count else {
                throw decoder.refusal("An id occurs twice.")
            }
        }
    }

    struct Block: Decodable {
        private enum CodingKeys: String, CodingKey, CaseIterable { case id, target, reason, madeAt, expiresAt, madeBy }

        var id: String
        var target: BlockTarget
        var reason: String
        var madeAt: Int64
        var expiresAt: Int64?
        var madeBy: String

        init(from decoder: any Decoder) throws {
            let values = try decoder.strictContainer(CodingKeys.self)
            id = try values.decode(String.self, forKey: .id)
            target = try values.decode(BlockTarget.self, forKey: .target)
            reason = try values.decode(String.self, forKey: .reason)
            madeAt = try values.decode(Int64.self, forKey: .madeAt)
            expiresAt = try values.decodeIfPresent(Int64.self, forKey: .expiresAt)
            madeBy = try values.decode(String.self, forKey: .madeBy)
            let isFit = isID(id) && isText(reason) && isText(madeBy) && isTime(madeAt)
            guard isFit, expiresAt.map(isTime) ?? true else { throw decoder.refusal("a block") }
        }
    }

    struct BlockTarget: Decodable, Equatable {
        private enum CodingKeys: String, CodingKey, CaseIterable { case kind, value }

        var kind: String
        var value: String

        init(_ kind: String, _ value: String) { (self.kind, self.value) = (kind, value) }

        init(from decoder: any Decoder) throws {
            let values = try decoder.strictContainer(CodingKeys.self)
            kind = try values.decode(String.self, forKey: .kind)
            value = try values.decode(String.self, forKey: .value)
            let isFit =
                switch kind {
                case "everything": value.isEmpty
                case "keyStore": value.hasPrefix("/")
                case "key": (1...255).contains(value.utf8.count)
                case "principal": value.hasPrefix("arn:")
                default: false
                }
            guard isFit else { throw decoder.refusal("a target") }
        }
    }

    struct BlockLift: Decodable {
        private enum CodingKeys: String, CodingKey, CaseIterable { case id, liftedAt, liftedBy }

        var id: String
        var liftedAt: Int64
        var liftedBy: String

        init(from decoder: any Decoder) throws {
            let values = try decoder.strictContainer(CodingKeys.self)
            id = try values.decode(String.self, forKey: .id)
            liftedAt = try values.decode(Int64.self, forKey: .liftedAt)
            liftedBy = try values.decode(String.self, forKey: .liftedBy)
            guard isID(id), isText(liftedBy), isTime(liftedAt) else { throw decoder.refusal("a lift") }
        }
    }

    /// What it reads of the answer.
    struct BlockReply: Decodable {
        var list: BlockList
        var durable: Bool
    }

    private static func isID(_ id: String) -> Bool {
        id.utf8.count == 32 && id.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    private static func isText(_ text: String) -> Bool { (1...256).contains(text.utf8.count) }

    private static func isTime(_ seconds: Int64) -> Bool { (0...253_402_300_799).contains(seconds) }
}

private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

extension Decoder {
    /// The object's members. Throws when one has a name that `Keys` does not list.
    fileprivate func strictContainer<Keys: CodingKey & CaseIterable>(
        _ keys: Keys.Type
    ) throws -> KeyedDecodingContainer<Keys> {
        let known = Set(Keys.allCases.map(\.stringValue))
        let present = try container(keyedBy: AnyKey.self).allKeys
        if let stranger = present.first(where: { !known.contains($0.stringValue) }) {
            throw refusal("A member \"\(stranger.stringValue)\" is not known.")
        }
        return try container(keyedBy: keys)
    }

    fileprivate func refusal(_ text: String) -> DecodingError {
        .dataCorrupted(.init(codingPath: codingPath, debugDescription: text))
    }
}
