// SPDX-License-Identifier: Apache-2.0
import Chance
import Foundation
import SecureMemory
import SeededRandom
import Testing
import XKSProtocol

/// Random bytes and damaged bodies: reading ends, with a value or with an error of the API, and never with a trap.
/// A seed that fails is printed; put it into a test of its own to replay it.
@Suite struct HostileInputTests {
    private static let samples = [Sample.encrypt, Sample.decrypt, Sample.metadata, Sample.health].map { Array($0.utf8) }

    /// Pieces that break parsers.
    private static let pieces: [[UInt8]] =
        [
            "\"", "\\", "{", "}", "[", "]", ",", ":", "\\u", "\\ud800", "\\udc00", "\\u0000", "null", "1e999", "-",
            "==", "\u{feff}",
            "\"plaintext\":\"\",", "{\"a\":", "[[[[", "/", "\\/",
        ].map { Array($0.utf8) } + [[0], [0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90], [0x1f], [0x7f]]

    /// Reads `bytes` as each of the four; returns whether one of them accepted, or what was wrong with an error.
    private func attempt(_ bytes: [UInt8]) -> (accepted: Bool, complaint: String?) {
        let body = SecretBytes(bytes)
        var accepted = false
        for kind in 0..<4 {
            do throws(XKSError) {
                switch kind {
                case 0: _ = try EncryptRequest(body: body, limits: .standard)
                case 1: _ = try DecryptRequest(body: body, limits: .standard)
                case 2: _ = try GetKeyMetadataRequest(body: body, limits: .standard)
                default: _ = try HealthRequest(body: body, limits: .standard)
                }
                accepted = true
            } catch {
                guard error.name == .validation || error.name == .unsupportedOperation else {
                    return (accepted, "unexpected \(error.name)")
                }
                guard !error.message.isEmpty, error.message.utf8.count <= XKSError.longestMessage else {
                    return (accepted, "message \(error.message)")
                }
            }
        }
        return (accepted, nil)
    }

    private func damage(_ bytes: inout [UInt8], _ generator: inout RandomChoice) {
        let position = generator.below(bytes.count)
        switch generator.below(7) {
        case 0 where !bytes.isEmpty: bytes[position] ^= UInt8(1 << generator.below(8))
        case 1 where !bytes.isEmpty: bytes[position] = UInt8(truncatingIfNeeded: generator.next())
        case 2 where !bytes.isEmpty: bytes.remove(at: position)
        case 3: bytes.insert(contentsOf: Self.pieces[generator.below(Self.pieces.count)], at: position)
        case 4: bytes.removeSubrange(position..<min(bytes.count, position + generator.below(20)))
        case 5:
            bytes.insert(contentsOf: bytes[position..<min(bytes.count, position + generator.below(60))], at: position)
        default: bytes.removeLast(generator.below(min(bytes.count, 4) + 1))
        }
    }

    /// 16 × 1,250 bodies, each read in four ways: 80,000 readings.
    @Test(arguments: 0..<16) func damagedBodies(seed: UInt64) {
        var generator = RandomChoice(seed: seed)
        var accepted = 0
        for round in 0..<1_250 {
            var bytes = Self.samples[generator.below(Self.samples.count)]
            for _ in 0...generator.below(3) { damage(&bytes, &generator) }
            let outcome = attempt(bytes)
            if let complaint = outcome.complaint { Issue.record("seed \(seed), round \(round): \(complaint)") }
            guard outcome.accepted else { continue }
            accepted += 1
            // An independent reader agrees that it is JSON: this one is only ever stricter.
            if (try? JSONSerialization.jsonObject(with: Data(bytes))) == nil {
                Issue.record("seed \(seed), round \(round): accepted what is not JSON")
            }
        }
        // Damage may fall where it does not matter; a reader that refuses all would pass everything above.
        #expect(accepted > 20)
    }

    /// 8 × 1,250 texts, each read in four ways: 40,000 readings.
    @Test(arguments: 0..<8) func randomBytes(seed: UInt64) {
        var generator = RandomChoice(seed: seed)
        for round in 0..<1_250 {
            var bytes: [UInt8] = generator.below(2) == 0 ? [UInt8(ascii: "{")] : []
            for _ in 0..<generator.below(12) {
                bytes += generator.below(3) == 0 ? generator.bytes(3) : Self.pieces[generator.below(Self.pieces.count)]
            }
            let outcome = attempt(bytes)
            if let complaint = outcome.complaint { Issue.record("seed \(seed), round \(round): \(complaint)") }
            if outcome.accepted { Issue.record("seed \(seed), round \(round): accepted noise") }
        }
    }

    @Test(arguments: 0..<4) func randomAnswersReadBack(seed: UInt64) throws {
        var generator = RandomChoice(seed: seed)
        let body = try EncryptedFields(
            ciphertext: SecretBytes(generator.bytes(40)), initializationVector: generator.bytes(12),
            authenticationTag: generator.bytes(16), ciphertextMetadata: CiphertextMetadata.current,
            integrityValue: generator.bytes(32)
        ).body().array
        for round in 0..<1_000 {
            var bytes = body
            damage(&bytes, &generator)
            do throws(XKSError) {
                let fields = try EncryptedFields(readingBack: SecretBytes(bytes))
                if fields.authenticationTag.count != 16 || fields.ciphertext.isEmpty {
                    Issue.record("seed \(seed), round \(round): impossible lengths")
                }
            } catch {
                if error.name != .internalFailure { Issue.record("seed \(seed), round \(round): \(error.name)") }
            }
        }
    }
}
