// SPDX-License-Identifier: Apache-2.0
import Chance
import LaneProtocol
import PKCS11
import StatusVocabulary

/// Something that is wrong with a token.
enum TokenTrouble {
    /// Calls return no sooner than then.
    case hangs(until: UInt64)
    /// Each call takes so much longer, nanoseconds.
    case isSlower(by: UInt64)
    /// One call at a time, whoever makes it.
    case isSerial
    /// This share of the calls with keys returns CKR_DEVICE_ERROR.
    case fails(share: Double)
    /// This share of the decryptions returns CKR_ENCRYPTED_DATA_INVALID, whatever is to be opened.
    case denies(share: Double)
    /// Every nth call of its cipher returns this code, the first of them with n = 1.
    case answers(ReturnCode, every: Int)
    /// A login takes so long, nanoseconds.
    case logsIn(after: UInt64)
    /// Searches find nothing, and handles lead nowhere.
    case showsNoKeys
    /// No session can be had.
    case isGone
    /// Another key lies under a label.
    case holdsAnother
}

/// A token in virtual time: its keys, how fast it is, and what is wrong with it at the moment. Several nodes may use one.
///
/// Its cipher only looks like AES-GCM: the first half of the tag names the key's value, so that the simulation can always
/// tell which key a ciphertext was made under; the second half is a checksum over everything else.
final class SimulatedToken {
    struct Object {
        var label: KeyLabel
        /// The key itself: two objects of one value are one key.
        var value: UInt64
        var usage: KeyUsage = [.encrypt, .decrypt]
    }

    let name: String
    let serial: String
    private(set) var objects: [UInt: Object] = [:]
    private var lastHandle: UInt = 0
    private var random: RandomChoice

    // MARK: What is wrong with it

    /// Time of a call of the token when it is well, nanoseconds.
    private let latency: UInt64
    /// What is wrong at the moment.
    private(set) var troubles: [Int: TokenTrouble] = [:]
    /// When it last had something wrong, nanoseconds.
    private(set) var wellSince: UInt64 = 0
    private var lastTrouble = 0
    private var busyUntil: UInt64 = 0
    /// When calls that begin now return at the earliest.
    private var hangsUntil: UInt64 = 0
    private var added: UInt64 = 0
    private var isSerial = false
    private var failing = 0.0
    private var denying = 0.0
    private var answering: (code: ReturnCode, every: Int)?
    private var ciphers = 0
    /// How long a login takes, nanoseconds; `nil`: as it comes.
    private(set) var login: UInt64?
    private(set) var isEmpty = false
    private(set) var isGone = false
    /// The attributes that distinguish keys cannot be read.
    var hidesAttributes = false

    /// Begins a trouble; the number ends it.
    func begin(_ trouble: TokenTrouble) -> Int {
        lastTrouble += 1
        troubles[lastTrouble] = trouble
        apply()
        return lastTrouble
    }

    func end(_ number: Int, now: UInt64) {
        troubles[number] = nil
        wellSince = now
        apply()
    }

    var isWell: Bool { troubles.isEmpty }
    var isLying: Bool { denying > 0 }

    private func apply() {
        (hangsUntil, added, isSerial, failing, denying, isEmpty, isGone) = (0, 0, false, 0, 0, false, false)
        (answering, login) = (nil, nil)
        for trouble in troubles.values {
            switch trouble {
            case .hangs(let until): hangsUntil = max(hangsUntil, until)
            case .isSlower(let by): added += by
            case .isSerial: isSerial = true
            case .fails(let share): failing = max(failing, share)
            case .denies(let share): denying = max(denying, share)
            case .answers(let code, let every): answering = (code, every)
            case .logsIn(let after): login = after
            case .showsNoKeys: isEmpty = true
            case .isGone: isGone = true
            case .holdsAnother: break
            }
        }
    }

    init(name: String, serial: String, latency: UInt64, seed: UInt64) {
        self.name = name
        self.serial = serial
        self.latency = latency
        random = RandomChoice(seed: seed)
    }

    // MARK: Keys

