// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import SecureMemory
import Testing

/// A message as its reader gets it: without the length in front.
private func body(_ message: WorkerMessage) -> [UInt8] {
    message.encoded().withUnsafeBytes { Array($0.dropFirst(4)) }
}

private func read(_ bytes: [UInt8]) throws -> WorkerMessage { try WorkerMessage(decoding: SecretBytes(bytes)) }

@Suite("Control messages: the catalogue")
struct CatalogueMessageTests {
    private func entry(_ label: KeyLabel, _ validity: KeyValidity) -> CatalogueEntry {
        CatalogueEntry(reference: 7, label: label, usage: [.encrypt, .wrap], validity: validity)
    }

    /// Where the two days of the one entry stand: behind them are its identity, of which nothing is known, and the number
    /// of complaints, which is none.
    private func put(_ start: UInt32, _ end: UInt32, into bytes: inout [UInt8]) {
        let days = withUnsafeBytes(of: start) { Array($0) } + withUnsafeBytes(of: end) { Array($0) }
        bytes.replaceSubrange(bytes.count - 13..<bytes.count - 5, with: days)
    }

    @Test("a key's days arrive, each with and without the other")
    func validity() throws {
        for start: UInt32? in [nil, 1_01_01, 2024_02_29] {
            for end: UInt32? in [nil, 2026_12_31, 9999_12_31] {
                let message = WorkerMessage.catalogue(
                    KeyListing(
                        [entry("a", KeyValidity(start: start, end: end)), entry("b", KeyValidity())],
                        complaints: [
                            CatalogueComplaint(label: "c", reason: "d", isUndecided: true),
                            CatalogueComplaint(label: "", reason: "e"),
                        ]))
                #expect(try read(body(message)) == message)
            }
        }
    }

    @Test("an identity arrives as far as it is known, and how much of the token was read")
    func identity() throws {
        let values: [[UInt8]?] = [nil, [], [1, 2, 3], [UInt8](repeating: 9, count: 255)]
        for extent in KeyListing.Extent.allCases {
            for checkValue in values {
                for uniqueID in values {
                    for id in values {
                        var reported = entry("a", KeyValidity())
                        let identity = KeyIdentity(checkValue: checkValue, uniqueID: uniqueID, id: id)
                        reported.identity = identity == KeyIdentity() ? nil : identity
                        let message = WorkerMessage.catalogue(KeyListing([reported], extent: extent, others: 10_051))
                        let bytes = body(message)
                        #expect(try read(bytes) == message)
                        // Version, kind, extent, others, two counts.
                        #expect(bytes.count == reported.encodedLength + 15)
                    }
                }
            }
        }
    }

    @Test("an extent that nobody knows, and attributes that nobody knows, are refused")
    func unknownFields() {
        let bytes = body(.catalogue(KeyListing([entry("a", KeyValidity())])))
        for extent: UInt8 in [0, 4, .max] {
            #expect(throws: MalformedControlMessage.self) { try read(bytes[..<2] + [extent] + bytes[3...]) }
        }
        for known: UInt8 in [8, 0x80, .max] {
            let wrong = bytes.dropLast(5) + [known] + bytes.suffix(4)
            #expect(throws: MalformedControlMessage.self) { try read(Array(wrong)) }
        }
    }

    @Test("a number that is no day of the calendar is no bound")
    func noDay() throws {
        var bytes = body(.catalogue(KeyListing([entry("a", KeyValidity(start: 2026_01_01, end: 2026_12_31))])))
        for (start, end, expected) in [
            (0, 2026_12_31, KeyValidity(end: 2026_12_31)), (2026_13_01, 2026_12_31, KeyValidity(end: 2026_12_31)),
            (2026_01_01, .max, KeyValidity(start: 2026_01_01)), (2023_02_29, 1, KeyValidity()),
        ] as [(UInt32, UInt32, KeyValidity)] {
            put(start, end, into: &bytes)
            #expect(try read(bytes) == .catalogue(KeyListing([entry("a", expected)])))
        }
    }

    @Test("a catalogue that ends anywhere before its end, or goes on behind it, is refused")
    func cut() throws {
        let bytes = body(
            .catalogue(
                KeyListing(
                    [
                        CatalogueEntry(
                            reference: 1, label: "a", usage: .encrypt, validity: KeyValidity(start: 2026_01_01),
                            identity: KeyIdentity(checkValue: [1, 2, 3], uniqueID: [4], id: [5, 6]))
                    ], complaints: [CatalogueComplaint(label: "b", reason: "c")])))
        for length in bytes.indices {
            #expect(throws: MalformedControlMessage.self) { try read(Array(bytes.prefix(length))) }
        }
        #expect(throws: MalformedControlMessage.self) { try read(bytes + [0]) }
    }

    @Test("a count of keys that the message does not hold is refused, however large")
    func count() throws {
        let bytes = body(.catalogue(KeyListing([entry("a", KeyValidity())])))
        for count: UInt32 in [0, 2, 3, 65_536, .max - 1, .max] {
            var wrong = bytes
            wrong.replaceSubrange(7..<11, with: withUnsafeBytes(of: count) { Array($0) })
            #expect(throws: MalformedControlMessage.self, "\(count)") { try read(wrong) }
        }
    }

    @Test("a message of another version, or of no kind, is refused")
    func version() {
        let bytes = body(.catalogue(KeyListing()))
        #expect(bytes.starts(with: [LaneFrame.version, 2]))
        for version in UInt8.min ... .max where version != LaneFrame.version {
            #expect(throws: MalformedControlMessage.self) { try read([version] + bytes.dropFirst()) }
        }
        for kind: UInt8 in [0, 8, 9, .max] {
            #expect(throws: MalformedControlMessage.self) { try read([bytes[0], kind] + bytes.dropFirst(2)) }
        }
    }

    @Test("ten thousand keys with long names fit into one message")
    func size() throws {
        let entries = (0..<10_000).map {
            CatalogueEntry(
                reference: UInt32($0), label: KeyLabel(String(repeating: "x", count: 100)), usage: .encrypt,
                validity: KeyValidity(start: 2026_01_01, end: 2026_12_31))
        }
        let bytes = body(.catalogue(KeyListing(entries)))
        #expect(bytes.count < largestControlMessage)
        #expect(try read(bytes) == .catalogue(KeyListing(entries)))
    }
}
