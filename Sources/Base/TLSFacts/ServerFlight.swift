// SPDX-License-Identifier: Apache-2.0

/// What a handshake has agreed on.
package struct HandshakeFacts: Hashable, Sendable {
    /// `TLSv1.3`, `TLSv1.2`.
    package var version: String
    /// Of the key exchange, by the name of IANA's registry (TLS Supported Groups); `0x11ec` where it has none here, and
    /// empty where the handshake has none of its own: a session of TLS 1.2 that was taken up again.
    package var group: String
    /// By the name of IANA's registry (TLS Cipher Suites).
    package var suite: String

    package init(version: String, group: String, suite: String) {
        self.version = version
        self.group = group
        self.suite = suite
    }
}

/// Reads the first messages that a TLS server sends, which are in clear: ServerHello (RFC 8446 section 4.1.3, RFC 5246
/// section 7.4.1.3) and, for TLS 1.2, ServerKeyExchange (RFC 8422 section 5.4). SwiftNIO's TLS does not say which group
/// was negotiated.
///
/// Given bytes as they come, in any pieces. Never longer than `limit`; whatever does not follow the form ends it.
package struct ServerFlight: Sendable {
    /// Bytes that are looked at. A chain of certificates stands between ServerHello and ServerKeyExchange of TLS 1.2.
    package static let limit = 65_536

    package enum Reading: Sendable, Equatable {
        case more
        /// Nothing further is to be read.
        case done(HandshakeFacts?)
    }

    private var pending: [UInt8] = []
    /// Handshake messages without the record layer, as far as they are not taken apart.
    private var messages: [UInt8] = []
    private var count = 0
    private var hello: HandshakeFacts?
    private var isOver = false

    package init() {}

    /// What is known after these bytes.
    package mutating func read(_ bytes: some Collection<UInt8>) -> Reading {
        guard !isOver else { return .done(hello) }
        guard bytes.count <= Self.limit - count else { return end(nil) }
        count += bytes.count
        pending += bytes
        while let record = Cursor.record(&pending) {
            switch record.type {
            // TLS 1.3 sends one for middleboxes that know earlier versions only (RFC 8446 appendix D.4); in TLS 1.2 it
            // comes without a ServerKeyExchange where a session is taken up again.
            case RecordType.changeCipherSpec:
                if hello?.version == Version.tls12 { return end(hello) }
                continue
            case RecordType.handshake: messages += record.body
            default: return end(nil)
            }
            if let reading = readMessages() { return reading }
        }
        return .more
    }

    private mutating func readMessages() -> Reading? {
        while let message = Cursor.message(&messages) {
            switch message.type {
            case MessageType.serverHello:
                guard let read = ServerHello(message.body) else { return end(nil) }
                // The client is to try again with another group: the next ServerHello counts.
                if read.isRetryRequest { continue }
                if read.facts.version == Version.tls13 { return end(read.facts) }
                hello = read.facts
            case MessageType.serverKeyExchange:
                var facts = hello
                facts?.group = Self.group(ofKeyExchange: message.body)
                return end(facts)
            case MessageType.serverHelloDone: return end(hello)
            default: continue
            }
        }
        return nil
    }

    private mutating func end(_ facts: HandshakeFacts?) -> Reading {
        isOver = true
        hello = facts
        pending = []
        messages = []
        return .done(facts)
    }

    /// curve_type named_curve (3), then the curve.
    private static func group(ofKeyExchange body: [UInt8]) -> String {
        var cursor = Cursor(body)
        guard cursor.byte() == 3, let group = cursor.word() else { return "" }
        return TLSNames.group(group)
    }
}

private enum RecordType {
    static let changeCipherSpec: UInt8 = 20
    static let handshake: UInt8 = 22
}

private enum MessageType {
    static let serverHello: UInt8 = 2
    static let serverKeyExchange: UInt8 = 12
    static let serverHelloDone: UInt8 = 14
}

private enum Version {
    static let tls12 = "TLSv1.2"
    static let tls13 = "TLSv1.3"
}

