// SPDX-License-Identifier: Apache-2.0
import DevEnvironment
import Foundation
import LaneProtocol
import SecureMemory
import Testing

@Suite struct TokenPlanTests {
    private let plan = TokenPlan(
        label: "token-ä", soPIN: SecretBytes(Array("so-pin".utf8)), userPIN: SecretBytes(Array("user-pin".utf8)),
        keys: [
            PlannedKey(
                label: "foo", id: [1, 2], value: SecretBytes(Array(0..<32)), usage: [.encrypt, .decrypt]),
            PlannedKey(
                label: "bar", id: [], value: SecretBytes(Array(repeating: 0xFF, count: 32)), usage: .sign),
        ])

    @Test func aPlanComesBackAsItWas() throws {
        let decoded = try #require(TokenPlan(decoding: plan.encoded()))
        #expect(decoded.label == "token-ä")
        #expect(decoded.soPIN.text == "so-pin")
        #expect(decoded.userPIN.text == "user-pin")
        #expect(decoded.keys.map(\.label) == ["foo", "bar"])
        #expect(decoded.keys.map(\.id) == [[1, 2], []])
        #expect(decoded.keys.map(\.value.bytes) == [Array(0..<32), Array(repeating: 0xFF, count: 32)])
        #expect(decoded.keys.map(\.usage) == [[.encrypt, .decrypt], .sign])
    }

    @Test func everyPrefixAndEveryExtensionIsRefused() throws {
        let bytes = try plan.encoded().bytes
        for length in 0..<bytes.count { #expect(TokenPlan(decoding: SecretBytes(bytes.prefix(length))) == nil) }
        #expect(TokenPlan(decoding: SecretBytes(bytes + [0])) == nil)
    }

    @Test func mutatedBytesNeverTrap() throws {
        let bytes = try plan.encoded().bytes
        var generator = SystemRandomNumberGenerator()
        var refused = 0
        for _ in 0..<20_000 {
            var mutated = bytes
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let position = Int.random(in: mutated.indices, using: &generator)
                mutated[position] = .random(in: .min ... .max, using: &generator)
            }
            if TokenPlan(decoding: SecretBytes(mutated)) == nil { refused += 1 }
        }
        #expect(refused > 0)
    }

    @Test func aPlanThatAPipeMightNotHoldIsNotWritten() {
        var large = plan
        large.keys = Array(repeating: plan.keys[0], count: 200)
        #expect(throws: DevError.self) { try large.encoded() }
    }

    @Test func aPlanIsReadFromADescriptor() throws {
        let pipe = Pipe()
        pipe.fileHandleForWriting.write(Data(try plan.encoded().bytes))
        try pipe.fileHandleForWriting.close()
        #expect(try TokenPlan.read(fromDescriptor: pipe.fileHandleForReading.fileDescriptor).label == "token-ä")
        #expect(throws: DevError.self) {
            try TokenPlan.read(fromDescriptor: pipe.fileHandleForReading.fileDescriptor)
        }
    }
}