    func add(_ label: KeyLabel, value: UInt64) {
        lastHandle += 1
        objects[lastHandle] = Object(label: label, value: value)
    }

    func remove(_ label: KeyLabel) { objects = objects.filter { $0.value.label != label } }

    /// CKA_ENCRYPT and CKA_DECRYPT of what lies under the label.
    func allow(_ usage: KeyUsage, of label: KeyLabel) {
        for (handle, object) in objects where object.label == label { objects[handle]?.usage = usage }
    }

    /// Another key comes to lie under the label: a new object, or another value under the old handle.
    func exchange(_ label: KeyLabel, for value: UInt64, underOldHandle: Bool) {
        for (handle, object) in objects where object.label == label {
            if underOldHandle {
                objects[handle]?.value = value
            } else {
                objects[handle] = nil
                add(label, value: value)
            }
        }
    }

    func holds(_ label: KeyLabel, value: UInt64) -> Bool {
        objects.values.contains { $0.label == label && $0.value == value }
    }

    func handles(labelled label: KeyLabel?) -> [ObjectHandle] {
        guard !isEmpty else { return [] }
        return objects.filter { label == nil || $0.value.label == label }.keys.sorted().map {
            ObjectHandle(rawValue: $0)
        }
    }

    func describe(_ handle: ObjectHandle) -> KeyReading {
        guard !isEmpty, let object = objects[handle.rawValue] else { return .gone }
        return .key(
            KeyDescription(
                handle: handle, label: object.label, id: [1], size: 32, usage: object.usage,
                checkValue: hidesAttributes ? [] : (0..<3).map { UInt8(truncatingIfNeeded: object.value >> ($0 * 8)) }))
    }

    // MARK: Calls

    /// When a call that begins at this moment ends.
    func end(ofCallAt start: UInt64) -> UInt64 {
        let begin = isSerial ? max(start, busyUntil) : start
        let end = max(begin, hangsUntil) + latency + added + random.below(latency / 2)
        busyUntil = end
        return end
    }

    /// What the token says before it looks at the call.
    func refusal(of handle: ObjectHandle, _ function: PKCS11Function) -> (value: UInt64?, refusal: CallResult) {
        if isGone { return (nil, CallResult(function: function, code: .tokenNotPresent)) }
        if let code = excuse() { return (nil, CallResult(function: function, code: code)) }
        if random.fraction() < failing { return (nil, CallResult(function: function, code: .deviceError)) }
        guard !isEmpty, let object = objects[handle.rawValue] else {
            return (nil, CallResult(function: function, code: .keyHandleInvalid))
        }
        guard object.usage.contains(function == .encrypt ? .encrypt : .decrypt) else {
            return (nil, CallResult(function: function, code: .keyFunctionNotPermitted))
        }
        return (object.value, .ok)
    }

    /// What this call of the cipher returns, whatever it is asked.
    func excuse() -> ReturnCode? {
        guard let answering else { return nil }
        ciphers += 1
        return ciphers % answering.every == 0 ? answering.code : nil
    }

    /// Whether this decryption is called invalid whatever it is.
    func denies() -> Bool { random.fraction() < denying }

    func fill(_ target: UnsafeMutableRawBufferPointer) {
        for index in target.indices { target[index] = UInt8(truncatingIfNeeded: random.next()) }
    }
}

/// The cipher that only looks like one.
enum ToyCipher {
    static let tagLength = 16

    static func tag(
        _ value: UInt64, iv: UnsafeRawBufferPointer, aad: UnsafeRawBufferPointer, plaintext: some Sequence<UInt8>
    ) -> [UInt8] {
        var sum = value ^ 0xcbf2_9ce4_8422_2325
        func feed(_ byte: UInt8) { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01b3 }
        for byte in iv { feed(byte) }
        for byte in aad { feed(byte) }
        for byte in plaintext { feed(byte) }
        return bytes(of: value) + bytes(of: sum)
    }

    static func bytes(of number: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) } }

    /// The value of the key that a ciphertext was made under.
    static func value(inTag tag: [UInt8]) -> UInt64 {
        tag.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    static func mask(_ value: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: value &* 0x9e37_79b9) }
}
