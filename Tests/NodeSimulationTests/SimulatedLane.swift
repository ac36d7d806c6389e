// SPDX-License-Identifier: Apache-2.0
import HSMPool
import HSMWorker
import LaneProtocol
import PKCS11
import Routing
import SecureMemory

/// One lane of a worker: frames in their order, one call at a time.
final class SimulatedLane: WorkerLane, @unchecked Sendable {
    unowned let worker: SimulatedWorker
    let lane: LaneID
    private let session: SimulatedSession
    private var engine: LaneEngine<SimulatedSession>
    private let profile: GCMProfile
    private var waiting: [() -> Void] = []
    /// Generation of the frame that was read and not answered.
    private(set) var current: UInt64?

    init(
        worker: SimulatedWorker, lane: LaneID, session: SimulatedSession, engine: LaneEngine<SimulatedSession>,
        profile: GCMProfile
    ) {
        self.worker = worker
        self.lane = lane
        self.session = session
        self.engine = engine
        self.profile = profile
    }

    func send(_ operation: KeyOperation, keyReference: UInt32, generation: UInt64, deadline: UInt64) {
        arrive { [self] in
            let header = LaneRequestHeader(
                operation: operation.kind, generation: generation, deadline: deadline, keyReference: keyReference,
                aadLength: 0, ivLength: 0, dataLength: 0)
            let (verdict, iv, data) = serve(header, operation)
            answer(verdict, generation, iv, data)
        }
    }

    func order(_ operation: LaneOperation, generation: UInt64) {
        arrive { [self] in
            let verdict =
                switch operation {
                case .openSession: engine.openSession(deadline: .max)
                case .closeSession: engine.closeSession()
                case .knownAnswer, .encrypt, .decrypt: engine.answerKnown(deadline: .max)
                }
            answer(verdict, generation, [], [])
        }
    }

    func close() {}

    private func arrive(_ work: @escaping () -> Void) {
        let world = worker.world
        world.at(world.now + SimulatedWorker.socketDelay) { [weak self] in
            guard let self, !self.worker.isDead else { return }
            self.waiting.append(work)
            if self.current == nil { self.next() }
        }
    }

    private func next() {
        guard !worker.isDead, !waiting.isEmpty else { return }
        session.clock = worker.world.now
        waiting.removeFirst()()
    }

    private func serve(
        _ header: LaneRequestHeader, _ operation: KeyOperation
    ) -> (LaneVerdict, iv: [UInt8], data: [UInt8]) {
        let isEncryption = operation.kind == .encrypt
        var iv = isEncryption ? [UInt8](repeating: 0, count: profile.ivLength) : operation.initializationVector.array
        var output = [UInt8](repeating: 0, count: operation.data.count + ToyCipher.tagLength)
        let verdict = iv.withUnsafeMutableBytes { iv in
            operation.additionalData.withUnsafeBytes { aad in
                operation.data.withUnsafeBytes { input in
                    output.withUnsafeMutableBytes { output in
                        engine.serve(
                            header,
                            GCMCall(key: ObjectHandle(rawValue: 0), iv: iv, aad: aad, input: input, output: output))
                    }
                }
            }
        }
        return (verdict, isEncryption ? iv : [], Array(output.prefix(verdict.result.length)))
    }

    private func answer(_ verdict: LaneVerdict, _ generation: UInt64, _ iv: [UInt8], _ data: [UInt8]) {
        current = generation
        guard session.clock < .max / 4 else { return }
        let isDone = verdict.status == .done
        let header = LaneAnswerHeader(
            status: verdict.status, function: verdict.result.function.rawValue, generation: generation,
            code: isDone ? 0 : UInt64(verdict.result.code.rawValue),
            hsmMicroseconds: UInt32(clamping: verdict.hsmNanoseconds / 1_000),
            ivLength: isDone ? UInt8(clamping: iv.count) : 0, dataLength: isDone ? UInt32(clamping: data.count) : 0)
        let world = worker.world
        world.at(session.clock) { [weak self] in
            guard let self, !self.worker.isDead else { return }
            self.current = nil
            let answer = LaneAnswer(
                header: header,
                output: KeyOperationOutput(
                    initializationVector: SecretBytes(isDone ? iv : []), data: SecretBytes(isDone ? data : [])))
            self.worker.node.schedule(at: world.now + SimulatedWorker.socketDelay) {
                $0.laneAnswered(self.lane, answer, self.worker)
            }
            self.next()
        }
    }
}

extension SecretBytes {
    var array: [UInt8] { withUnsafeBytes { Array($0) } }
}
