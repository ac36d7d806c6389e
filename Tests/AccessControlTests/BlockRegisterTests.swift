// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Chance
import Testing

@Suite("Block list: what is adopted from a file")
struct BlockRegisterTests {
    private let now = blockTime
    private static let block = Block(
        id: id("a"), target: .key("k"), reason: "r", madeAt: blockTime, expiresAt: nil, madeBy: "m")

    private func file(_ knowledge: BlockKnowledge = .known, changes: UInt64 = 5, blocks: [Block] = [block]) -> BlockFile
    {
        BlockFile(list: BlockList(blocks: blocks, lifts: [], knowledge: knowledge), changes: changes)
    }

    private func adopted(
        _ file: BlockFile, _ marker: BlockMarker, clustered: Bool = true
    ) -> (register: BlockRegister, adoption: BlockAdoption) {
        var register = BlockRegister(isClustered: clustered)
        let adoption = register.adopt(file, marker: marker, behind: "behind", now: now)
        return (register, adoption)
    }

    @Test(
        "a file is believed as far as it has seen what the marker counts",
        arguments: [
            (BlockMarker.absent, BlockKnowledge.known), (.present(changes: nil), .known),
            (.present(changes: 4), .known), (.present(changes: 5), .known), (.present(changes: 6), .unknown("behind")),
        ])
    func marker(marker: BlockMarker, expected: BlockKnowledge) {
        let (register, adoption) = adopted(file(), marker)
        #expect(register.list.knowledge == expected && adoption.knowledge == expected)
        #expect(register.list.blocks.keys.contains(id("a")), "what is left of a list is true")
        #expect(adoption.merge.newBlocks == [Self.block])
        #expect(register.changes == (expected == .known ? 5 : 6), "what is counted next goes beyond the marker")
    }

    @Test("a list that is restored stays unknown in its file, too, until somebody says so")
    func restored() {
        var (register, _) = adopted(file(), .present(changes: 9))
        let batch = register.take()
        #expect(batch.knowledge == .unknown("behind"))
        register.wrote(batch, changes: 10)
        var again = BlockRegister(isClustered: true)
        _ = again.adopt(file(.unknown("behind"), changes: 10), marker: .present(changes: 10), behind: "x", now: now)
        #expect(again.list.knowledge == .unknown("behind"))
        register.change(now: now) { $0.confirm() }
        #expect(register.take().knowledge == .known && register.list.knowledge == .known)
    }

    /// With an empty list taken for known, a node that had lost its disk served what is blocked everywhere else.
    @Test("a node without a list waits in a cluster, and only there")
    func newcomer() {
        #expect(BlockRegister(isClustered: true).beginning(.absent, lost: "lost", corrupt: nil) == .none)
        #expect(BlockRegister(isClustered: false).beginning(.absent, lost: "lost", corrupt: nil) == .known)
        for clustered in [true, false] {
            let register = BlockRegister(isClustered: clustered)
            #expect(register.beginning(.present(changes: nil), lost: "lost", corrupt: nil) == .unknown("lost"))
            #expect(register.beginning(.absent, lost: "lost", corrupt: "corrupt") == .unknown("corrupt"))
        }
        #expect(adopted(file(.none), .present(changes: 0), clustered: true).register.list.knowledge == .none)
        #expect(adopted(file(.none), .present(changes: 0), clustered: false).register.list.knowledge == .known)
        #expect(adopted(file(.known), .present(changes: nil)).register.list.knowledge == .known, "of a version before")
    }

    @Test("a file that is read later gives its blocks, and its word, to a node that could not read it at first")
    func late() {
        // Without handing it on: unknown for ever, or confirmed without the block that is on the disk.
        var register = BlockRegister(isClustered: true)
        #expect(register.failed("locked", .hidden).knowledge == .unknown("locked"))
        #expect(register.list.unknown == "locked")
        var confirmed = register
        let adoption = register.adopt(file(), marker: .present(changes: 5), behind: "behind", now: now)
        #expect(adoption.knowledge == .known && register.list.verdict(id: "k") != nil)
        #expect(register.take().isEmpty)

        confirmed.change(now: now) { $0.confirm() }
        #expect(confirmed.list.verdict(id: "k") == nil)
        let later = confirmed.adopt(file(.unknown("old")), marker: .present(changes: 9), behind: "behind", now: now)
        #expect(later.merge.newBlocks == [Self.block] && confirmed.list.verdict(id: "k") != nil)
        #expect(confirmed.list.knowledge == .known && confirmed.take().knowledge == .known)
    }