/// What is looked at of a ServerHello.
private struct ServerHello {
    var facts: HandshakeFacts
    var isRetryRequest: Bool

    /// SHA-256 of "HelloRetryRequest" (RFC 8446 section 4.1.3).
    private static let retryRandom: [UInt8] = [
        0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91, 0xC2, 0xA2,
        0x11,
        0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
    ]
    private static let supportedVersions: UInt16 = 43
    private static let keyShare: UInt16 = 51

    init?(_ body: [UInt8]) {
        var cursor = Cursor(body)
        guard var version = cursor.word(), let random = cursor.bytes(32), let session = cursor.byte(),
            cursor.bytes(Int(session)) != nil, let suite = cursor.word(), cursor.byte() != nil
        else { return nil }
        var group = ""
        if let length = cursor.word() {
            guard let extensions = cursor.bytes(Int(length)) else { return nil }
            var rest = Cursor(extensions)
            while let type = rest.word() {
                guard let length = rest.word(), let content = rest.bytes(Int(length)) else { return nil }
                var value = Cursor(content)
                switch type {
                case Self.supportedVersions:
                    guard let chosen = value.word() else { return nil }
                    version = chosen
                case Self.keyShare:
                    guard let chosen = value.word() else { return nil }
                    group = TLSNames.group(chosen)
                default: continue
                }
            }
        }
        isRetryRequest = random == Self.retryRandom
        facts = HandshakeFacts(version: TLSNames.version(version), group: group, suite: TLSNames.suite(suite))
    }
}

/// Takes big-endian numbers and bytes from the front.
private struct Cursor {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func byte() -> UInt8? { rest.popFirst() }

    mutating func word() -> UInt16? {
        guard let high = rest.popFirst(), let low = rest.popFirst() else { return nil }
        return UInt16(high) << 8 | UInt16(low)
    }

    mutating func bytes(_ count: Int) -> [UInt8]? {
        guard rest.count >= count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    /// A whole record; `nil` where more bytes are needed.
    static func record(_ bytes: inout [UInt8]) -> (type: UInt8, body: [UInt8])? {
        guard bytes.count >= 5 else { return nil }
        let length = Int(bytes[3]) << 8 | Int(bytes[4])
        guard bytes.count >= 5 + length else { return nil }
        defer { bytes.removeFirst(5 + length) }
        return (bytes[0], Array(bytes[5..<5 + length]))
    }

    /// A whole handshake message; `nil` where more bytes are needed.
    static func message(_ bytes: inout [UInt8]) -> (type: UInt8, body: [UInt8])? {
        guard bytes.count >= 4 else { return nil }
        let length = Int(bytes[1]) << 16 | Int(bytes[2]) << 8 | Int(bytes[3])
        guard bytes.count >= 4 + length else { return nil }
        defer { bytes.removeFirst(4 + length) }
        return (bytes[0], Array(bytes[4..<4 + length]))
    }
}

/// Names of numbers in IANA's registry "Transport Layer Security (TLS) Parameters", as far as a node negotiates them.
enum TLSNames {
    static func version(_ number: UInt16) -> String {
        switch number {
        case 0x0303: Version.tls12
        case 0x0304: Version.tls13
        default: hexadecimal(number)
        }
    }

    static func group(_ number: UInt16) -> String {
        switch number {
        case 0x0017: "secp256r1"
        case 0x0018: "secp384r1"
        case 0x001D: "x25519"
        case 0x11EC: "X25519MLKEM768"
        default: hexadecimal(number)
        }
    }

    static func suite(_ number: UInt16) -> String {
        switch number {
        case 0x1301: "TLS_AES_128_GCM_SHA256"
        case 0x1302: "TLS_AES_256_GCM_SHA384"
        case 0x1303: "TLS_CHACHA20_POLY1305_SHA256"
        case 0xC02C: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
        case 0xC030: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
        default: hexadecimal(number)
        }
    }

    private static func hexadecimal(_ number: UInt16) -> String {
        let digits = String(number, radix: 16)
        return "0x" + String(repeating: "0", count: 4 - digits.count) + digits
    }
}
