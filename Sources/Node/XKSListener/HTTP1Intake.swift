// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import XKSProtocol

/// Requests that were read while another one of the same connection is in work, in their order.
///
/// Bounded twice: by the number of requests, and by the bytes of body. What comes beyond is dropped together with
/// everything after it, and the connection ends when the requests before it are answered.
struct HTTP1Intake {
    enum Item {
        case part(HTTPServerRequestPart)
        case failure(Refusal)
    }

    private let requestLimit: Int
    private let byteLimit: Int
    private var items = CircularBuffer<Item>()
    private var requests = 0
    private var bytes = 0

    /// Something was dropped: nothing may be taken in any more.
    private(set) var hasOverflowed = false

    init(requestLimit: Int, byteLimit: Int) {
        self.requestLimit = requestLimit
        self.byteLimit = byteLimit
    }

    var isEmpty: Bool { items.isEmpty }

    mutating func append(_ item: Item) {
        guard !hasOverflowed else { return Self.discard(item) }
        switch item {
        case .part(.head): requests += 1
        case .part(.body(let piece)): bytes += piece.readableBytes
        case .part(.end), .failure: break
        }
        if requests > requestLimit || bytes > byteLimit {
            hasOverflowed = true
            return Self.discard(item)
        }
        items.append(item)
    }

    mutating func popFirst() -> Item? {
        guard let item = items.popFirst() else { return nil }
        switch item {
        case .part(.head): requests -= 1
        case .part(.body(let piece)): bytes -= piece.readableBytes
        case .part(.end), .failure: break
        }
        return item
    }

    /// Drops everything, bodies overwritten.
    mutating func removeAll() {
        while let item = items.popFirst() { Self.discard(item) }
        requests = 0
        bytes = 0
    }

    private static func discard(_ item: Item) {
        if case .part(.body(let piece)) = item { piece.overwriteConsumedBytes() }
    }
}

extension RequestHead {
    /// From the HTTP/1 parser's head.
    init(_ head: HTTPRequestHead) {
        var fields: [HeaderField] = []
        fields.reserveCapacity(head.headers.count)
        for (name, value) in head.headers { fields.append(HeaderField(name: name, value: value)) }
        self.init(
            version: head.version.minor == 0 ? .http10 : .http11, method: head.method.rawValue, target: head.uri,
            headers: fields)
    }
}

extension Refusal {
    /// What an error of the HTTP/1 parser means for the client.
    init(parserError: any Error) {
        switch parserError {
        case let error as HTTPParserError where error == .headerOverflow: self = .headerTooLarge
        case is ByteToMessageDecoderError.PayloadTooLargeError: self = .headerTooLarge
        default: self = .malformed
        }
    }
}
