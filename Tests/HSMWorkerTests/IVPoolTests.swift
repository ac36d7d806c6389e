// SPDX-License-Identifier: Apache-2.0
import Chance
import HSMWorker
import LaneProtocol
import PKCS11
import Testing

@Suite("IVs from the HSM")
struct IVPoolTests {
    private func take(
        _ pool: IVPool, refill: (UnsafeMutableRawBufferPointer) -> CallResult
    ) -> (IVPool.Taken, [UInt8]) {
        var iv = [UInt8](repeating: 0, count: ivLength)
        let taken = iv.withUnsafeMutableBytes { pool.take(into: $0, refill: refill) }
        return (taken, iv)
    }

    private func fill(_ target: UnsafeMutableRawBufferPointer, _ generator: inout RandomChoice) -> CallResult {
        for index in target.indices { target[index] = .random(in: 0...255, using: &generator) }
        return CallResult(function: .generateRandom, code: .ok, length: target.count)
    }

    @Test("Two lanes never give the same IV, and ask the HSM once for many")
    func unique() throws {
        let history = IVHistory()
        let pools = [try #require(IVPool(history: history)), try #require(IVPool(history: history))]
        var generator = RandomChoice(seed: 1)
        var seen = Set<[UInt8]>()
        var refills = 0
        for round in 0..<20_000 {
            let (taken, iv) = take(pools[round % 2]) {
                refills += 1
                return fill($0, &generator)
            }
            #expect(taken == .taken)
            #expect(seen.insert(iv).inserted)
        }
        #expect(refills == 80)
    }

    @Test("A generator of zeroes is refused at once")
    func zeroes() throws {
        let pool = try #require(IVPool(history: IVHistory()))
        #expect(take(pool, refill: { _ in CallResult(function: .generateRandom, code: .ok) }).0 == .unusable)
    }

    @Test("One IV of zeroes among good ones is refused, too")
    func oneZero() throws {
        let pool = try #require(IVPool(history: IVHistory()))
        var generator = RandomChoice(seed: 2)
        let (taken, _) = take(pool) {
            let result = fill($0, &generator)
            for index in 120..<132 { $0[index] = 0 }
            return result
        }
        #expect(taken == .unusable)
    }

    @Test("A generator that gives two lanes the same bytes is found out")
    func sameForAll() throws {
        let history = IVHistory()
        let first = try #require(IVPool(history: history))
        let second = try #require(IVPool(history: history))
        var generator = RandomChoice(seed: 3)
        #expect(take(first, refill: { fill($0, &generator) }).0 == .taken)
        generator = RandomChoice(seed: 3)
        #expect(take(second, refill: { fill($0, &generator) }).0 == .unusable)
    }

    @Test("A repetition within the remembered depth is found, however far back")
    func longCycle() throws {
        let history = IVHistory()
        var generator = RandomChoice(seed: 4)
        let cycle = (0..<IVHistory.depth * ivLength).map { _ in UInt8.random(in: 0...255, using: &generator) }
        #expect(cycle.withUnsafeBytes { history.admit($0) })
        #expect(cycle.suffix(ivLength).withUnsafeBytes { !history.admit($0) })
        #expect(cycle.prefix(ivLength).withUnsafeBytes { !history.admit($0) })
    }

    @Test("A refusal of the generator is passed on")
    func refusal() throws {
        let pool = try #require(IVPool(history: IVHistory()))
        let failed = CallResult(function: .generateRandom, code: .deviceError)
        #expect(take(pool, refill: { _ in failed }).0 == .failed(failed))
    }

    @Test("With a broken generator nothing is encrypted, and the worker is reported")
    func brokenGenerator() throws {
        var bench = try Bench()
        bench.script.random = { target, _ in
            for index in target.indices { target[index] = UInt8(index % ivLength) }
            return .ok
        }
        let verdict = bench.serve(.encrypt)
        #expect(verdict.status == .refused)
        #expect(verdict.result == CallResult(function: .generateRandom, code: .randomNoRNG))
        #expect(bench.script.brokenGenerators == 1)
        #expect(!bench.script.calls.contains(.encrypt))
    }

    @Test("A session that is lost while IVs are fetched is opened anew")
    func lostWhileFetching() throws {
        var bench = try Bench()
        let good = bench.script.random
        bench.script.random = { target, call in call == 1 ? .sessionHandleInvalid : good(target, call) }
        #expect(bench.serve(.encrypt).status == .done)
        #expect(bench.script.calls == [.random, .restoreLogin, .reopen, .random, .encrypt])
    }
}