    // Counting on from what the file says, the loss of a disk, which the node knows of and has mended, looked to its
    // peers like a state that was put back.
    @Test("a list that was lost and is known again counts on beyond what it ever counted; peers are told of known ones")
    func counts() {
        var (register, _) = adopted(file(.none, changes: 0, blocks: []), .absent)
        #expect(register.toldChanges == nil, "it is not known")
        register.change(now: now) { $0.confirm() }
        #expect(register.toldChanges == UInt64(now))
        register.wrote(register.take(), changes: UInt64(now) + 1)
        register.change(now: now + 60) { $0.confirm() }
        #expect(register.toldChanges == UInt64(now) + 1, "it was known")
        #expect(adopted(file(), .present(changes: 5)).register.toldChanges == 5)
        #expect(BlockRegister(isClustered: true).toldChanges == nil, "nothing was read yet")
    }

    // With a database that cannot be opened as one that cannot be seen: "has lost its list", though it is whole.
    @Test("what a copy says of a file that cannot be opened counts as the file's own word")
    func copied() throws {
        func copy(_ knowledge: BlockKnowledge = .known, counted: UInt64 = 5) -> BlockRemains {
            .copy(file(knowledge), marker: .present(changes: counted), behind: "behind", now: now)
        }
        var register = BlockRegister(isClustered: true)
        let adoption = register.failed("the disk is full", copy())
        #expect(adoption.knowledge == .known && adoption.merge.newBlocks == [Self.block])
        #expect(register.list.verdict(id: "k") != nil && register.take().isEmpty)
        #expect(!register.failed("the disk is full", .hidden).hasChanged, "it was read")
        #expect(!register.failed("the disk is full", copy(.unknown("x"), counted: 9)).hasChanged, "memory knows more")
        // What is ordered meanwhile comes to the disk when there is room.
        _ = try register.change(now: now) { list in try list.order(.key("k"), id: id("b")) }
        let receipt = register.receipt
        _ = register.adopt(file(), marker: .present(changes: 5), behind: "behind", now: now)
        #expect(!register.isDurable(receipt) && register.take().kept.map(\.block.id) == [id("b")])

        var restored = BlockRegister(isClustered: true)
        _ = restored.failed("the disk is full", copy(counted: 6))
        #expect(restored.list.knowledge == .unknown("behind") && restored.list.blocks.count == 1)
    }

    @Test("a node that never had a list has not lost one, however full its disk is")
    func neverHadOne() {
        for clustered in [true, false] {
            var register = BlockRegister(isClustered: clustered)
            _ = register.failed("the disk is full", .nothing)
            #expect(register.list.knowledge == (clustered ? .none : .known))
            // A file that turns up after all is believed.
            _ = register.adopt(file(.unknown("lost")), marker: .present(changes: 1), behind: "behind", now: now)
            #expect(register.list.knowledge == .unknown("lost"))
        }
        var register = BlockRegister(isClustered: false)
        _ = register.failed("no directory", .hidden)
        #expect(register.beginning(.absent, lost: "lost", corrupt: nil) == .unknown("no directory"))
        _ = register.failed("locked", .nothing)
        _ = register.failed("locked", .hidden)
        #expect(register.list.knowledge == .unknown("locked"), "now there is a file, and it cannot be read")
    }

    @Test("once whole, memory gives nothing up: a file that is older, lost or unknown is reported")
    func memoryDecides() throws {
        var (register, _) = adopted(file(), .present(changes: 5))
        _ = try register.change(now: now) { list in try list.order(.everything, id: id("b")) }
        _ = register.take()
        #expect(register.beginning(.present(changes: 5), lost: "lost", corrupt: "corrupt") == .known)
        for old in [file(.unknown("lost"), changes: 0, blocks: []), file(changes: 1)] {
            let adoption = register.adopt(old, marker: .present(changes: 9), behind: "behind", now: now)
            #expect(!adoption.hasChanged && register.list.knowledge == .known && register.list.blocks.count == 2)
            let batch = register.take()
            #expect(Set(batch.kept.map(\.block.id)).isSuperset(of: [id("b")]))
            #expect((batch.knowledge == .known) == (old.list.unknown != nil))
        }
    }

