// SPDX-License-Identifier: Apache-2.0
import Conformance
import NIOCore
import XKSCalls
import XKSClient

/// Does the steps of one case: sends what the case composes, and has it judge what comes.
struct CaseDriver: Sendable {
    private let test: ConformanceCase
    private let settings: CertificationSettings
    private let links: CaseLinks
    private let now: @Sendable () -> Int64
    private var run: CaseRun
    private var connection: XKSConnection?
    /// Until the case ends.
    private var held: [XKSConnection] = []
    private var last: (request: DraftRequest, sent: ComposedRequest)?
    private var reading: CaseRun.Judgement?

    init(
        _ test: ConformanceCase, settings: CertificationSettings, links: CaseLinks, runID: String,
        now: @escaping @Sendable () -> Int64
    ) {
        self.test = test
        self.settings = settings
        self.links = links
        self.now = now
        run = CaseRun(test, subject: settings.subject, runID: runID)
    }

    mutating func run() async -> CaseRun.Judgement {
        let judgement = await perform(test.steps)
        connection?.close()
        for connection in held { connection.close() }
        return judgement
    }

    private mutating func perform(_ steps: [CaseStep]) async -> CaseRun.Judgement {
        for step in steps {
            let judgement = await perform(step)
            switch judgement {
            case .held: continue
            case .broken: return judgement
            case .reading: reading = judgement
            }
        }
        return reading ?? .held
    }

    private mutating func perform(_ step: CaseStep) async -> CaseRun.Judgement {
        switch step {
        case .call(let request, let expectation):
            return await call(request, run.compose(request, now: now()), expectation)
        case .repeatLast(let expectation):
            guard let last else { return .held }
            return await call(last.request, last.sent, expectation)
        case .callHTTP2(let request, let expectation):
            let sent = run.compose(request, now: now())
            return run.judge(await links.callHTTP2(sent), of: request, sent: sent, expectation)
        case .reconnect:
            connection?.close()
            connection = nil
            return .held
        case .pipeline(let requests, let expectations): return await pipeline(requests, expectations)
        case .cut(let request, let percent):
            await cut(run.compose(request, now: now()), percent)
            return .held
        case .parallel(let count, let steps): return await parallel(count, steps)
        case .hold(let count, let text):
            for _ in 0..<count {
                guard let connection = try? await open() else { continue }
                if !text.isEmpty { connection.send(Array(text.utf8)) }
                held.append(connection)
            }
            return .held
        case .probe(let kinds, let expectation):
            var seen: [ProbeObservation] = []
            for kind in kinds {
                seen.append(await links.probe(kind, run.compose(ConformanceCase.healthRequest, now: now())))
            }
            return expectation.judge(seen)
        }
    }

    private func open() async throws -> XKSConnection {
        try await links.ordinary.open(on: links.loop, within: links.patience).get()
    }

    // MARK: Requests

    private mutating func call(
        _ request: DraftRequest, _ sent: ComposedRequest, _ expectation: Expectation
    ) async -> CaseRun.Judgement {
        last = (request, sent)
        return run.judge(await observe(sent), of: request, sent: sent, expectation)
    }

    private mutating func observe(_ sent: ComposedRequest) async -> Observation {
        var connecting = 0.0
        do {
            let connection: XKSConnection
            if let known = self.connection {
                connection = known
            } else {
                connection = try await open()
                connecting = Double(connection.times.ready &- connection.times.begun) / 1e6
                self.connection = connection
            }
            let begin = monotonicNow()
            send(sent, over: connection)
            let answer = try await connection.answer(within: links.patience, toHead: sent.isHead).get()
            return Observation(
                .answer(answer.answer), milliseconds: Double(answer.complete &- begin) / 1e6,
                connectMilliseconds: connecting)
        } catch {
            return Observation(links.outcome(of: error), milliseconds: 0, connectMilliseconds: connecting)
        }
    }

    private func send(_ sent: ComposedRequest, over connection: XKSConnection) {
        guard sent.pieceBytes > 0 else {
            connection.send(sent.bytes)
            return
        }
        var rest = sent.bytes[...]
        while !rest.isEmpty {
            connection.send(Array(rest.prefix(sent.pieceBytes)))
            rest = rest.dropFirst(sent.pieceBytes)
        }
    }

    private mutating func pipeline(
        _ requests: [DraftRequest], _ expectations: [Expectation]
    ) async -> CaseRun.Judgement {
        let sent = requests.map { run.compose($0, now: now()) }
        let connection: XKSConnection
        do { connection = try await open() } catch {
            let observation = Observation(links.outcome(of: error), milliseconds: 0, connectMilliseconds: 0)
            return run.judge(observation, of: requests[0], sent: sent[0], expectations[0])
        }
        self.connection = connection
        connection.send(sent.flatMap(\.bytes))
        for (index, (request, expectation)) in zip(requests, expectations).enumerated() {
            let observation: Observation
            do {
                let answer = try await connection.answer(within: links.patience).get().answer
                observation = Observation(.answer(answer), milliseconds: 0, connectMilliseconds: 0)
            } catch {
                observation = Observation(links.outcome(of: error), milliseconds: 0, connectMilliseconds: 0)
            }
            let judgement = run.judge(observation, of: request, sent: sent[index], expectation)
            guard case .held = judgement else { return judgement }
            // What stands behind an announced end is not answered (RFC 9112, section 9.6).
            if case .answer(let answer) = observation.outcome, answer.closes { return .held }
        }
        return .held
    }

    private func cut(_ sent: ComposedRequest, _ percent: Int) async {
        guard let connection = try? await open() else { return }
        let count = sent.bytes.count * percent / 100
        // Closed when the kernel has the bytes: else none would come.
        try? await connection.send(Array(sent.bytes.prefix(count))).get()
        connection.close()
    }

    private func parallel(_ count: Int, _ steps: [CaseStep]) async -> CaseRun.Judgement {
        await withTaskGroup(of: CaseRun.Judgement.self) { group in
            for lane in 0..<count {
                var driver = self
                driver.connection = nil
                driver.held = []
                driver.run.lane = lane
                let began = driver
                group.addTask {
                    var driver = began
                    let judgement = await driver.perform(steps)
                    driver.connection?.close()
                    return judgement
                }
            }
            var worst = CaseRun.Judgement.held
            for await judgement in group {
                if case .broken = judgement { worst = judgement }
            }
            return worst
        }
    }
}
