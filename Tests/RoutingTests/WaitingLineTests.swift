// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

/// One HSM has one lane here, and that is of group 0.
@Suite("Pool machine: the line")
struct WaitingLineTests {
    /// Operations that wait, each of its group, in this order.
    private func stand(_ groups: [Int], holders: HSMSet = [0], in bench: inout Bench) -> [OperationID] {
        groups.map { bench.submit(holders, group: $0).0 }
    }

    @Test("who is of the free lane's group steps before those who are not")
    func ownGroup() throws {
        var bench = Bench(hsms: 1, lanes: 2)
        let zero = try #require(bench.submit([0], group: 0).1.dispatches.first)
        let one = try #require(bench.submit([0], group: 1).1.dispatches.first)
        let line = stand([1, 0], in: &bench)
        #expect(bench.answer(zero, .done).dispatches.map(\.operation) == [line[1]])
        #expect(bench.answer(one, .done).dispatches.map(\.operation) == [line[0]])
    }

    @Test("nobody is passed over more than eight times in a row")
    func patience() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        var busy = try bench.send([0])
        let line = stand([1] + Array(repeating: 0, count: 12), in: &bench)
        var served: [OperationID] = []
        for _ in line {
            busy = try #require(bench.answer(busy, .done).dispatches.first)
            served.append(busy.operation)
        }
        #expect(served == line[1...8] + [line[0]] + line[9...])
    }

    @Test("it is only from among the first eight that one is preferred")
    func choice() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        let busy = try bench.send([0])
        let line = stand(Array(repeating: 1, count: 8) + [0], in: &bench)
        #expect(bench.answer(busy, .done).dispatches.map(\.operation) == [line[0]])
    }

    @Test("one that an HSM has failed is passed over by nobody")
    func failedBefore() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let other = try bench.send([1])
        let (failed, actions) = bench.submit([0, 1], group: 1)
        let first = try #require(actions.dispatches.first)
        let line = stand([0], holders: [1], in: &bench)
        #expect(bench.answer(first, .tryElsewhere).dispatches.isEmpty)
        let next = try #require(bench.answer(other, .done).dispatches.first)
        #expect(next.operation == failed)
        #expect(bench.answer(next, .done).dispatches.map(\.operation) == line)
    }
}
