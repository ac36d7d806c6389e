// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What came of a load.
struct LoadReport {
    /// A ciphertext, and what must come out of it.
    struct Made: Sendable {
        var encrypted: Encrypted
        var plaintext: [UInt8]
        var aad: String
    }

    /// Requests that were answered.
    var requests = 0
    /// What went wrong, in words.
    var failures: [String] = []
    /// Seconds of each request.
    var durations: [Double] = []
    var made: [Made] = []

    var slowest: Double { durations.max() ?? 0 }

    func percentile(_ share: Double) -> Double {
        let sorted = durations.sorted()
        return sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }

    var summary: String {
        func milliseconds(_ seconds: Double) -> String { String(format: "%.1f ms", seconds * 1_000) }
        return "\(requests) requests, \(failures.count) failed, p50 \(milliseconds(percentile(0.5))), "
            + "p99 \(milliseconds(percentile(0.99))), slowest \(milliseconds(slowest))"
    }
}

/// Connections that encrypt and decrypt, each one request after another, until they are stopped.
final class Load: Sendable {
    private struct State {
        var report = LoadReport()
        var running: Int
        var isStopping = false
    }

    private let state: Observed<State>

    init(_ node: Node, connections: Int = 32) {
        let state = Observed(State(running: connections))
        self.state = state
        for _ in 0..<connections {
            Thread.detachNewThread {
                do {
                    let client = try XKSClient(node)
                    while !state.read({ $0.isStopping }) { try Self.roundTrip(client, state) }
                } catch {
                    state.update { $0.report.failures.append("\(error)") }
                }
                state.update { $0.running -= 1 }
            }
        }
    }

    deinit { state.update { $0.isStopping = true } }

    var requests: Int { state.read { $0.report.requests } }

    /// Waits until so many more requests have been answered; fails when a connection has given up.
    func more(_ count: Int, within seconds: Double = 30) throws {
        let goal = requests + count
        let reached = state.wait(atMost: seconds) { state -> Bool? in
            if !state.report.failures.isEmpty { return false }
            return state.report.requests >= goal ? true : nil
        }
        guard reached == true else {
            throw HarnessError("the load came to a halt: \(state.read { $0.report.failures.prefix(3) })")
        }
    }

    /// Ends the load, and waits for its last requests.
    func stop() throws -> LoadReport {
        state.update { $0.isStopping = true }
        guard state.wait(atMost: 40, until: { $0.running == 0 ? true : nil }) == true else {
            throw HarnessError("the load did not end")
        }
        return state.read { $0.report }
    }

    private static func roundTrip(_ client: XKSClient, _ state: Observed<State>) throws {
        let plaintext = randomBytes(Int.random(in: 1...64))
        let aad = base64(randomBytes(16))
        let encryption = try timed(state, "encrypt") { try client.encrypt(plaintext, aad: aad) }
        guard encryption.status == 200 else { return }
        let encrypted = try encryption.decoded(Encrypted.self)
        let decryption = try timed(state, "decrypt") { try client.decrypt(encrypted, aad: aad) }
        let isRight = decryption.text == #"{"plaintext":"\#(base64(plaintext))"}"#
        state.update { state in
            state.report.made.append(.init(encrypted: encrypted, plaintext: plaintext, aad: aad))
            if decryption.status == 200, !isRight { state.report.failures.append("decrypt: another plaintext") }
        }
    }

    private static func timed(
        _ state: Observed<State>, _ what: String, _ request: () throws -> HTTPReply
    ) throws -> HTTPReply {
        let start = DispatchTime.now().uptimeNanoseconds
        let reply = try request()
        let seconds = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
        state.update { state in
            state.report.requests += 1
            state.report.durations.append(seconds)
            if reply.status != 200 { state.report.failures.append("\(what): \(reply.text)") }
        }
        return reply
    }
}
