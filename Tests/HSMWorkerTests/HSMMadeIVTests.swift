// SPDX-License-Identifier: Apache-2.0
import HSMWorker
import LaneProtocol
import PKCS11
import SecondOpinion
import Testing

/// An HSM that makes the IVs itself, from a list; the last one stays.
private final class IVMaker: LaneSession {
    var ivs: [[UInt8]]
    /// What the encryptions return, before one succeeds.
    var refusals: [CallResult] = []
    private(set) var brokenGenerators = 0

    init(_ ivs: [[UInt8]]) { self.ivs = ivs }

    func encrypt(_ call: GCMCall) -> CallResult {
        if !refusals.isEmpty { return refusals.removeFirst() }
        let iv = ivs.count > 1 ? ivs.removeFirst() : ivs[0]
        call.iv.copyBytes(from: iv)
        call.output.copyMemory(from: call.input)
        return CallResult(
            function: .encrypt, code: .ok, length: call.input.count + gcmTagLength, ivLength: iv.count)
    }

    func decrypt(_ call: GCMCall) -> CallResult { CallResult(function: .decrypt, code: .functionNotSupported) }
    func random(into target: UnsafeMutableRawBufferPointer) -> CallResult {
        // Nothing is drawn where the HSM makes the IVs.
        Issue.record("the generator was asked")
        return CallResult(function: .generateRandom, code: .functionNotSupported)
    }
    func knownAnswer() -> KnownAnswer { .unavailable }
    func reopen() -> CallResult { .ok }
    func close() {}
    func restoreLogin() -> CallResult { .ok }
    func loginStands() -> Bool { true }
    func handle(ofKey reference: UInt32) -> KeyHandle { .at(ObjectHandle(rawValue: UInt(reference))) }
    func catalogueIsStale() {}
    func generatorIsBroken() { brokenGenerators += 1 }
    func now() -> UInt64 { 1 }
}

@Suite("IVs that the HSM makes")
struct HSMMadeIVTests {
    private func counter(_ value: UInt32, length: Int = 12) -> [UInt8] {
        // As NIST SP 800-38D, section 8.2.1 has it: the HSM's name first, then a number that grows.
        let number = withUnsafeBytes(of: value.bigEndian) { Array($0) }
        return [UInt8](repeating: 0xc5, count: length - number.count) + number
    }

    private func serve(_ engine: inout LaneEngine<IVMaker>, _ source: GCMProfile.IVSource, key: UInt32 = 1)
        -> LaneVerdict
    {
        let profile = GCMProfile(ivSource: source, layout: .withIVBits)
        var iv = [UInt8](repeating: 0, count: profile.ivLength)
        let input: [UInt8] = [1, 2, 3]
        var output = [UInt8](repeating: 0, count: profile.outputRoom(forPlaintextOf: input.count))
        let header = LaneRequestHeader(
            operation: .encrypt, generation: 1, deadline: .max, keyReference: key, aadLength: 0, ivLength: 0,
            dataLength: 3)
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

    private func engine(_ maker: IVMaker, _ source: GCMProfile.IVSource) throws -> LaneEngine<IVMaker> {
        LaneEngine(
            session: maker, ivs: try #require(IVPool(history: IVHistory())),
            profile: GCMProfile(ivSource: source, layout: .withIVBits))
    }

    @Test(
        "IVs that count are honest, also when each key begins anew", arguments: [GCMProfile.IVSource.buffer, .appended])
    func counting(source: GCMProfile.IVSource) throws {
        let length = GCMProfile(ivSource: source, layout: .withIVBits).ivLength
        let ivs = (1...500 as ClosedRange<UInt32>).map { counter($0, length: length) }
        let maker = IVMaker(ivs + ivs)
        var engine = try engine(maker, source)
        for key in [1, 2] as [UInt32] {
            for _ in ivs {
                let verdict = serve(&engine, source, key: key)
                #expect(verdict.status == .done)
                #expect(verdict.result.ivLength == length)
            }
        }
        #expect(maker.brokenGenerators == 0)
    }

    @Test("An IV that comes again under the same key is not given out")
    func repeated() throws {
        let maker = IVMaker([counter(1), counter(2), counter(1)])
        var engine = try engine(maker, .buffer)
        #expect(serve(&engine, .buffer).status == .done)
        #expect(serve(&engine, .buffer).status == .done)
        let third = serve(&engine, .buffer)
        #expect(third.status == .refused)
        #expect(third.result == .brokenGenerator)
        #expect(maker.brokenGenerators == 1)
    }

    @Test("An IV of zeroes is not given out", arguments: [GCMProfile.IVSource.buffer, .appended])
    func zeroes(source: GCMProfile.IVSource) throws {
        let length = GCMProfile(ivSource: source, layout: .withIVBits).ivLength
        let maker = IVMaker([[UInt8](repeating: 0, count: length)])
        var engine = try engine(maker, source)
        #expect(serve(&engine, source).result == .brokenGenerator)
        #expect(maker.brokenGenerators == 1)
    }

    @Test("An HSM that left the buffer zero is reported as broken, one that refused the call is not")
    func leftZero() throws {
        let maker = IVMaker([counter(1)])
        maker.refusals = [.brokenGenerator, CallResult(function: .encrypt, code: .functionFailed)]
        var engine = try engine(maker, .buffer)
        #expect(serve(&engine, .buffer).result == .brokenGenerator)
        #expect(maker.brokenGenerators == 1)
        #expect(serve(&engine, .buffer).result.code == .functionFailed)
        #expect(maker.brokenGenerators == 1)
        #expect(serve(&engine, .buffer).status == .done)
    }

    @Test("Lanes share what they have seen")
    func shared() throws {
        let history = IVHistory()
        let iv = counter(9)
        #expect(iv.withUnsafeBytes { history.admit($0, madeUnder: 1) })
        #expect(iv.withUnsafeBytes { history.admit($0, madeUnder: 2) })
        let pool = try #require(IVPool(history: history))
        #expect(iv.withUnsafeBytes { !pool.admit($0, madeUnder: 1) })
    }

    @Test("Every profile but the shorthands of vendors has a name of its own")
    func names() {
        for source in GCMProfile.IVSource.allCases {
            for layout in GCMProfile.Layout.allCases where layout != .message || source == .caller {
                let profile = GCMProfile(ivSource: source, layout: layout)
                #expect(profile.name.flatMap { GCMProfile(named: $0) } == profile)
            }
        }
        #expect(GCMProfile(ivSource: .buffer, layout: .withIVBits).name == "buffer")
    }
}
