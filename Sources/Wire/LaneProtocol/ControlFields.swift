// SPDX-License-Identifier: Apache-2.0
import SecureMemory

// The fields of control messages, one by one.

/// Builds one control message.
struct ControlWriter {
    private let body = SecretBytes(capacity: 256)

    mutating func begin(kind: UInt8) {
        write(LaneFrame.version)
        write(kind)
    }

    mutating func write(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value) { body.append(copying: $0) }
    }

    mutating func write(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            write(UInt32(clamping: bytes.count))
            body.append(copying: UnsafeRawBufferPointer(bytes))
        }
    }

    mutating func write(_ secret: SecretBytes) {
        secret.withUnsafeBytes { bytes in
            write(UInt32(clamping: bytes.count))
            body.append(copying: bytes)
        }
    }

    mutating func write(_ selector: TokenSelector) {
        switch selector {
        case .label(let label):
            write(UInt8(1))
            write(label)
        case .serial(let serial):
            write(UInt8(2))
            write(serial)
        case .slot(let slot):
            write(UInt8(3))
            write(slot)
        }
    }

    mutating func write(optional text: String?) {
        write(UInt8(text == nil ? 0 : 1))
        if let text { write(text) }
    }

    mutating func write(_ identity: TokenIdentity) {
        for text in [identity.label, identity.serial, identity.manufacturer, identity.model, identity.firmware] {
            write(text)
        }
        write(identity.slot)
        write(identity.sessionLimit)
    }

    mutating func write(_ profile: GCMProfile) {
        write(profile.ivSource.rawValue)
        write(profile.layout.rawValue)
    }

    mutating func write(optional profile: GCMProfile?) {
        write(UInt8(profile == nil ? 0 : 1))
        if let profile { write(profile) }
    }

    /// 0 stands for a day that is not set: no day has that number.
    mutating func write(_ validity: KeyValidity) {
        write(validity.start ?? 0)
        write(validity.end ?? 0)
    }

    /// One bit for each attribute that is known, then these.
    mutating func write(_ identity: KeyIdentity?) {
        let attributes = [identity?.checkValue, identity?.uniqueID, identity?.id]
        write(attributes.enumerated().reduce(UInt8(0)) { $0 | ($1.element == nil ? 0 : 1 << UInt8($1.offset)) })
        for attribute in attributes.compactMap(\.self) { write(SecretBytes(attribute)) }
    }

    mutating func write(_ canary: SealedCanary) {
        write(SecretBytes(canary.initializationVector))
        write(SecretBytes(canary.ciphertext))
    }

    func finish() -> SecretBytes {
        let message = SecretBytes(capacity: body.count + 4)
        withUnsafeBytes(of: UInt32(clamping: body.count)) { message.append(copying: $0) }
        body.withUnsafeBytes { message.append(copying: $0) }
        return message
    }
}

/// Reads one control message; every length is checked before it is believed.
struct ControlReader {
    private let message: SecretBytes
    private var offset = 0

    init(_ message: SecretBytes) { self.message = message }

    mutating func begin() throws(MalformedControlMessage) -> UInt8 {
        guard try integer(UInt8.self) == LaneFrame.version else { throw MalformedControlMessage() }
        return try integer(UInt8.self)
    }

    func end() throws(MalformedControlMessage) {
        guard offset == message.count else { throw MalformedControlMessage() }
    }

    mutating func integer<Value: FixedWidthInteger>(
        _ type: Value.Type = Value.self
    ) throws(MalformedControlMessage) -> Value {
        let start = try take(MemoryLayout<Value>.size)
        return message.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: start, as: Value.self) }
    }

    mutating func text() throws(MalformedControlMessage) -> String {
        let length = Int(try integer(UInt32.self))
        let start = try take(length)
        return message.withUnsafeBytes { String(decoding: $0[start..<start + length], as: UTF8.self) }
    }

    mutating func secret() throws(MalformedControlMessage) -> SecretBytes {
        let length = Int(try integer(UInt32.self))
        let start = try take(length)
        return message.withUnsafeBytes {
            SecretBytes(copying: UnsafeRawBufferPointer(rebasing: $0[start..<start + length]))
        }
    }

    mutating func bytes() throws(MalformedControlMessage) -> [UInt8] { try secret().withUnsafeBytes { Array($0) } }

    mutating func function() throws(MalformedControlMessage) -> PKCS11Function {
        guard let function = PKCS11Function(rawValue: try integer()) else { throw MalformedControlMessage() }
        return function
    }

    mutating func tokenSelector() throws(MalformedControlMessage) -> TokenSelector {
        switch try integer(UInt8.self) {
        case 1: .label(try text())
        case 2: .serial(try text())
        case 3: .slot(try integer())
        default: throw MalformedControlMessage()
        }
    }

    mutating func optionalText() throws(MalformedControlMessage) -> String? {
        try integer(UInt8.self) == 0 ? nil : try text()
    }

    mutating func tokenIdentity() throws(MalformedControlMessage) -> TokenIdentity {
        TokenIdentity(
            label: try text(), serial: try text(), manufacturer: try text(), model: try text(), firmware: try text(),
            slot: try integer(), sessionLimit: try integer())
    }

    mutating func profile() throws(MalformedControlMessage) -> GCMProfile {
        guard let source = GCMProfile.IVSource(rawValue: try integer()),
            let layout = GCMProfile.Layout(rawValue: try integer())
        else { throw MalformedControlMessage() }
        return GCMProfile(ivSource: source, layout: layout)
    }

    mutating func optionalProfile() throws(MalformedControlMessage) -> GCMProfile? {
        try integer(UInt8.self) == 0 ? nil : try profile()
    }

    /// What is no day of the calendar is no bound.
    mutating func validity() throws(MalformedControlMessage) -> KeyValidity {
        KeyValidity(start: KeyValidity.day(try integer(UInt32.self)), end: KeyValidity.day(try integer(UInt32.self)))
    }

    mutating func identity() throws(MalformedControlMessage) -> KeyIdentity? {
        let known = try integer(UInt8.self)
        guard known < 8 else { throw MalformedControlMessage() }
        guard known != 0 else { return nil }
        return KeyIdentity(
            checkValue: known & 1 == 0 ? nil : try bytes(), uniqueID: known & 2 == 0 ? nil : try bytes(),
            id: known & 4 == 0 ? nil : try bytes())
    }

    mutating func sealedCanary() throws(MalformedControlMessage) -> SealedCanary {
        SealedCanary(initializationVector: try bytes(), ciphertext: try bytes())
    }

    private mutating func take(_ length: Int) throws(MalformedControlMessage) -> Int {
        guard length <= message.count - offset else { throw MalformedControlMessage() }
        defer { offset += length }
        return offset
    }
}
