// SPDX-License-Identifier: Apache-2.0

/// How often peers of one address were turned away for one reason, since the start of the node.
package struct RefusalStatus: Sendable, Equatable, Codable {
    /// `xks`, `control`, `cluster` or `admin`; a later version may name others.
    package var listener: String
    /// Why, in a word that does not change (`docs/reference/log.md`).
    package var kind: String
    /// An IPv4 address or the /64 of an IPv6 address; `nil` for those that there was no room to tell apart.
    package var address: String?
    package var count: Int
    /// Seconds since 1970 UTC of the first and of the last time.
    package var first: Int64
    package var last: Int64
    /// What was found the last time, for example by the TLS library.
    package var detail: String?
    /// Why this happens most often, and what to do.
    package var cause: String

    package init(
        listener: String, kind: String, address: String?, count: Int, first: Int64, last: Int64, detail: String?,
        cause: String
    ) {
        self.listener = listener
        self.kind = kind
        self.address = address
        self.count = count
        self.first = first
        self.last = last
        self.detail = detail
        self.cause = cause
    }
}

/// The log of a node, since its start.
package struct LogStatus: Sendable, Equatable, Codable {
    /// Below it nothing is logged.
    package var level: String
    /// Lines that were dropped because their reader did not keep up, by what they were: `refused`, `ordinary`,
    /// `authenticated`, `orders`.
    package var dropped: [String: Int]
    /// Refused requests of unknown clients that had no line of their own, because there were too many.
    package var withheld: Int
    /// Bytes that wait to be written.
    package var waitingBytes: Int

    package init(level: String, dropped: [String: Int], withheld: Int, waitingBytes: Int) {
        self.level = level
        self.dropped = dropped
        self.withheld = withheld
        self.waitingBytes = waitingBytes
    }
}
