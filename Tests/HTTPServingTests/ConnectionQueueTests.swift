// SPDX-License-Identifier: Apache-2.0
import HTTPServing
import Testing

@Suite struct ConnectionQueueTests {
    private final class Connection: Sendable {}
    private let connections = (0..<8).map { _ in Connection() }

    private func id(_ number: Int) -> ObjectIdentifier { ObjectIdentifier(connections[number]) }

    private func queue(_ open: Int, capacity: Int) -> ConnectionQueue {
        var queue = ConnectionQueue(capacity: capacity, answerTime: 100)
        for number in 0..<open { #expect(queue.opened(id(number), now: UInt64(number)) == .taken) }
        return queue
    }

    @Test func theOldestThatIsSilentMakesRoom() {
        var queue = queue(3, capacity: 3)
        #expect(queue.opened(id(3), now: 10) == .takenInPlace(of: id(0)))
        #expect(queue.opened(id(4), now: 11) == .takenInPlace(of: id(1)))
        #expect(queue.count == 3)
    }

    @Test func whoHasAskedGoesAfterAllThatAreSilent() {
        var queue = queue(3, capacity: 3)
        queue.asked(id(0), now: 10)
        queue.answered(id(0), now: 11)
        #expect(queue.opened(id(3), now: 12) == .takenInPlace(of: id(1)))
        #expect(queue.opened(id(4), now: 13) == .takenInPlace(of: id(2)))
        for number in [3, 4] {
            queue.asked(id(number), now: 14)
            queue.answered(id(number), now: 15)
        }
        // All have asked: the one whose last request is longest ago.
        #expect(queue.opened(id(5), now: 16) == .takenInPlace(of: id(0)))
    }

    @Test func aRequestInWorkIsNotCutOff() {
        var queue = queue(2, capacity: 2)
        for number in 0..<2 { queue.asked(id(number), now: 10) }
        #expect(queue.opened(id(2), now: 110) == .refused)
        #expect(queue.count == 2)
        // Who does not read the answer keeps nobody out for good.
        #expect(queue.opened(id(2), now: 111) == .takenInPlace(of: id(0)))
    }

    @Test func aPeerThatIsKnownIsNotSilent() {
        var queue = queue(2, capacity: 2)
        queue.introduced(id(0), now: 10)
        #expect(!queue.isSilent(id(0)) && queue.isSilent(id(1)))
        #expect(queue.opened(id(2), now: 11) == .takenInPlace(of: id(1)))
        queue.asked(id(0), now: 12)
        queue.introduced(id(0), now: 13)
        #expect(queue.opened(id(3), now: 14) == .takenInPlace(of: id(2)))
        #expect(queue.opened(id(4), now: 15) == .takenInPlace(of: id(3)))
    }

    @Test func thoseOfWhomNothingIsKnownHaveALimitOfTheirOwn() {
        var queue = ConnectionQueue(capacity: 8, unknownCapacity: 2, answerTime: 100)
        for number in 0..<2 { #expect(queue.opened(id(number), now: 1) == .taken) }
        #expect(queue.opened(id(2), now: 2) == .takenInPlace(of: id(0)))
        // Whoever becomes known leaves room for another one.
        queue.introduced(id(1), now: 3)
        queue.asked(id(2), now: 3)
        #expect(queue.silent == 0)
        for number in 3..<5 { #expect(queue.opened(id(number), now: 4) == .taken) }
        #expect(queue.opened(id(5), now: 5) == .takenInPlace(of: id(3)))
        queue.closed(id(4))
        #expect(queue.opened(id(6), now: 6) == .taken)
        #expect(queue.silent == 2 && queue.count == 4)
    }

    @Test func whatHasClosedLeavesRoom() {
        var queue = queue(2, capacity: 2)
        queue.closed(id(0))
        queue.closed(id(0))
        #expect(queue.opened(id(2), now: 3) == .taken)
        // What is said of it late changes nothing.
        queue.answered(id(0), now: 4)
        #expect(queue.count == 2)
    }
}
