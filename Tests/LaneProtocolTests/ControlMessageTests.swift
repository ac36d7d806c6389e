// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import SecureMemory
import StatusVocabulary
import Testing

private func bytes(_ secret: SecretBytes) -> [UInt8] { secret.withUnsafeBytes { Array($0) } }

/// Passes the messages through an assembler in pieces of the given size.
private func assemble(_ stream: [UInt8], piece: Int) throws -> [SecretBytes] {
    var assembler = ControlFrameAssembler()
    var messages: [SecretBytes] = []
    for start in stride(from: 0, to: stream.count, by: piece) {
        messages += try stream[start..<min(start + piece, stream.count)].withUnsafeBytes { try assembler.append($0) }
    }
    return messages
}

private let identity = TokenIdentity(
    label: "Schlüssel", serial: "s1", manufacturer: "Maker", model: "M", firmware: "2.6", slot: 7, sessionLimit: 0)

private let canary = SealedCanary(initializationVector: [1, 2], ciphertext: Array(repeating: 7, count: 48))

private let workerMessages: [WorkerMessage] = [
    .confined(
        Compartment(
            mode: .strict, landlock: 7, files: true, signals: false, ports: true, calls: false, privileges: true,
            missing: ["one", ""])),
    .ready(
        WorkerReadiness(
            identity: identity, openLanes: 16,
            capabilities: TokenCapabilities(
                profile: GCMProfile(ivSource: .appended, layout: .withoutIVBits), wrongTagCode: 6, allowsThreads: false)
        )),
    .canaryMade(ticket: 7, canary, block: [1, 2, 3]),
    .canaryOpened(ticket: .max, block: []),
    .canaryRefused(ticket: 9, .wrongKey, function: .decrypt, code: 0x40),
    .catalogue(
        KeyListing(
            [CatalogueEntry(reference: 1, label: "foo", usage: [.encrypt, .decrypt])],
            complaints: [CatalogueComplaint(label: "bar", reason: "two of them")])),
    .catalogue(KeyListing()),
    .probe(ProbeReport(passed: false, function: .decrypt, code: 5, microseconds: 12)),
    .failed(WorkerFailure(kind: .pinRefused, function: .login, code: 0xA0, message: "refused")),
]

@Suite("Control messages")
struct ControlMessageTests {
    @Test("worker messages read as they were written, in pieces of any size", arguments: [1, 3, 7, 64, 100_000])
    func worker(piece: Int) throws {
        let stream = workerMessages.flatMap { bytes($0.encoded()) }
        let read = try assemble(stream, piece: piece).map { try WorkerMessage(decoding: $0) }
        #expect(read == workerMessages)
    }

    @Test("a configuration reads as it was written, PIN and all")
    func configuration() throws {
        for token in [TokenSelector.label("a"), .serial("b"), .slot(.max)] {
            for pin in [nil, SecretBytes("1234".utf8), SecretBytes()] {
                let written = WorkerConfiguration(
                    name: "n", module: "/m.so", token: token, pin: pin, initializeArguments: "configdir='sql:/x'",
                    profile: GCMProfile(named: "cloudhsm"), lanes: 3, catalogueInterval: 4, probeInterval: 5,
                    sandbox: SandboxSettings(
                        mode: .strict, readable: ["/a", "/b"], writable: ["/c"], ports: [1, 65535]))
                let sealed = SealedPaths(paths: ["/etc/x"], fileDirectories: ["/var/lib/y", "/z"])
                let message = NodeMessage.configure(written, openLanes: 2, sealed: sealed)
                let whole = try #require(try assemble(bytes(message.encoded()), piece: 5).first)
                guard case .configure(let read, openLanes: 2, sealed: sealed) = try NodeMessage(decoding: whole) else {
                    Issue.record("not a configuration")
                    return
                }
                #expect(read == written)
                #expect(read.profile == GCMProfile(ivSource: .buffer, layout: .withIVBits))
                #expect(!"\(message)".contains("1234"))
            }
        }
    }

    @Test("what the node asks of a worker reads as it was written")
    func orders() throws {
        let patterns = ["*", "app-?"].compactMap { LabelPattern($0) }
        let orders: [NodeMessage] = [
            .offer(OfferedKeys()), .offer(.all), .offer(OfferedKeys(labels: ["\u{212A}"], patterns: patterns)),
            .readCatalogue, .probe, .makeCanary(ticket: 1, key: 2), .openCanary(ticket: 3, key: 4, canary),
        ]
        let stream = orders.flatMap { bytes($0.encoded()) }
        let read = try assemble(stream, piece: 9).map { try NodeMessage(decoding: $0) }
        #expect(read.map { "\($0)" } == orders.map { "\($0)" })
    }

    @Test("mutated and random messages never trap")
    func hostile() {
        let originals = workerMessages.map { bytes($0.encoded()) }
        for _ in 0..<20_000 {
            var stream = originals[Int.random(in: 0..<originals.count)]
            for _ in 0..<Int.random(in: 1...4) {
                stream[Int.random(in: 0..<stream.count)] = UInt8.random(in: .min ... .max)
            }
            if Bool.random() { stream.removeLast(Int.random(in: 0..<stream.count)) }
            guard let messages = try? assemble(stream, piece: 64) else { continue }
            for message in messages {
                _ = try? WorkerMessage(decoding: message)
                _ = try? NodeMessage(decoding: message)
            }
        }
    }

    @Test("a length beyond the limit is refused before anything is kept for it")
    func oversize() {
        let stream = withUnsafeBytes(of: UInt32(largestControlMessage + 1)) { Array($0) }
        #expect(throws: MalformedControlMessage.self) { try assemble(stream, piece: 4) }
    }
}
