// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Dispatch
import Foundation
import Glibc
import NodeStore
import Testing

@Suite("A node that is killed", .timeLimit(.minutes(2)))
struct KillTests {
    @Test("Killed a hundred times under load, the store opens with every canary that it called saved")
    func killedUnderLoad() async throws {
        let scratch = try Scratch()
        let acknowledged = scratch.directory + ".acknowledged"
        var survivors = 0
        for round in 0..<100 {
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [directory = scratch.directory as String, acknowledged = acknowledged as String, round = round as Int]
                in
                // In even rounds from before the file is made or opened, in odd ones from the first promise.
                let microseconds = UInt32.random(in: 0...30_000)
                let mayDie = DispatchSemaphore(value: round.isMultiple(of: 2) ? 1 : 0)
                Thread.detachNewThread {
                    mayDie.wait()
                    usleep(microseconds)
                    kill(getpid(), SIGKILL)
                }
                await Load.run(directory, acknowledged: acknowledged, round: round) { mayDie.signal() }
            }
            let store = scratch.open()
            #expect(store.health == .ok)
            let saved = Set(store.canaries().map(\.label))
            let promised = Load.labels(acknowledged)
            #expect(promised.isSubset(of: saved), "round \(round)")
            survivors = promised.count
            store.close()
        }
        #expect(try scratch.setAside() == [])
        // The odd rounds had one at least.
        #expect(survivors >= 50)
    }

    @Test("Killed forty times while blocks are ordered, right after a confirmation, too: every confirmed one is there")
    func killedAfterConfirmation() async throws {
        let scratch = try Scratch()
        let acknowledged = scratch.directory + ".acknowledged"
        for round in 0..<40 {
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [directory = scratch.directory as String, acknowledged = acknowledged as String, round = round as Int]
                in
                let mayDie = DispatchSemaphore(value: 0)
                Thread.detachNewThread {
                    mayDie.wait()
                    // In even rounds at once, in odd ones somewhere within the next orders.
                    if !round.isMultiple(of: 2) { usleep(UInt32.random(in: 0...10_000)) }
                    kill(getpid(), SIGKILL)
                }
                await Orders.run(directory, acknowledged: acknowledged, round: round) { mayDie.signal() }
            }
            let store = scratch.open()
            #expect(store.health == .ok)
            let list = store.blocks()
            #expect(list.knowledge == .known, "round \(round)")
            let promised = Load.labels(acknowledged)
            #expect(promised.count > round)
            #expect(promised.isSubset(of: Set(list.blocks.values.map(\.target.value))), "round \(round)")
            #expect(Set(list.lifts.keys).isSubset(of: Set(list.blocks.keys)))
            store.close()
        }
        #expect(try scratch.setAside() == [])
    }

    @Test("Killed while a lost file is made anew: never known, before somebody says so")
    func killedWhileLost() async throws {
        let scratch = try Scratch()
        let first = scratch.open()
        #expect(await first.keep(blocks: Sample.list([Sample.block(1)])))
        first.close()
        for round in 0..<30 {
            for suffix in ["", "-wal", "-shm"] { unlink(scratch.file + suffix) }
            await #expect(processExitsWith: .signal(SIGKILL)) { [directory = scratch.directory as String] in
                let microseconds = UInt32.random(in: 0...6_000)
                Thread.detachNewThread {
                    usleep(microseconds)
                    kill(getpid(), SIGKILL)
                }
                let store = NodeStore.open(directory: directory, settings: Scratch.settings())
                guard store.blocks().knowledge != .known else { exit(1) }
                while true { await store.saved() }
            }
            let store = scratch.open()
            #expect(store.blocks().knowledge != .known, "round \(round)")
            store.close()
        }
    }
}

/// An operator who blocks and lifts without rest.
private enum Orders {
    static func run(_ directory: String, acknowledged path: String, round: Int, _ confirmed: () -> Void) async {
        let store = NodeStore.open(directory: directory, settings: Scratch.settings())
        let file = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        for number in 0..<1_000 {
            let block = Sample.block(round * 1_000 + number)
            let lifts = number.isMultiple(of: 3) ? [Sample.lift(round * 1_000 + number)] : []
            guard await store.keep(blocks: Sample.list([block], lifts: lifts)) else { exit(1) }
            let line = Array("\(block.target.value)\n".utf8)
            guard write(file, line, line.count) == line.count else { exit(2) }
            confirmed()
        }
        // The order to die comes late, on a busy machine.
        while true { pause() }
    }
}

/// What a busy node does with its store, and faster than any.
private enum Load {
    static func run(_ directory: String, acknowledged path: String, round: Int, _ promised: () -> Void) async {
        let store = NodeStore.open(directory: directory, settings: Scratch.settings { $0.flushDelayMilliseconds = 1 })
        let file = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        for number in 0... {
            store.record(hsms: (0..<8).map { Sample.hsm("hsm-\($0)", failures: number) })
            store.record(Sample.transition(number, at: round * 1_000_000 + number))
            store.record(keys: (0..<20).map { Sample.key("key-\($0)") })
            _ = store.claimLanes(token: "t", wanted: 8, floor: 1, limit: 8, holding: number % 8)
            let label = "\(round)-\(number)"
            store.record(canary: Sample.canary(label))
            guard await store.saved() else { exit(1) }
            let line = Array("\(label)\n".utf8)
            guard write(file, line, line.count) == line.count else { exit(2) }
            promised()
        }
    }

    static func labels(_ path: String) -> Set<String> {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [] }
        // Without the line that the kill has cut off, if any.
        return Set(text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init))
    }
}
