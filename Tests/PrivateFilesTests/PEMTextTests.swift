// SPDX-License-Identifier: Apache-2.0
import PrivateFiles
import Testing

@Suite struct PEMTextTests {
    private func blocks(_ text: String) throws -> [String] {
        let bytes = Array(text.utf8)
        return try PEMText(bytes).blocks.map {
            "\($0.label) \($0.line) \(String(decoding: bytes[$0.range], as: UTF8.self))"
        }
    }

    private func flaw(_ bytes: [UInt8]) -> PEMText.Flaw? {
        do throws(PEMText.Flaw) {
            _ = try PEMText(bytes)
            return nil
        } catch {
            return error
        }
    }

    private let block = "-----BEGIN A-----\nAAAA\n-----END A-----"

    /// Without the skipping of marks the third text had no block.
    @Test func everyBlockIsFoundWithItsLine() throws {
        #expect(try blocks("") == [])
        #expect(try blocks("text\n\(block)\n\n\(block)") == ["A 2 \(block)", "A 6 \(block)"])
        let marked = try blocks("\u{FEFF}\(block)\n\u{FEFF}\u{FEFF}\(block)  \n")
        #expect(marked == ["A 1 \(block)", "A 4 \(block)"], "marks and blanks do not count")
        let other = "-----BEGIN A-----\r\nAAAA\r\n-----END A-----"
        #expect(try blocks(other + "\r\n") == ["A 1 \(other)"])
    }

    @Test func kindsAreTold() throws {
        func text(_ labels: String...) throws -> PEMText {
            try PEMText(Array(labels.map { "-----BEGIN \($0)-----\n-----END \($0)-----\n" }.joined().utf8))
        }
        let all = try text("EC PARAMETERS", "EC PRIVATE KEY", "TRUSTED CERTIFICATE", "CERTIFICATE", "PUBLIC KEY")
        #expect(all.privateKey?.line == 3)
        #expect(all.certificates.map(\.line) == [5, 7])
        #expect(try text("PUBLIC KEY").privateKey == nil)
        #expect(try text("ENCRYPTED PRIVATE KEY").privateKey?.label == "ENCRYPTED PRIVATE KEY")
    }

    @Test func whatHasNoEndIsNamed() {
        #expect(flaw(Array("x\n-----BEGIN A-----\nAAAA\n".utf8))?.line == 2)
        #expect(flaw(Array("-----BEGIN A-----\n-----END B-----\n".utf8))?.line == 1)
        #expect(flaw(Array("-----BEGIN A-----\nAAAA\n\(block)\n".utf8))?.line == 1)
        for mark in [[0xFF, 0xFE], [0xFE, 0xFF]] as [[UInt8]] {
            #expect(flaw(mark + [0x2D, 0])?.message.contains("UTF-16") == true)
        }
    }
}
