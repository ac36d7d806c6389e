// SPDX-License-Identifier: Apache-2.0

/// Finds what somebody probably meant to write, in a file or on the command line.
package enum NearestName {
    /// The candidate that is fewest slips away from `name`, when it is near enough to be meant: at most one slip in
    /// three letters, or one is the beginning or end of the other.
    package static func find(_ name: String, among candidates: [String]) -> String? {
        let near = candidates.map { (name: $0, distance: distance(Array(name.utf8), Array($0.utf8))) }
            .min { ($0.distance, $0.name) < ($1.distance, $1.name) }
        if let near, near.distance < min(name.utf8.count, near.name.utf8.count),
            near.distance <= (max(name.utf8.count, near.name.utf8.count) + 1) / 3
        {
            return near.name
        }
        guard name.utf8.count >= 3 else { return nil }
        return candidates.first { $0.hasPrefix(name) || name.hasPrefix($0) || $0.hasSuffix(name) }
    }

    /// The number of letters added, left out, replaced, or swapped with their neighbour (the optimal string alignment
    /// distance), in three rows. The names are short: a key has at most `TOMLLimits.keyLength` bytes.
    static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforePrevious: [Int] = []
        var previous = Array(0...right.count)
        for row in left.indices {
            var current = [row + 1]
            current.reserveCapacity(previous.count)
            for column in right.indices {
                let replaced = previous[column] + (left[row] == right[column] ? 0 : 1)
                var best = min(replaced, previous[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    best = min(best, beforePrevious[column - 1] + 1)
                }
                current.append(best)
            }
            beforePrevious = previous
            previous = current
        }
        return previous[right.count]
    }
}
