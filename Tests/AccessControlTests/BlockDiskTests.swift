// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Chance
import SeededRandom
import Testing

/// A state directory: database, marker, and copies of the database that somebody has kept.
private struct Disk {
    var file: BlockFile?
    var marker = BlockMarker.absent
    var copies: [BlockFile] = []
    var isReadable = true

    /// As a store opens it.
    mutating func open(_ register: inout BlockRegister) -> BlockAdoption {
        guard isReadable else {
            return register.failed("locked", file == nil && marker == .absent ? .nothing : .hidden)
        }
        let found =
            file
            ?? BlockFile(
                list: BlockList(
                    blocks: [], lifts: [], knowledge: register.beginning(marker, lost: "lost", corrupt: nil)),
                changes: 0)
        let said = marker
        file = found
        if marker == .absent { marker = .present(changes: 0) }
        return register.adopt(found, marker: said, behind: "behind", now: blockTime)
    }

    /// Writes what is due of the marker.
    mutating func count(_ register: inout BlockRegister) {
        guard let due = register.markerDue else { return }
        marker = .present(changes: due)
        register.counted(due)
    }

    var counted: UInt64 { if case .present(let changes?) = marker { changes } else { 0 } }
}

@Suite("Block list: kept on a disk that is late, lost or old")
struct BlockDiskTests {
    private let now = blockTime

    private func started(_ disk: inout Disk, clustered: Bool = false) -> BlockRegister {
        var register = BlockRegister(isClustered: clustered)
        _ = disk.open(&register)
        return register
    }

    private func order(_ digit: Character, _ register: inout BlockRegister) throws -> BlockRegister.Receipt {
        _ = try register.change(now: now) { list in try list.order(.key("k"), id: id(digit)) }
        return register.receipt
    }

    @Test("an order is confirmed when its batch is on the disk, and not before; one that came meanwhile is not")
    func confirming() throws {
        var disk = Disk()
        var register = started(&disk)
        let first = try order("a", &register)
        #expect(!register.isDurable(first))
        let batch = register.take()
        let second = try order("b", &register)
        #expect(register.take().isEmpty, "one batch at a time")
        #expect(!register.isDurable(first), "it is on its way")
        disk.file?.write(batch)
        register.wrote(batch, changes: disk.file?.changes ?? 0)
        #expect(register.isDurable(first) && !register.isDurable(second))
        register.giveBack(register.take())
        #expect(!register.isDurable(second))
        let rest = register.take()
        register.wrote(rest, changes: 2)
        #expect(register.isDurable(second))
    }

    @Test("the marker counts after the file: between the two a restarted node believes its file")
    func markerFollows() throws {
        var disk = Disk()
        var register = started(&disk)
        #expect(register.markerDue == nil)
        _ = try order("a", &register)
        let batch = register.take()
        #expect(register.markerDue == nil, "the file has nothing of it yet")
        disk.file?.write(batch)
        register.wrote(batch, changes: disk.file?.changes ?? 0)
        #expect(register.markerDue == 1)
        #expect(started(&disk).list.knowledge == .known)
        disk.count(&register)
        #expect(register.markerDue == nil && disk.counted == 1)
        #expect(started(&disk).list.knowledge == .known)
    }

    @Test(
        "a file that takes the place of the one that was written to is told what it lacks; until then it is not confirmed"
    )
    func replaced() throws {
        var disk = Disk()
        var register = started(&disk)
        let old = try #require(disk.file)
        let receipt = try order("a", &register)
        let batch = register.take()
        disk.file?.write(batch)
        register.wrote(batch, changes: 1)
        #expect(register.isDurable(receipt))
        disk.file = old
        #expect(!disk.open(&register).hasChanged)
        #expect(!register.isDurable(receipt) && register.list.knowledge == .known)
        let again = register.take()
        #expect(again.kept.map(\.block.id) == [id("a")])
        // A batch of the file before says nothing on this one.
        register.wrote(batch, changes: 1)
        #expect(!register.isDurable(receipt))
        register.wrote(again, changes: 2)
        #expect(register.isDurable(receipt))
    }

    @Test("nothing is confirmed before a file was read")
    func unread() throws {
        var disk = Disk(isReadable: false)
        var register = BlockRegister(isClustered: false)
        _ = disk.open(&register)
        #expect(register.list.knowledge == .known, "there never was a list")
        #expect(!register.isDurable(register.receipt), "not even that nothing is blocked")
        let receipt = try order("a", &register)
        #expect(!register.isDurable(receipt))
        disk.isReadable = true
        _ = disk.open(&register)
        #expect(!register.isDurable(receipt) && register.list.blocks.count == 1)
        register.wrote(register.take(), changes: 1)
        #expect(register.isDurable(receipt))
    }

