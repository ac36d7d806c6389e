// SPDX-License-Identifier: Apache-2.0
import Chance
import KeyProof
import Testing

private typealias Register = ProofRegister<String, Int, String>

@Suite("What is kept of the proof of keys")
struct ProofRegisterTests {
    private func adopted(_ file: Register.File = Register.File()) -> Register {
        var register = Register()
        register.adopt(file, isAnother: false)
        return register
    }

    @Test("a canary is confirmed when its batch is in the file, and not before; one that came meanwhile is not")
    func confirming() {
        var register = Register()
        #expect(!register.isDurable(register.receipt))
        register.keep(1, for: "a")
        let first = register.receipt
        #expect(!register.isDurable(first), "no file was read")
        register.adopt(Register.File(), isAnother: false)
        #expect(!register.isDurable(first))
        let batch = register.take()
        #expect(batch.kept == ["a": 1] && batch.mustLast)
        register.keep(2, for: "a")
        let second = register.receipt
        #expect(register.take().isEmpty, "one batch at a time")
        #expect(!register.isDurable(first))
        register.wrote(batch)
        #expect(register.isDurable(first) && !register.isDurable(second))
        register.giveBack(register.take())
        let rest = register.take()
        #expect(rest.kept == ["a": 2] && !register.isDurable(second))
        register.wrote(rest)
        #expect(register.isDurable(second))
    }

    @Test(
        "what is told and not written yet is later than the file: a canary, a dropped one, an order, a batch on its way"
    )
    func later() {
        var register = adopted(Register.File(canaries: ["a": 1, "b": 1]))
        register.keep(2, for: "a")
        register.drop("b")
        register.keep("forget")
        let batch = register.take()
        register.keep(3, for: "c")
        register.adopt(Register.File(canaries: ["a": 1, "b": 1, "d": 4]), isAnother: false)
        #expect(register.canaries == ["a": 2, "c": 3, "d": 4] && register.forgets == ["forget"])
        // The batch of before says nothing on what was adopted since.
        register.wrote(batch)
        let again = register.take()
        #expect(again.kept == ["a": 2, "c": 3] && again.dropped == ["b"] && again.forgets == ["forget"])
    }

    @Test("of the same file, what another process has taken away goes; another file is informed of what it lacks")
    func adopting() {
        let file = Register.File(canaries: ["a": 1], forgets: ["old"], ranSeconds: 50)
        var same = adopted(file)
        same.adopt(Register.File(canaries: ["b": 2]), isAnother: false)
        #expect(same.canaries == ["b": 2] && same.take().isEmpty && same.ranSeconds == 50)

        var another = adopted(file)
        let receipt = another.receipt
        #expect(another.isDurable(receipt))
        another.adopt(Register.File(canaries: ["b": 2], ranSeconds: 9), isAnother: true)
        #expect(another.canaries == ["a": 1, "b": 2] && !another.isDurable(receipt))
        let batch = another.take()
        #expect(batch.kept == ["a": 1] && batch.forgets == ["old"] && batch.ranSeconds == 50)
        another.wrote(batch)
        #expect(another.isDurable(receipt))
    }

    @Test("time never goes back, is written, and waits for nobody")
    func time() {
        var register = adopted(Register.File(ranSeconds: 10))
        register.noteRan(seconds: 10)
        #expect(register.take().isEmpty)
        register.noteRan(seconds: 11)
        #expect(register.isDurable(register.receipt))
        let batch = register.take()
        #expect(batch.ranSeconds == 11 && !batch.mustLast)
        register.giveBack(batch)
        #expect(register.take().ranSeconds == 11)
    }

    /// Restarts, writes that fail or of which nothing is received, files that are lost or put back.
    @Test("what was confirmed is there after a restart, unless the file was lost or put back", arguments: 0..<30)
    func anyDisk(seed: UInt64) {
        var random = RandomChoice(seed: 0x7072_6f6f + seed)
        var disk = Register.File()
        var register = adopted(disk)
        var copies: [Register.File] = []
        /// What each label was reported to be, and whether that was confirmed.
        var announced: [(label: String, canary: Int?, receipt: Register.Receipt)] = []
        var confirmed: [String: Int?] = [:]
        for step in 0..<200 {
            switch random.below(10) {
            case 0, 1, 2:
                let label = String(random.below(6))
                let canary = random.below(4) == 0 ? nil : step
                if let canary { register.keep(canary, for: label) } else { register.drop(label) }
                confirmed[label] = nil
                announced.removeAll { $0.label == label }
                announced.append((label, canary, register.receipt))
            case 3, 4, 5:
                let batch = register.take()
                switch random.below(3) {
                case 0: register.giveBack(batch)
                case 1:
                    disk.write(batch)
                    register.wrote(batch)
                default:
                    disk.write(batch)
                    (register, announced) = (adopted(disk), [])
                }
            case 6: (register, announced) = (adopted(disk), [])
            case 7: copies.append(disk)
            case 8:
                // The running process reports the other file what it lacks.
                disk = copies.randomElement(using: &random) ?? Register.File()
                let before = register.canaries
                register.adopt(disk, isAnother: true)
                #expect(Set(before.keys).isSubset(of: register.canaries.keys))
                confirmed = [:]
                announced = []
            default: register.adopt(disk, isAnother: false)
            }
            for entry in announced where register.isDurable(entry.receipt) {
                confirmed[entry.label] = .some(entry.canary)
            }
            let restarted = adopted(disk)
            for (label, canary) in confirmed { #expect(restarted.canaries[label] == canary) }
            for entry in announced { #expect(register.canaries[entry.label] == entry.canary) }
        }
    }
}
