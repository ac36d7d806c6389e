// SPDX-License-Identifier: Apache-2.0

/// Which trace a request belongs to, as the W3C's Trace Context (level 1) has it.
package struct TraceContext: Sendable, Equatable {
    /// The trace's 16 bytes; not all of them are 0.
    package var traceHigh: UInt64
    package var traceLow: UInt64
    /// Of the span that what follows is a part of; not 0.
    package var spanID: UInt64

    package init(traceHigh: UInt64, traceLow: UInt64, spanID: UInt64) {
        self.traceHigh = traceHigh
        self.traceLow = traceLow
        self.spanID = spanID
    }

    /// `00-…-…-01`: version 00, sampled.
    package var traceparent: String { "00-\(traceID)-\(Self.hex(spanID))-01" }

    /// 32 lower-case hexadecimal digits.
    package var traceID: String { Self.hex(traceHigh) + Self.hex(traceLow) }

    /// `nil` where it is of another form, or not sampled.
    package init?(traceparent: String) {
        // The ids stand at fixed places; only the length is looked at before the text is taken apart.
        guard traceparent.utf8.count == 55 else { return nil }
        let parts = traceparent.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "00", parts[1].utf8.count == 32, parts[3] == "01",
            let high = Self.number(parts[1].prefix(16)), let low = Self.number(parts[1].dropFirst(16)),
            let span = Self.number(parts[2]), high | low != 0, span != 0
        else { return nil }
        self.init(traceHigh: high, traceLow: low, spanID: span)
    }

    /// 16 lower-case hexadecimal digits.
    package static func hex(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    private static func number(_ text: Substring) -> UInt64? {
        guard text.utf8.count == 16,
            text.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { return nil }
        return UInt64(text, radix: 16)
    }
}

/// What was recorded of a request that is traced: its place in the trace, and what was asked of others for it.
package struct RequestRecording: Sendable, Equatable {
    /// What somebody was asked for on behalf of the request.
    package struct Call: Sendable, Equatable {
        package enum Purpose: Sendable, Equatable {
            /// An HSM's key was to do it.
            case encrypt, decrypt
            /// An HSM was to open what it must be able to open, since it had refused a ciphertext.
            case check
            /// Another node was to answer.
            case forward
        }

        package var spanID: UInt64
        package var purpose: Purpose
        /// Name of the HSM or the node; `nil` where none was asked in the end.
        package var target: String?
        /// CLOCK_MONOTONIC, nanoseconds.
        package var startedAt: UInt64
        package var endedAt: UInt64
        /// What came of it, for people.
        package var outcome: String
        package var hasFailed: Bool

        package init(
            spanID: UInt64, purpose: Purpose, target: String?, startedAt: UInt64, endedAt: UInt64, outcome: String,
            hasFailed: Bool
        ) {
            self.spanID = spanID
            self.purpose = purpose
            self.target = target
            self.startedAt = startedAt
            self.endedAt = endedAt
            self.outcome = outcome
            self.hasFailed = hasFailed
        }
    }

    /// Of the request's own span.
    package var context: TraceContext
    /// The span of the node that has passed the request on; `nil` where the request begins the trace.
    package var parentID: UInt64?
    /// In the order in which they began.
    package var calls: [Call]

    package init(context: TraceContext, parentID: UInt64?, calls: [Call]) {
        self.context = context
        self.parentID = parentID
        self.calls = calls
    }

    /// One of the request, and one for each call.
    package var spanCount: Int { 1 + calls.count }
}
