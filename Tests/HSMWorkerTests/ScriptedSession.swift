// SPDX-License-Identifier: Apache-2.0
import HSMWorker
import LaneProtocol
import PKCS11
import SecondOpinion

/// What a scripted HSM was asked, in order.
enum SessionCall: Equatable {
    case encrypt, decrypt, random, knownAnswer, reopen, close, restoreLogin, loginStands
}

/// Plays an HSM by a script. Each list gives the answers in order; the last one stays.
final class Script: @unchecked Sendable {
    // Used by one thread at a time: the lane's, or the test's after the lane has ended.
    var encrypt: [ReturnCode] = [.ok]
    var decrypt: [ReturnCode] = [.ok]
    var reopen: [ReturnCode] = [.ok]
    var restoreLogin: [ReturnCode] = [.ok]
    var knownAnswer: [KnownAnswer] = [.passed]
    var random: (UnsafeMutableRawBufferPointer, Int) -> ReturnCode = { target, _ in
        for index in target.indices { target[index] = .random(in: 0...255) }
        return .ok
    }
    var decryptFunction = PKCS11Function.decrypt
    var loginStands = true
    /// The HSM makes the IVs.
    var makesIVs = false
    /// The HSM spoils what it encrypts.
    var flipsBits = false
    var keys: [UInt32: KeyHandle] = [1: .at(ObjectHandle(rawValue: 17)), 3: .moved]
    /// Advances with each call into the HSM by `callDuration`.
    var clock: UInt64 = 1_000
    var callDuration: UInt64 = 10

    private(set) var calls: [SessionCall] = []
    private(set) var ivs: [[UInt8]] = []
    private(set) var staleCatalogues = 0
    private(set) var brokenGenerators = 0
    private var randomCalls = 0

    func next<Answer>(_ answers: inout [Answer], _ call: SessionCall) -> Answer {
        calls.append(call)
        clock += callDuration
        return answers.count > 1 ? answers.removeFirst() : answers[0]
    }

    func record(iv: UnsafeMutableRawBufferPointer) { ivs.append(Array(iv)) }
    func record(_ call: SessionCall) { calls.append(call) }
    func noteStale() { staleCatalogues += 1 }
    func noteBroken() { brokenGenerators += 1 }

    func fill(_ target: UnsafeMutableRawBufferPointer) -> ReturnCode {
        calls.append(.random)
        randomCalls += 1
        return random(target, randomCalls)
    }
}

/// The scripted HSM as a lane's session. "Encrypts" by appending sixteen bytes, "decrypts" by dropping them.
struct ScriptedSession: LaneSession {
    let script: Script

    mutating func encrypt(_ call: GCMCall) -> CallResult {
        let code = script.next(&script.encrypt, .encrypt)
        script.record(iv: call.iv)
        guard code.isOK else { return CallResult(function: .encrypt, code: code) }
        if script.makesIVs { for index in call.iv.indices { call.iv[index] = .random(in: 1...255) } }
        call.output.copyMemory(from: call.input)
        if script.flipsBits { call.output[0] ^= 1 }
        return CallResult(
            function: .encrypt, code: .ok, length: call.input.count + gcmTagLength, ivLength: call.iv.count)
    }

    mutating func decrypt(_ call: GCMCall) -> CallResult {
        let code = script.next(&script.decrypt, .decrypt)
        guard code.isOK else { return CallResult(function: script.decryptFunction, code: code) }
        guard call.input.count >= gcmTagLength else {
            return CallResult(function: .decrypt, code: .encryptedDataLenRange)
        }
        call.output.copyMemory(from: UnsafeRawBufferPointer(rebasing: call.input.dropLast(gcmTagLength)))
        return CallResult(function: .decrypt, code: .ok, length: call.input.count - gcmTagLength)
    }

    mutating func random(into target: UnsafeMutableRawBufferPointer) -> CallResult {
        CallResult(function: .generateRandom, code: script.fill(target), length: target.count)
    }

    mutating func knownAnswer() -> KnownAnswer { script.next(&script.knownAnswer, .knownAnswer) }

    mutating func reopen() -> CallResult {
        CallResult(function: .openSession, code: script.next(&script.reopen, .reopen))
    }

    mutating func close() { script.record(.close) }

    mutating func restoreLogin() -> CallResult {
        CallResult(function: .login, code: script.next(&script.restoreLogin, .restoreLogin))
    }

    mutating func loginStands() -> Bool {
        script.record(.loginStands)
        return script.loginStands
    }

    func handle(ofKey reference: UInt32) -> KeyHandle { script.keys[reference] ?? .gone }
    func catalogueIsStale() { script.noteStale() }
    func generatorIsBroken() { script.noteBroken() }
    func now() -> UInt64 { script.clock }
}

extension GCMProfile {
    static let callerWithIVBits = GCMProfile(ivSource: .caller, layout: .withIVBits)
    static let appendedWithIVBits = GCMProfile(ivSource: .appended, layout: .withIVBits)
}

/// Serves single requests on an engine over a script.
struct Bench {
    let script: Script
    var engine: LaneEngine<ScriptedSession>

    init(_ script: Script = Script(), isOpen: Bool = true) throws {
        self.script = script
        guard let ivs = IVPool(history: IVHistory()) else { throw NoMemory() }
        engine = LaneEngine(
            session: ScriptedSession(script: script), ivs: ivs, profile: .callerWithIVBits,
            isOpen: isOpen)
    }

    struct NoMemory: Error {}

    mutating func serve(
        _ operation: LaneOperation, key: UInt32 = 1, deadline: UInt64 = .max
    ) -> LaneVerdict {
        var iv = [UInt8](repeating: operation == .decrypt ? 9 : 0, count: ivLength)
        let input = [UInt8](repeating: 5, count: 48)
        var output = [UInt8](repeating: 0, count: input.count + gcmTagLength)
        let header = LaneRequestHeader(
            operation: operation, generation: 1, deadline: deadline, keyReference: key, aadLength: 0,
            ivLength: operation == .decrypt ? UInt8(ivLength) : 0, dataLength: UInt32(input.count))
        return iv.withUnsafeMutableBytes { iv in
            input.withUnsafeBytes { input in
                output.withUnsafeMutableBytes { output in
                    engine.serve(
                        header,
                        GCMCall(
                            key: ObjectHandle(rawValue: 0), iv: iv, aad: UnsafeRawBufferPointer(start: nil, count: 0),
                            input: input, output: output))
                }
            }
        }
    }
}