    @Test("a pure file is written as a database is: orders, lifts, ends, what is forgotten, and the count")
    func file() throws {
        var disk = Disk()
        var register = started(&disk)
        _ = try register.change(now: now) { list in try list.order(.key("k"), id: id("a"), at: now, for: 60) }
        _ = try register.change(now: now) { list in try list.order(.key("l"), id: id("b")) }
        try register.change(now: now) { list in _ = try list.lift(.key("l"), by: "m", now: now) }
        for _ in 0..<2 {
            let batch = register.take()
            disk.file?.write(batch)
            register.wrote(batch, changes: disk.file?.changes ?? 0)
            #expect(disk.file?.list == register.list && disk.file?.list.terms == register.list.terms)
            register.change(now: now) { list in _ = list.prune(now: now + 91 * day + 60) }
        }
        #expect(disk.file?.changes == 2 && disk.file?.list.blocks.keys.sorted() == [id("b")])
        #expect(BlockRegister.Batch().count(after: .max) == .max)
    }

    /// Restarts, late and failing writes, late markers, files that cannot be read, are lost or put back.
    @Test(
        "what was confirmed blocks after a restart, or the node refuses; what a file says is taken over",
        arguments: 0..<40)
    func anyDisk(seed: UInt64) throws {
        var random = RandomChoice(seed: 0x6469_736b + seed)
        var disk = Disk()
        var register = started(&disk)
        var given: [(id: String, receipt: BlockRegister.Receipt)] = []
        var confirmed: Set<String> = []
        for _ in 0..<200 {
            switch random.below(12) {
            case 0, 1, 2:
                let block = try register.change(now: now) { list in try list.order(.key("k"), id: random.blockID()) }
                given.append((block.id, register.receipt))
            case 3, 4, 5:
                let batch = register.take()
                // An order may come while the batch is written.
                if random.chance(oneIn: 3) {
                    let block = try register.change(now: now) { list in try list.order(.key("k"), id: random.blockID())
                    }
                    given.append((block.id, register.receipt))
                }
                if !batch.isEmpty, disk.isReadable, disk.file != nil, !random.chance(oneIn: 4) {
                    disk.file?.write(batch)
                    // The process may end before it knows.
                    if random.chance(oneIn: 6) {
                        register = restart(&disk, &given)
                    } else {
                        register.wrote(batch, changes: disk.file?.changes ?? 0)
                    }
                } else {
                    register.giveBack(batch)
                }
            case 6: disk.count(&register)
            case 7: register = restart(&disk, &given)
            case 8:
                disk.isReadable.toggle()
                _ = disk.open(&register)
            case 9: disk.copies += disk.file.map { [$0] } ?? []
            case 10:
                guard disk.isReadable, let old = disk.copies.randomElement(using: &random) else { continue }
                // What is no older than the marker says cannot be distinguished from the truth.
                if old.changes >= disk.counted { confirmed.formIntersection(old.list.blocks.keys) }
                disk.file = old
                // A store looks at the file before it writes.
                if Bool.random(using: &random) { _ = disk.open(&register) } else { register = restart(&disk, &given) }
            default:
                guard disk.isReadable, random.chance(oneIn: 3) else { continue }
                if disk.counted == 0 { confirmed = [] }
                disk.file = nil
                if Bool.random(using: &random) { _ = disk.open(&register) } else { register = restart(&disk, &given) }
            }
            given.removeAll { register.list.blocks[$0.id] == nil }
            confirmed.formUnion(given.filter { register.isDurable($0.receipt) }.map(\.id))
            #expect(register.list.unknown != nil || confirmed.isSubset(of: register.list.blocks.keys))
            if register.list.unknown != nil, random.chance(oneIn: 8) {
                // An operator answers for what is missing.
                #expect(register.confirm(unixSeconds: now) != nil)
                confirmed.formIntersection(register.list.blocks.keys)
            }
        }
    }

    /// The process ends, and another begins with the same directory.
    private func restart(
        _ disk: inout Disk, _ given: inout [(id: String, receipt: BlockRegister.Receipt)]
    ) -> BlockRegister {
        given = []
        return started(&disk)
    }
}
