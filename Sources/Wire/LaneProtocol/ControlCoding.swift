// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import StatusVocabulary

// Layout of a control message: length of the rest (u32), version (u8), kind (u8), then the fields in order;
// texts and secrets as u32 length and bytes, lists as u32 count and elements. Host byte order, as in the lanes.

/// Largest control message, bytes: some 10,000 keys with labels of 100 bytes, and as many labels that are offered.
package let largestControlMessage = 4 * 1024 * 1024

/// A control message that cannot be read: another version, an unknown kind, or lengths that do not fit.
package struct MalformedControlMessage: Error, Equatable {
    package init() {}
}

/// Cuts a control socket's bytes into messages.
package struct ControlFrameAssembler {
    private var pending = SecretBytes()

    package init() {}

    /// Takes what was read and returns the whole messages in it, without their length fields.
    package mutating func append(_ bytes: UnsafeRawBufferPointer) throws(MalformedControlMessage) -> [SecretBytes] {
        pending.append(copying: bytes)
        var messages: [SecretBytes] = []
        var offset = 0
        while pending.count - offset >= 4 {
            let length = pending.withUnsafeBytes {
                Int($0.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            }
            guard length >= 2, length <= largestControlMessage else { throw MalformedControlMessage() }
            guard pending.count - offset - 4 >= length else { break }
            let start = offset + 4
            messages.append(
                pending.withUnsafeBytes {
                    SecretBytes(copying: UnsafeRawBufferPointer(rebasing: $0[start..<start + length]))
                })
            offset = start + length
        }
        if offset > 0 {
            let rest = offset
            pending = pending.withUnsafeBytes {
                SecretBytes(copying: UnsafeRawBufferPointer(rebasing: $0[rest...]))
            }
        }
        return messages
    }
}

extension NodeMessage {
    /// The message with its length field, ready to be written.
    package func encoded() -> SecretBytes {
        var writer = ControlWriter()
        switch self {
        case .configure(let configuration, let openLanes, let sealed):
            writer.begin(kind: 1)
            writer.write(configuration.name)
            writer.write(configuration.module)
            writer.write(configuration.token)
            writer.write(UInt8(configuration.pin == nil ? 0 : 1))
            writer.write(configuration.pin ?? SecretBytes())
            writer.write(optional: configuration.initializeArguments)
            writer.write(optional: configuration.profile)
            writer.write(configuration.lanes)
            writer.write(openLanes)
            writer.write(configuration.catalogueInterval)
            writer.write(configuration.probeInterval)
            writer.write(configuration.sandbox)
            writer.write(sealed)
        case .readCatalogue:
            writer.begin(kind: 2)
        case .probe:
            writer.begin(kind: 3)
        case .makeCanary(let ticket, let key):
            writer.begin(kind: 4)
            writer.write(ticket)
            writer.write(key)
        case .openCanary(let ticket, let key, let canary):
            writer.begin(kind: 5)
            writer.write(ticket)
            writer.write(key)
            writer.write(canary)
        case .offer(let keys):
            writer.begin(kind: 6)
            writer.write(UInt8(keys.includesAll ? 1 : 0))
            writer.write(UInt32(clamping: keys.labels.count))
            for label in keys.labels { writer.write(label.text) }
            writer.write(UInt32(clamping: keys.patterns.count))
            for pattern in keys.patterns { writer.write(pattern.text) }
        }
        return writer.finish()
    }

    package init(decoding message: SecretBytes) throws(MalformedControlMessage) {
        var reader = ControlReader(message)
        switch try reader.begin() {
        case 1: self = try Self.configure(from: &reader)
        case 2: self = .readCatalogue
        case 3: self = .probe
        case 4: self = .makeCanary(ticket: try reader.integer(), key: try reader.integer())
        case 5:
            self = .openCanary(
                ticket: try reader.integer(), key: try reader.integer(), try reader.sealedCanary())
        case 6: self = .offer(try Self.offered(from: &reader))
        default: throw MalformedControlMessage()
        }
        try reader.end()
    }

    private static func offered(from reader: inout ControlReader) throws(MalformedControlMessage) -> OfferedKeys {
        let includesAll = try reader.integer(UInt8.self) != 0
        var labels: Set<KeyLabel> = []
        for _ in 0..<(try reader.integer(UInt32.self)) { labels.insert(KeyLabel(try reader.text())) }
        var patterns: [LabelPattern] = []
        for _ in 0..<(try reader.integer(UInt32.self)) {
            guard let pattern = LabelPattern(try reader.text()) else { throw MalformedControlMessage() }
            patterns.append(pattern)
        }
        return OfferedKeys(labels: labels, patterns: patterns, includesAll: includesAll)
    }

    private static func configure(
        from reader: inout ControlReader
    ) throws(MalformedControlMessage) -> NodeMessage {
        let name = try reader.text()
        let module = try reader.text()
        let token = try reader.tokenSelector()
        let hasPIN = try reader.integer(UInt8.self) != 0
        let pin = try reader.secret()
        let initializeArguments = try reader.optionalText()
        let profile = try reader.optionalProfile()
        let lanes: UInt16 = try reader.integer()
        let openLanes: UInt16 = try reader.integer()
        let configuration = WorkerConfiguration(
            name: name, module: module, token: token, pin: hasPIN ? pin : nil, initializeArguments: initializeArguments,
            profile: profile, lanes: lanes, catalogueInterval: try reader.integer(),
            probeInterval: try reader.integer(), sandbox: try reader.sandboxSettings())
        return .configure(configuration, openLanes: openLanes, sealed: try reader.sealedPaths())
    }
}

extension WorkerMessage {
    /// The message with its length field, ready to be written.
    package func encoded() -> SecretBytes {
        var writer = ControlWriter()
        switch self {
        case .ready(let readiness):
            writer.begin(kind: 1)
            writer.write(readiness.identity)
            writer.write(readiness.openLanes)
            writer.write(readiness.capabilities.profile)
            writer.write(readiness.capabilities.wrongTagCode)
            writer.write(UInt8(readiness.capabilities.allowsThreads ? 1 : 0))
        case .catalogue(let listing):
            writer.begin(kind: 2)
            writer.write(listing.extent.rawValue)
            writer.write(listing.others)
            writer.write(UInt32(clamping: listing.entries.count))
            for entry in listing.entries {
                writer.write(entry.reference)
                writer.write(entry.label.text)
                writer.write(entry.usage.rawValue)
                writer.write(entry.validity)
                writer.write(entry.identity)
            }
            writer.write(UInt32(clamping: listing.complaints.count))
            for complaint in listing.complaints {
                writer.write(complaint.label.text)
                writer.write(complaint.reason)
                writer.write(UInt8(complaint.isUndecided ? 1 : 0))
            }
        case .probe(let report):
            writer.begin(kind: 3)
            writer.write(UInt8(report.passed ? 1 : 0))
            writer.write(report.function.rawValue)
            writer.write(report.code)
            writer.write(report.microseconds)
        case .failed(let failure):
            writer.begin(kind: 4)
            writer.write(failure.kind.rawValue)
            writer.write(failure.function.rawValue)
            writer.write(failure.code)
            writer.write(failure.message)
        case .canaryMade(let ticket, let canary, let block):
            writer.begin(kind: 5)
            writer.write(ticket)
            writer.write(canary)
            writer.write(SecretBytes(block))
        case .canaryOpened(let ticket, let block):
            writer.begin(kind: 6)
            writer.write(ticket)
            writer.write(SecretBytes(block))
        case .canaryRefused(let ticket, let refusal, let function, let code):
            writer.begin(kind: 7)
            writer.write(ticket)
            writer.write(refusal.rawValue)
            writer.write(function.rawValue)
            writer.write(code)
        case .confined(let compartment):
            writer.begin(kind: 8)
            writer.write(compartment)
        }
        return writer.finish()
    }

    package init(decoding message: SecretBytes) throws(MalformedControlMessage) {
        var reader = ControlReader(message)
        switch try reader.begin() {
        case 1: self = .ready(try Self.readiness(from: &reader))
        case 2: self = try Self.catalogue(from: &reader)
        case 3:
            self = .probe(
                ProbeReport(
                    passed: try reader.integer(UInt8.self) != 0, function: try reader.function(),
                    code: try reader.integer(), microseconds: try reader.integer()))
        case 4:
            guard let kind = WorkerFailureKind(rawValue: try reader.integer()) else { throw MalformedControlMessage() }
            self = .failed(
                WorkerFailure(
                    kind: kind, function: try reader.function(), code: try reader.integer(),
                    message: try reader.text()))
        case 5:
            self = .canaryMade(
                ticket: try reader.integer(), try reader.sealedCanary(), block: try reader.bytes())
        case 6: self = .canaryOpened(ticket: try reader.integer(), block: try reader.bytes())
        case 7:
            let ticket = try reader.integer(UInt64.self)
            guard let refusal = CanaryRefusal(rawValue: try reader.integer()) else { throw MalformedControlMessage() }
            self = .canaryRefused(
                ticket: ticket, refusal, function: try reader.function(), code: try reader.integer())
        case 8: self = .confined(try reader.compartment())
        default: throw MalformedControlMessage()
        }
        try reader.end()
    }

    private static func readiness(
        from reader: inout ControlReader
    ) throws(MalformedControlMessage) -> WorkerReadiness {
        WorkerReadiness(
            identity: try reader.tokenIdentity(), openLanes: try reader.integer(),
            capabilities: TokenCapabilities(
                profile: try reader.profile(), wrongTagCode: try reader.integer(),
                allowsThreads: try reader.integer(UInt8.self) != 0))
    }

    private static func catalogue(from reader: inout ControlReader) throws(MalformedControlMessage) -> WorkerMessage {
        guard let extent = KeyListing.Extent(rawValue: try reader.integer()) else { throw MalformedControlMessage() }
        var listing = KeyListing(extent: extent, others: try reader.integer())
        for _ in 0..<(try reader.integer(UInt32.self)) {
            listing.entries.append(
                CatalogueEntry(
                    reference: try reader.integer(), label: KeyLabel(try reader.text()),
                    usage: KeyUsage(rawValue: try reader.integer()), validity: try reader.validity(),
                    identity: try reader.identity()))
        }
        for _ in 0..<(try reader.integer(UInt32.self)) {
            listing.complaints.append(
                CatalogueComplaint(
                    label: KeyLabel(try reader.text()), reason: try reader.text(),
                    isUndecided: try reader.integer(UInt8.self) != 0))
        }
        return .catalogue(listing)
    }
}

extension CatalogueEntry {
    /// Bytes that it takes in its message.
    package var encodedLength: Int {
        let texts = [identity?.checkValue, identity?.uniqueID, identity?.id].compactMap { $0.map { $0.count + 4 } }
        return 4 + 4 + label.text.utf8.count + 1 + 8 + 1 + texts.reduce(0, +)
    }
}
