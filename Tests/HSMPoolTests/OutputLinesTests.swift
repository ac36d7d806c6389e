// SPDX-License-Identifier: Apache-2.0
import HSMPool
import LaneProtocol
import SecureMemory
import Testing

@Suite("What a library prints")
struct OutputLinesTests {
    @Test("is cut into lines, in pieces of any size", arguments: [1, 3, 100])
    func pieces(size: Int) {
        var lines = OutputLines()
        let text = Array("one\ntwo \r\n\n  three\nrest".utf8)
        var said: [OutputLines.Said] = []
        for start in stride(from: 0, to: text.count, by: size) {
            said += lines.take(text[start..<min(start + size, text.count)], seconds: 7)
        }
        #expect(said == [.line("one"), .line("two"), .line("  three")])
        #expect(lines.finish(seconds: 7) == [.line("rest")])
    }

    @Test("has nothing in it that a terminal obeys")
    func controls() {
        var lines = OutputLines()
        let text = "\u{1B}[2Jred\u{202E}\u{2028}\u{9B}\tend\u{0}\n"
        #expect(lines.take(text.utf8, seconds: 0) == [.line("\u{FFFD}[2Jred\u{FFFD}\u{FFFD}\u{FFFD} end\u{FFFD}")])
        #expect(lines.take([0xFF, 0x61, 0x0A], seconds: 0) == [.line("\u{FFFD}a")])
    }

    @Test("is no longer than a log bears")
    func long() {
        var lines = OutputLines()
        let said = lines.take(Array(repeating: UInt8(ascii: "x"), count: 100_000) + [0x0A], seconds: 0)
        #expect(said == [.line(String(repeating: "x", count: OutputLines.longest) + "…")])
        #expect(lines.take("next\n".utf8, seconds: 0) == [.line("next")])
    }

    @Test("is no more in a second than a log bears, and what is left out is counted")
    func many() {
        var lines = OutputLines()
        let said = lines.take(String(repeating: "x\n", count: OutputLines.perSecond + 30).utf8, seconds: 5)
        #expect(said == Array(repeating: .line("x"), count: OutputLines.perSecond))
        #expect(lines.take("y\n".utf8, seconds: 6) == [.omitted(30), .line("y")])
        _ = lines.take(String(repeating: "x\n", count: OutputLines.perSecond + 2).utf8, seconds: 7)
        #expect(lines.finish(seconds: 7) == [.omitted(2)])
    }

    @Test("never holds the PIN")
    func pin() {
        var lines = OutputLines(secret: SecretBytes("s3cr3t".utf8))
        #expect(lines.take("C_Login(s3cr3t), s3cr3s3cr3t\n".utf8, seconds: 0) == [.line("C_Login([PIN]), s3cr3[PIN]")])
        // What is too short would be found everywhere.
        var short = OutputLines(secret: SecretBytes("12".utf8))
        #expect(short.take("slot 12\n".utf8, seconds: 0) == [.line("slot 12")])
    }
}

@Suite("How a worker ended")
struct WorkerEndTests {
    @Test("in words")
    func words() {
        #expect(WorkerEnd(way: nil).words == "ended")
        #expect(WorkerEnd(way: .status(0)).words == "ended with status 0")
        #expect(WorkerEnd(way: .signal(11), calls: [.encrypt]).words == "ended by signal 11 (SIGSEGV) in C_Encrypt")
        #expect(WorkerEnd(way: .signal(64)).words == "ended by signal 64")
        let calls: [PKCS11Function] = [.decrypt, .login, .encrypt, .decrypt]
        #expect(
            WorkerEnd(way: .status(3), calls: calls).words
                == "ended with status 3 in C_Login, C_Encrypt and C_Decrypt (2)")
    }
}
