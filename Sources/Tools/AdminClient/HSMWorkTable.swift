// SPDX-License-Identifier: Apache-2.0
import AdminProtocol

/// What each HSM does, and what it could, for people: pure. A part of the node's status; no line is longer than that.
enum HSMWorkTable {
    /// Nothing where no HSM's work is known. HSMs keep the numbers that they have in the table of states.
    static func lines(_ hsms: [HSMStatus], names: [String]) -> [String] {
        guard hsms.contains(where: { $0.work != nil }) else { return [] }
        let width = max(names.map(Terminal.width).max() ?? 0, 3)
        let head =
            Terminal.right("#", 2) + "  " + Terminal.left("HSM", width)
            + "  calls/s  can do/s  at a time  longest wait ms  thrown away"
        return zip(hsms, names).enumerated().reduce(into: [head]) { lines, row in
            let (index, (hsm, name)) = row
            guard let work = hsm.work else { return }
            lines.append(
                Terminal.right("\(index + 1)", 2) + "  " + Terminal.left(name, width)
                    + "  " + Terminal.right("\(work.callsPerSecond)", 7)
                    + "  " + Terminal.right(hsm.learned?.callsPerSecond.map { "\($0)" } ?? "-", 8)
                    + "  " + Terminal.right(hsm.learned.map { "\($0.usefulCalls)" } ?? "-", 9)
                    + "  " + Terminal.right(work.longestWaitMicroseconds.map(StatusTable.milliseconds) ?? "-", 15)
                    + "  " + Terminal.right("\(work.thrownAway)", 11))
        }
    }
}
