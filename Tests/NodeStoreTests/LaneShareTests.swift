// SPDX-License-Identifier: Apache-2.0
import Chance
import NodeStore
import Testing

@Suite("Lane shares")
struct LaneShareTests {
    private func shares(_ limit: Int, _ wanted: [Int], floor: Int = 1) -> [Int] {
        LaneShare.shares(
            of: wanted.map { .init(wanted: $0, floor: floor, granted: 0, holding: 0) }, limit: limit)
    }

    @Test("Max-min fair, by hand")
    func byHand() {
        #expect(shares(10, [10]) == [10])
        #expect(shares(10, [16]) == [10])
        #expect(shares(10, [10, 10]) == [5, 5])
        #expect(shares(11, [10, 10]) == [6, 5])
        #expect(shares(10, [2, 10]) == [2, 8])
        #expect(shares(10, [2, 10, 10]) == [2, 4, 4])
        #expect(shares(100, [2, 10, 10]) == [2, 10, 10])
        #expect(shares(10, [0, 10]) == [0, 10])
        #expect(shares(0, [4, 4]) == [0, 0])
        #expect(shares(1, [4, 4]) == [1, 0])
        #expect(shares(10, []) == [])
        // Floors that differ come before the level; floors that do not fit are shared themselves.
        #expect(
            LaneShare.shares(
                of: [
                    .init(wanted: 20, floor: 8, granted: 0, holding: 0),
                    .init(wanted: 20, floor: 1, granted: 0, holding: 0),
                ], limit: 10) == [8, 2])
        #expect(shares(5, [9, 9], floor: 4) == [3, 2])
    }

    @Test("A grant is the share, or what the others leave")
    func grants() {
        let old = LaneShare.Claimant(wanted: 10, floor: 1, granted: 10, holding: 10)
        let new = LaneShare.Claimant(wanted: 10, floor: 1, granted: 0, holding: 0)
        #expect(LaneShare.grant(to: 1, of: [old, new], limit: 10) == 0)
        #expect(LaneShare.grant(to: 0, of: [old, new], limit: 10) == 5)
        let shrinking = LaneShare.Claimant(wanted: 10, floor: 1, granted: 5, holding: 8)
        #expect(LaneShare.grant(to: 1, of: [shrinking, new], limit: 10) == 2)
        // It may open at any moment what it was granted.
        let idle = LaneShare.Claimant(wanted: 10, floor: 1, granted: 7, holding: 0)
        #expect(LaneShare.grant(to: 1, of: [idle, new], limit: 10) == 3)
        #expect(LaneShare.grant(to: 1, of: [old, new], limit: nil) == 10)
        #expect(LaneShare.grant(to: 2, of: [old, new], limit: 10) == 0)
        #expect(LaneShare.grant(to: -1, of: [old, new], limit: 10) == 0)
    }

    @Test("Numbers from a damaged file do no harm")
    func hostileNumbers() {
        let numbers = [Int.min, -1, 0, 5, Int.max]
        for wanted in numbers {
            for other in numbers {
                for limit in numbers {
                    let claimants = [
                        LaneShare.Claimant(wanted: wanted, floor: other, granted: other, holding: wanted),
                        LaneShare.Claimant(wanted: other, floor: wanted, granted: wanted, holding: other),
                    ]
                    for index in 0..<2 {
                        let grant = LaneShare.grant(to: index, of: claimants, limit: limit)
                        #expect((0...LaneShare.most).contains(grant))
                        #expect(grant <= max(0, limit))
                    }
                }
            }
        }
    }

    @Test("Shares fit the limit, waste nothing, and are fair", arguments: 0..<300 as Range<UInt64>)
    func fairness(seed: UInt64) {
        var random = RandomChoice(seed: seed)
        let limit = Int.random(in: 0...40, using: &random)
        let claimants = (0..<Int.random(in: 1...6, using: &random)).map { _ in
            let wanted = Int.random(in: 0...20, using: &random)
            return LaneShare.Claimant(wanted: wanted, floor: 1, granted: 0, holding: 0)
        }
        let shares = LaneShare.shares(of: claimants, limit: limit)
        let sum = shares.reduce(0, +)
        #expect(sum == min(limit, claimants.map(\.wanted).reduce(0, +)))
        for (mine, share) in zip(claimants, shares) {
            #expect((0...mine.wanted).contains(share))
            // Who has less than it wants has as much as anybody, but for the one that does not divide.
            if share < mine.wanted { #expect(share >= (shares.max() ?? 0) - 1) }
        }
    }

    /// A process that asks, and closes and opens sessions as it pleases within what it was granted.
    private struct Process {
        var claimant: LaneShare.Claimant
        var holds = 0
    }

    @Test("Whatever the order of events, what is held never exceeds the limit", arguments: 0..<200 as Range<UInt64>)
    func neverTooMany(seed: UInt64) {
        var random = RandomChoice(seed: seed)
        let limit = Int.random(in: 1...24, using: &random)
        var processes: [Process] = []
        for _ in 0..<400 {
            if processes.isEmpty || (processes.count < 5 && Int.random(in: 0..<20, using: &random) == 0) {
                let wanted = Int.random(in: 0...20, using: &random)
                processes.append(
                    Process(claimant: .init(wanted: wanted, floor: min(2, wanted), granted: 0, holding: 0)))
            }
            let index = Int.random(in: 0..<processes.count, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0 where processes.count > 1:
                processes.remove(at: index)
            case 1...3:
                // Opens up to what it was granted.
                let granted = processes[index].claimant.granted
                if processes[index].holds < granted {
                    processes[index].holds = Int.random(in: processes[index].holds...granted, using: &random)
                }
            case 4...6:
                processes[index].holds = Int.random(in: 0...processes[index].holds, using: &random)
            default:
                ask(&processes, index, limit, wanted: Int.random(in: 0...20, using: &random))
            }
            #expect(processes.map(\.holds).reduce(0, +) <= limit)
            #expect(processes.map(\.claimant.occupied).reduce(0, +) <= limit)
        }
    }

    @Test(
        "When all ask again, a newcomer has its floor after two rounds, and all have their shares after three",
        arguments: 0..<200 as Range<UInt64>)
    func convergence(seed: UInt64) {
        var random = RandomChoice(seed: seed)
        let floor = 2
        let count = Int.random(in: 2...5, using: &random)
        let limit = Int.random(in: (floor * count)...40, using: &random)
        var processes = (0..<count).map { _ in
            Process(
                claimant: .init(
                    wanted: Int.random(in: floor...20, using: &random), floor: floor, granted: 0, holding: 0))
        }
        // All but the last have settled before it comes.
        var settled = Array(processes.dropLast())
        for _ in 0..<3 { round(&settled, limit, &random) }
        processes.replaceSubrange(0..<settled.count, with: settled)
        round(&processes, limit, &random)
        round(&processes, limit, &random)
        #expect(processes[count - 1].holds >= floor)
        round(&processes, limit, &random)
        #expect(processes.map(\.holds) == LaneShare.shares(of: processes.map(\.claimant), limit: limit))
    }

    /// Each asks once, in any order; who holds too many closes them and asks again.
    private func round(_ processes: inout [Process], _ limit: Int, _ random: inout RandomChoice) {
        for index in processes.indices.shuffled(using: &random) {
            ask(&processes, index, limit)
            let granted = processes[index].claimant.granted
            let mustClose = processes[index].holds > granted
            processes[index].holds = granted
            if mustClose { ask(&processes, index, limit) }
        }
    }

    private func ask(_ processes: inout [Process], _ index: Int, _ limit: Int, wanted: Int? = nil) {
        let (old, holds) = (processes[index].claimant, processes[index].holds)
        func claimant(granted: Int) -> LaneShare.Claimant {
            .init(wanted: wanted ?? old.wanted, floor: old.floor, granted: granted, holding: holds)
        }
        processes[index].claimant = claimant(granted: 0)
        let granted = LaneShare.grant(to: index, of: processes.map(\.claimant), limit: limit)
        processes[index].claimant = claimant(granted: granted)
    }
}
