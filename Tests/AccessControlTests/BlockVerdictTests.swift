// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Chance
import Testing

@Suite("Block list: what is said of a refusal")
struct BlockVerdictTests {
    /// Of a request that the block is about.
    private func verdict(_ target: BlockTarget, expiresAt: Int64? = nil) throws -> BlockVerdict {
        let block = Block(
            id: "5d1f0c8e9a7b4c3d5d1f0c8e9a7b4c3d", target: target, reason: "stolen laptop", madeAt: blockTime,
            expiresAt: expiresAt, madeBy: "alice@fra-1")
        try block.validate()
        return try #require(
            BlockList(blocks: [block], lifts: []).verdict(
                keyStore: target.value, id: target.value, principal: target.value))
    }

    @Test("the caller is informed which block it is and what is blocked, and not why or by whom")
    func client() throws {
        let texts: [(BlockTarget, String)] = [
            (.everything, "all keys"), (.key("payments"), "key \"payments\""),
            (.keyStore("/bank"), "key store \"/bank\""),
            (.principal("arn:aws:iam::1:*"), "principals arn:aws:iam::1:*"),
        ]
        for (target, words) in texts {
            let message = try verdict(target).clientMessage
            #expect(message == "blocked by the operator of this key store (block 5d1f0c8e: \(words))")
            #expect(!message.contains("laptop") && !message.contains("alice") && !message.contains("9a7b"))
        }
    }

    @Test("the log has all of it")
    func log() throws {
        #expect(
            try verdict(.key("payments")).logText
                == "block 5d1f0c8e9a7b4c3d5d1f0c8e9a7b4c3d: --key payments, by alice@fra-1, "
                + "without an end: stolen laptop"
        )
        #expect(
            try verdict(.everything, expiresAt: blockTime + 1).logText.contains(
                "--all, by alice@fra-1, until 1790000001: "))
    }

    @Test("a lost list is reported to the caller without the reason, and to the log with it")
    func unknown() throws {
        let verdict = try #require(BlockList.unknown("/var/lib/claviger is corrupt").verdict())
        #expect(verdict.block == nil)
        #expect(verdict.clientMessage.contains("lost its list") && !verdict.clientMessage.contains("/var"))
        #expect(verdict.logText.contains("/var/lib/claviger is corrupt"))
    }

    @Test("what the API allows: fewer than 512 characters of printable ASCII, whatever the target")
    func bounds() throws {
        var random = RandomChoice(seed: 0x636C)
        var targets: [BlockTarget] = [
            .key(String(repeating: "🔑", count: 63)), .key(String(repeating: "\"", count: 255)),
            .principal("arn:" + String(repeating: "x", count: 508)),
            .keyStore("/" + String(repeating: "s", count: 115)),
        ]
        targets += (0..<300).map { _ in random.target() }
        for target in targets {
            let message = try verdict(target).clientMessage
            #expect(message.utf8.count <= BlockVerdict.longestClientMessage)
            #expect(message.utf8.allSatisfy { (0x20...0x7E).contains($0) }, "\(message)")
            #expect(
                message.hasPrefix("blocked by the operator of this key store (block 5d1f0c8e: ")
                    && message.hasSuffix(")"))
        }
        #expect(BlockVerdict.longestClientMessage < 512)
        #expect(try verdict(.key("é")).clientMessage.contains("key \"?\""))
        #expect(try verdict(targets[2]).clientMessage.hasSuffix("xxx...)"), "what is cut is seen to be cut")
    }
}
