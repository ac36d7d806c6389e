// SPDX-License-Identifier: Apache-2.0
import Conformance
import Foundation
import KMSPlay
import NIOCore
import NIOPosix
import Synchronization
import XKSCalls
import XKSClient
import XKSProtocol

/// Sends a proxy what KMS would, at a constant rate, whatever comes of it. Connections are kept and used again, as an HTTP
/// client does.
final class KMSPlayRun: Sendable {
    /// Calls under way; what would be more does not begin.
    private static let mostUnderWay = 1_000
    /// Connections kept for later calls.
    private static let mostIdle = 256
    /// Ciphertexts kept for decryptions; the oldest go.
    private static let mostKept = 1_024
    static let principal = "arn:aws:iam::000000000000:role/claviger-kms-play"

    private struct State {
        var report: PlayReport
        var kept: [KeptCiphertext] = []
        var added = 0
        var idle: [XKSConnection] = []
        var underWay = 0
    }

    private let connector: XKSConnector
    private let signer: CallSigner
    private let key: String
    private let region: String
    private let loop: any EventLoop
    private let runID: String
    private let state: Mutex<State>

    init(
        connector: XKSConnector, signer: CallSigner, key: String, region: String, loop: any EventLoop,
        report: PlayReport
    ) {
        self.connector = connector
        self.signer = signer
        self.key = key
        self.region = region
        self.loop = loop
        runID = String(UUID().uuidString.lowercased().prefix(8))
        state = Mutex(State(report: report))
    }

    /// Makes all calls of the plan, and waits for their ends.
    func play(_ plan: PlayPlan) async -> PlayReport {
        var plan = plan
        // Something to decrypt, before anything is counted.
        await prepare()
        let begin = monotonicNow()
        var number = 0
        await withTaskGroup(of: Void.self) { group in
            while let (operation, at) = plan.next(), !Output.isOver {
                let now = monotonicNow() &- begin
                if at > now { try? await Task.sleep(nanoseconds: at - now) }
                let begins = state.withLock { state in
                    guard state.underWay < Self.mostUnderWay else {
                        state.report.notBegun += 1
                        return false
                    }
                    state.underWay += 1
                    return true
                }
                guard begins else { continue }
                number += 1
                let call = self.call(operation, number)
                group.addTask {
                    let result = await self.perform(call)
                    self.end(result, call.operation, Double(monotonicNow() &- begin &- at) / 1e6)
                }
            }
        }
        return state.withLock { state in
            for connection in state.idle { connection.close() }
            state.idle = []
            state.report.finish()
            return state.report
        }
    }

    /// The last ciphertexts that were made.
    var kept: [KeptCiphertext] { state.withLock(\.kept) }

    /// One data key whose request is not counted.
    private func prepare() async {
        let result = await perform(call(.generateDataKey, 0))
        keep(result.kept)
    }

    private func keep(_ kept: KeptCiphertext?) {
        guard let kept else { return }
        state.withLock { state in
            if state.kept.count < Self.mostKept {
                state.kept.append(kept)
            } else {
                state.kept[state.added % Self.mostKept] = kept
            }
            state.added &+= 1
        }
    }

    private func end(_ result: PlayedResult, _ operation: PlayedOperation, _ milliseconds: Double) {
        keep(result.kept)
        state.withLock { state in
            state.underWay -= 1
            state.report.add(result, of: operation, milliseconds: milliseconds)
        }
    }

    /// Where there is nothing to decrypt yet, a data key is asked for instead.
    private func call(_ planned: PlayedOperation, _ number: Int) -> PlayedCall {
        let kept = state.withLock { $0.kept.randomElement() }
        let operation = kept == nil && [.decrypt, .reEncrypt].contains(planned) ? .generateDataKey : planned
        let metadata = CallMetadata(
            principal: Self.principal,
            keyARN: operation == .createKey ? nil : "arn:aws:kms:\(region):000000000000:key/claviger-kms-play",
            operation: operation.kmsName, requestID: "kms-play-\(runID)-\(number)")
        return PlayedCall(
            operation, metadata: metadata, kept: kept, dataKey: (0..<32).map { _ in UInt8.random(in: .min ... .max) },
            additionalData: Array("claviger-kms-play=\(number)".utf8))
    }

    // MARK: Requests

    private func perform(_ call: PlayedCall) async -> PlayedResult {
        var call = call
        var action = call.begin()
        while true {
            switch action {
            case .done(let result): return result
            case .send(let operation, let body): action = call.next(await send(operation, body))
            }
        }
    }

    /// Has KMS's patience: 250 ms, connecting included.
    private func send(_ operation: XKSOperation, _ body: JSONObject) async -> PlayedOutcome {
        let begin = monotonicNow()
        func left() -> TimeAmount {
            let passed = Int64(clamping: (monotonicNow() &- begin) / 1_000_000)
            return .milliseconds(max(Int64(PlayedCall.patience) - passed, 1))
        }
        guard let bytes = try? signer.request(operation, key: key, body: body, now: Int64(time(nil))) else {
            return .broken
        }
        while true {
            let known = state.withLock { $0.idle.popLast() }
            do {
                let connection: XKSConnection
                if let known {
                    connection = known
                } else {
                    connection = try await connector.open(on: loop, within: left()).get()
                }
                let answer = try await connection.call(ByteBuffer(bytes: bytes), within: left()).get().answer
                if !answer.closes {
                    state.withLock { state in
                        if state.idle.count < Self.mostIdle { state.idle.append(connection) }
                    }
                }
                return .answer(answer)
            } catch ConnectionFault.silent {
                return .timeout
            } catch ConnectionFault.ended where known != nil {
                // The proxy may end a connection that waits; the request is made over another, in the same time.
                continue
            } catch ConnectionFault.unreachable(let reason) {
                return reason.contains("connectTimeout") ? .timeout : .noConnection
            } catch ConnectionFault.handshake {
                return .noTLS
            } catch {
                return .broken
            }
        }
    }
}
