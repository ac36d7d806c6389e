// SPDX-License-Identifier: Apache-2.0
import Chance

/// In which order members are probed: each once per round, in an order that is drawn anew for each round (SWIM section
/// 4.3). That bounds the time until a given member is probed to two rounds, and keeps nodes from probing in step.
struct ProbeRotation: Sendable {
    /// When the next probe is due, nanoseconds.
    var due: UInt64
    private(set) var names: [String] = []
    private var next = 0

    init(due: UInt64) { self.due = due }

    /// Somebody new: at a random position in what is left of the round, or of the part that is done.
    mutating func insert(_ name: String, _ dice: inout RandomChoice) {
        let position = dice.below(names.count + 1)
        names.insert(name, at: position)
        if position < next { next += 1 }
    }

    mutating func remove(_ name: String) {
        guard let position = names.firstIndex(of: name) else { return }
        names.remove(at: position)
        if position < next { next -= 1 }
    }

    /// The next one that `isFit`; `nil` when none is.
    mutating func draw(_ dice: inout RandomChoice, isFit: (String) -> Bool) -> String? {
        for _ in names.indices {
            if next >= names.count {
                dice.shuffle(&names)
                next = 0
            }
            let name = names[next]
            next += 1
            if isFit(name) { return name }
        }
        return nil
    }
}
