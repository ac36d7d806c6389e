// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import Testing

@Suite("Secret bytes")
struct SecretBytesTests {
    @Test("hold what they are given, however it comes")
    func content() {
        let secret = SecretBytes(capacity: 1)
        var expected: [UInt8] = []
        for byte in UInt8.min ... .max {
            secret.append(byte)
            secret.append(contentsOf: [byte, byte])
            expected += [byte, byte, byte]
        }
        #expect(secret.withUnsafeBytes { Array($0) } == expected)
        secret.truncate(to: 3)
        #expect(secret.withUnsafeBytes { Array($0) } == [0, 0, 0])
        secret.truncate(to: 100)
        #expect(secret.count == 3)
    }

    @Test("what a filler claims beyond its room is not believed")
    func filler() {
        let secret = SecretBytes()
        #expect(secret.append(atMost: 4) { _ in 100 } == 4)
        #expect(secret.append(atMost: 4) { _ in -1 } == 0)
        #expect(secret.count == 4)
    }

    @Test("never show themselves")
    func description() {
        let secret = SecretBytes("hunter2".utf8)
        var dumped = ""
        dump(secret, to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), dumped] { #expect(!text.contains("hunter2")) }
    }

    @Test("compare by content")
    func comparison() {
        #expect(SecretBytes([1, 2, 3]).constantTimeEquals(SecretBytes([1, 2, 3])))
        #expect(!SecretBytes([1, 2, 3]).constantTimeEquals(SecretBytes([1, 2, 4])))
        #expect(!SecretBytes([1, 2, 3]).constantTimeEquals(SecretBytes([1, 2])))
        #expect(SecretBytes().constantTimeEquals(SecretBytes()))
        #expect(constantTimeEquals([UInt8](), []) && !constantTimeEquals([1], [2]))
    }

    @Test("wiping overwrites")
    func wiping() {
        var bytes: [UInt8] = [1, 2, 3]
        bytes.withUnsafeMutableBytes { wipe($0) }
        #expect(bytes == [0, 0, 0])
    }
}
