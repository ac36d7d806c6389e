// SPDX-License-Identifier: Apache-2.0
import StatusVocabulary

/// What others say of a node's clock. No single one is believed: a peer's clock may be the wrong one, and whoever holds a
/// credential can sign any time.
package struct ClockFacts: Sendable, Equatable {
    /// By name of a live peer, its clock minus this node's, milliseconds.
    package var peers: [String: Int64]
    /// This node's clock minus that of KMS, seconds, by the last valid signature within the tolerance; `nil` where none came
    /// in the last minute.
    package var tolerated: Int64?
    /// The same of valid signatures beyond the tolerance, of the last minute, since the last one within it; none where they
    /// have not come over some seconds.
    package var beyond: [Int64]

    package init(peers: [String: Int64] = [:], tolerated: Int64? = nil, beyond: [Int64] = []) {
        self.peers = peers
        self.tolerated = tolerated
        self.beyond = beyond
    }

    /// From this difference to most peers on people are informed, milliseconds.
    static let notable: Int64 = 2_000
    /// From this difference to KMS on people are informed, seconds: requests wait, and KMS signs whole seconds.
    static let notableSigned: Int64 = 15
    /// How far signed times may be off until KMS's requests are refused, seconds (SigV4).
    static let tolerance: Int64 = 300
    /// So many valid signatures beyond the tolerance, within a minute of each other, agree.
    static let fewestBeyond = 3

    /// What is wrong with this node's clock, and whether everything is refused for it; `nil` where nothing is.
    ///
    /// - Returns: `isCertain` where it is not signatures alone that say so: requests may be held back on their way, or sent
    ///   again by somebody.
    var flaw: (text: String, isCertain: Bool, isCritical: Bool)? {
        let offset = majority(beyond: Self.notable)
        let refuses = allBeyond.map { skew in
            "every request of KMS in the last minute was refused with `clock-skew`: it was signed \(words(0 &- skew)) by this "
                + "node's clock"
        }
        let isCritical = refuses != nil && majority(beyond: Self.tolerance * 1_000) != nil
        var texts: [String] = []
        if let offset {
            let names = peers.keys.sorted().prefix(5).joined(separator: ", ")
            texts.append("the clocks of most peers (of \(names)) are \(words(offset / 1_000))")
        }
        if let refuses {
            texts.append(refuses)
        } else if let tolerated, tolerated.magnitude >= Self.notableSigned.magnitude {
            texts.append("KMS signed its last request \(words(0 &- tolerated)) by this node's clock")
        } else if agreed != nil {
            // They are sampled: how many there were is not known.
            texts.append("validly signed requests were refused in the last minute as out of time")
        }
        return texts.isEmpty
            ? nil : (text: texts.joined(separator: "; "), isCertain: offset != nil, isCritical: isCritical)
    }

    /// The median of the peers' clocks, where more than half of them are so far off in one direction.
    private func majority(beyond limit: Int64) -> Int64? {
        let sorted = peers.values.sorted()
        let isAhead = sorted.count { $0 >= limit } * 2 > sorted.count
        let isBehind = sorted.count { $0 <= -limit } * 2 > sorted.count
        return isAhead || isBehind ? sorted[sorted.count / 2] : nil
    }

    /// No signature was in time, and those that were not agree with each other.
    private var allBeyond: Int64? { tolerated == nil ? agreed : nil }

    /// Several signatures beyond the tolerance that agree with each other.
    private var agreed: Int64? {
        guard beyond.count >= Self.fewestBeyond, let least = beyond.min(), let most = beyond.max(),
            !most.subtractingReportingOverflow(least).overflow, most - least <= 60
        else { return nil }
        return beyond.sorted()[beyond.count / 2]
    }

    private func words(_ seconds: Int64) -> String {
        "\(seconds.magnitude) s \(seconds < 0 ? "behind" : "ahead")"
    }
}
