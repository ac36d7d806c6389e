// SPDX-License-Identifier: Apache-2.0

/// What a collector answers to a message that it takes (ExportTraceServiceResponse of the OpenTelemetry Protocol, in JSON).
package enum ExportResponse {
    /// How many spans it has not taken all the same: `partialSuccess.rejectedSpans`, a number or, as JSON has 64-bit ones, a
    /// string. 0 where it says nothing, or what makes no sense. Looks no deeper than for that word: whatever a collector
    /// sends is read in one go.
    package static func rejectedSpans(_ body: [UInt8]) -> Int {
        let word = Array(#""rejectedSpans""#.utf8)
        guard let start = body.firstRange(of: word)?.upperBound else { return 0 }
        let rest = body[start...].drop { [0x20, 0x09, 0x0A, 0x0D, UInt8(ascii: ":"), UInt8(ascii: "\"")].contains($0) }
        let digits = rest.prefix { (0x30...0x39).contains($0) }
        guard digits.count <= 18 else { return Int.max }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }
}
