// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Foundation

/// Reads the body of an order. It is refused unless it says one thing, and says nothing that is not understood: an
/// operator who writes `principle` must not end up with a block of something else, or of nothing.
enum OrderBody {
    /// Longest user name, bytes.
    static let longestUser = 64

    static func block(_ body: [UInt8]) throws(AdminRequest.Refusal) -> BlockOrder {
        try requireFields(
            body, ["everything", "keyStore", "key", "principal", "reason", "expiresInSeconds", "user"])
        let order = try decoded(BlockOrder.self, body)
        try require(user: order.user)
        try requireTrue(order.everything, "everything")
        let targets = given([
            ("everything", order.everything != nil), ("keyStore", order.keyStore != nil), ("key", order.key != nil),
            ("principal", order.principal != nil),
        ])
        guard targets.count == 1 else {
            throw .malformed(
                (targets.isEmpty
                    ? "what is to be blocked is missing" : "\(targets.joined(separator: " and ")) are given")
                    + ": give one of everything, keyStore, key, principal")
        }
        try requireText(order.keyStore, "keyStore")
        try requireText(order.key, "key")
        try requireText(order.principal, "principal")
        guard order.reason.contains(where: { !$0.isWhitespace }) else {
            throw .malformed("reason is empty: say in a few words why, for those who find the block")
        }
        if let seconds = order.expiresInSeconds, seconds < 1 {
            throw .malformed(
                "expiresInSeconds is \(seconds): give 1 or more, or leave it out for a block without an end")
        }
        return order
    }

    static func lift(_ body: [UInt8]) throws(AdminRequest.Refusal) -> LiftOrder {
        try requireFields(body, ["id", "everything", "keyStore", "key", "principal", "confirmUnknown", "user"])
        let order = try decoded(LiftOrder.self, body)
        try require(user: order.user)
        try requireTrue(order.everything, "everything")
        try requireTrue(order.confirmUnknown, "confirmUnknown")
        let targets = given([
            ("id", order.id != nil), ("everything", order.everything != nil), ("keyStore", order.keyStore != nil),
            ("key", order.key != nil), ("principal", order.principal != nil),
            ("confirmUnknown", order.confirmUnknown != nil),
        ])
        guard targets.count == 1 else {
            throw .malformed(
                (targets.isEmpty
                    ? "what is to be lifted is missing" : "\(targets.joined(separator: " and ")) are given")
                    + ": give one of id, everything, keyStore, key, principal, confirmUnknown")
        }
        try requireText(order.id, "id")
        try requireText(order.keyStore, "keyStore")
        try requireText(order.key, "key")
        try requireText(order.principal, "principal")
        return order
    }

    static func bootstrap(_ body: [UInt8]) throws(AdminRequest.Refusal) -> BootstrapOrder {
        try requireFields(body, ["user"])
        let order = try decoded(BootstrapOrder.self, body)
        try require(user: order.user)
        return order
    }

    // MARK: -

    private static func given(_ fields: [(name: String, isGiven: Bool)]) -> [String] {
        fields.filter(\.isGiven).map(\.name)
    }

    private static func requireTrue(_ value: Bool?, _ name: String) throws(AdminRequest.Refusal) {
        guard value != false else { throw .malformed("\(name) is false: give true, or leave it out") }
    }

    private static func requireText(_ value: String?, _ name: String) throws(AdminRequest.Refusal) {
        guard value?.isEmpty != true else { throw .malformed("\(name) is empty: name one, or leave it out") }
    }

    private static func require(user: String) throws(AdminRequest.Refusal) {
        let isPlain = user.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7F }
        guard isPlain, (1...longestUser).contains(user.utf8.count) else {
            throw .malformed("user must be a user's name, 1 to \(longestUser) bytes without blanks")
        }
    }

    private static func requireFields(_ body: [UInt8], _ known: [String]) throws(AdminRequest.Refusal) {
        let fields: Fields
        do {
            fields = try JSONDecoder().decode(Fields.self, from: Data(body))
        } catch {
            throw .malformed(
                body.isEmpty
                    ? "the body is empty: give a JSON object with \(known.joined(separator: ", "))"
                    : "the body is no JSON object")
        }
        let unknown = fields.names.filter { !known.contains($0) }.sorted()
        guard let first = unknown.first else { return }
        throw .malformed("there is no field \(first.prefix(64)): it may be \(known.joined(separator: ", "))")
    }

    private static func decoded<Order: Decodable>(
        _ type: Order.Type, _ body: [UInt8]
    ) throws(AdminRequest.Refusal) -> Order {
        do {
            return try JSONDecoder().decode(type, from: Data(body))
        } catch DecodingError.keyNotFound(let key, _) {
            throw .malformed("\(key.stringValue) is missing")
        } catch DecodingError.valueNotFound(_, let context) {
            throw .malformed("\(name(context)) is null: give a value")
        } catch DecodingError.typeMismatch(let type, let context) {
            throw .malformed("\(name(context)) must be \(word(for: type))")
        } catch DecodingError.dataCorrupted {
            // It is an object of known members by now: what is left is a number that no Int64 can hold.
            throw .malformed("expiresInSeconds must be a whole number")
        } catch {
            throw .malformed("the body cannot be read")
        }
    }

    private static func name(_ context: DecodingError.Context) -> String {
        context.codingPath.last?.stringValue ?? "the body"
    }

    private static func word(for type: any Any.Type) -> String {
        switch type {
        case is String.Type: "a string"
        case is Bool.Type: "true or left out"
        case is Int64.Type: "a whole number"
        default: "of another type"
        }
    }
}

/// The names of an object's members, whatever they are.
private struct Fields: Decodable {
    private struct Name: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    var names: [String]

    init(from decoder: any Decoder) throws {
        names = try decoder.container(keyedBy: Name.self).allKeys.map(\.stringValue)
    }
}
