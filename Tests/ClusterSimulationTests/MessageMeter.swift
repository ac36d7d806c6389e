// SPDX-License-Identifier: Apache-2.0
import Foundation
import Gossip

/// Counts the bytes of messages, as JSON. Encoding is slow, so only one in so many messages of each kind is weighed.
struct MessageMeter {
    static let sample = 16
    /// HTTP/1.1 request or status line with headers, and a TLS record.
    static let frame = 230

    private(set) var bytes: Double = 0
    private(set) var messages = 0
    private(set) var largest = 0
    private let encoder = JSONEncoder()

    mutating func count(_ message: GossipMessage, by node: Int) {
        messages += 1
        let isExchange = message.kind == .exchange
        guard isExchange || messages % Self.sample == 0 else { return }
        guard let size = try? encoder.encode(message).count else { return }
        largest = max(largest, size)
        bytes += Double(size + Self.frame) * Double(isExchange ? 1 : Self.sample)
    }
}