    // Measured by what the process had counted, which came from the marker, the older file was believed.
    @Test("while the list is unknown, a file that is put back meanwhile is measured by the marker like the first one")
    func putBackMeanwhile() {
        var (register, _) = adopted(file(.unknown("lost"), changes: 0, blocks: []), .present(changes: 6))
        let adoption = register.adopt(file(changes: 5), marker: .present(changes: 6), behind: "behind", now: now)
        #expect(adoption.merge.newBlocks == [Self.block] && register.list.knowledge == .unknown("behind"))
        _ = register.adopt(file(changes: 6), marker: .present(changes: 6), behind: "behind", now: now)
        #expect(register.list.knowledge == .known, "it has seen everything")
    }

    @Test("what another process has written is adopted")
    func otherProcess() throws {
        var (register, _) = adopted(file(blocks: []), .present(changes: 5))
        let adoption = register.adopt(file(changes: 6), marker: .present(changes: 6), behind: "behind", now: now)
        #expect(adoption.merge.newBlocks == [Self.block] && adoption.hasChanged && register.changes == 6)
    }

    @Test("a batch that was not written comes again, with what came since; what is forgotten is deleted")
    func batches() throws {
        var (register, _) = adopted(file(), .present(changes: 5))
        _ = try register.change(now: now) { list in try list.order(.key("x"), id: id("b"), at: now, for: 60) }
        let batch = register.take()
        #expect(batch.kept.map(\.block.id) == [id("b")] && batch.terms[id("b")]?.endsAt == now + 60)
        #expect(register.take().isEmpty)
        register.giveBack(batch)
        try register.change(now: now) { list in _ = try list.lift(.key("k"), by: "m", now: now) }
        let second = register.take()
        #expect(Set(second.kept.map(\.block.id)) == [id("a"), id("b")])
        register.wrote(second, changes: 6)
        register.change(now: now) { list in _ = list.prune(now: now + 91 * day + 60) }
        #expect(register.take().forgotten == [id("b")])
    }

    @Test(
        "whatever is read, given and lost in whatever order: nothing that was in memory or in a file that was read goes"
    )
    func random() throws {
        var random = RandomChoice(seed: 0x7374)
        for _ in 0..<200 {
            var register = BlockRegister(isClustered: Bool.random(using: &random))
            var disk = BlockList(blocks: [], lifts: [], knowledge: .unknown("lost"))
            var changes: UInt64 = 0
            var promised: Set<String> = []
            for _ in 0..<30 {
                switch Int.random(in: 0..<6, using: &random) {
                case 0: _ = register.failed("x", Bool.random(using: &random) ? .nothing : .hidden)
                case 1, 2:
                    let block = try register.change(now: now) { list in try list.order(.key("k"), id: random.blockID())
                    }
                    promised.insert(block.id)
                case 3:
                    _ = register.adopt(
                        BlockFile(list: disk, changes: changes), marker: .present(changes: changes), behind: "b",
                        now: now)
                case 4: disk = BlockList(blocks: [], lifts: [], knowledge: .unknown("lost"))
                default:
                    let batch = register.take()
                    guard Bool.random(using: &random) else {
                        register.giveBack(batch)
                        continue
                    }
                    disk.merge(batch.kept, now: now)
                    if let knowledge = batch.knowledge { disk.doubt(knowledge) }
                    changes += 1
                    register.wrote(batch, changes: changes)
                }
                #expect(promised.isSubset(of: Set(register.list.blocks.keys)))
            }
            _ = register.adopt(
                BlockFile(list: disk, changes: changes), marker: .present(changes: changes), behind: "b", now: now)
            disk.merge(register.take().kept, now: now)
            #expect(promised == Set(disk.blocks.keys))
        }
    }
}
