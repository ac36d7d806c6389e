// SPDX-License-Identifier: Apache-2.0

/// Which requests are traced: a share of those that begin a trace, chosen by KMS's id of the request. So the same ones are
/// chosen at each node with the same share, and KMS's second try of a request is traced where the first was. Pure.
package struct TraceSampler: Sendable, Equatable {
    /// What the number that is made of an id must be less than.
    private let threshold: UInt64
    private let takesAll: Bool

    /// - Parameter ratio: 0 to 1; what is beyond counts as the nearest.
    package init(ratio: Double) {
        takesAll = ratio >= 1
        // 2^64 itself is no UInt64; 2^-53 less is nearer than anybody can write.
        threshold = ratio > 0 ? UInt64(min(ratio, 1 - 0x1p-53) * 0x1p64) : 0
    }

    package func takes(_ requestID: String) -> Bool { takesAll || Self.number(of: requestID) < threshold }

    /// FNV-1a over the bytes (Fowler, Noll, Vo), its bits then mixed by the finalizer of SplitMix64 (Steele, Lea and Flood
    /// 2014): ids that differ in one digit are as far apart as any.
    private static func number(of text: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        hash = (hash ^ (hash >> 30)) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ (hash >> 27)) &* 0x94D0_49BB_1331_11EB
        return hash ^ (hash >> 31)
    }
}
