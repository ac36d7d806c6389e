// SPDX-License-Identifier: Apache-2.0
import LoadGenerator
import LoadPlan
import NIOCore
import NIOPosix
import Testing

@Suite("The load generator", .serialized)
struct LoadGeneratorTests {
    private func load(
        _ settings: LoadSettings, _ source: PlainSource = PlainSource(),
        replies reply: @escaping @Sendable (Int) -> Reply
    ) async throws -> (trial: Trial, server: ScriptedServer) {
        let server = try await ScriptedServer(reply)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: settings.threads)
        do {
            let target = try LoadTarget(host: "127.0.0.1", port: server.port, tls: nil, serverName: nil)
            let trial = try await LoadGenerator(group: group, target: target).run(settings, source: source)
            await server.stop()
            try await group.shutdownGracefully()
            return (trial, server)
        } catch {
            await server.stop()
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private func open(_ rate: Double, _ seconds: Double, threads: Int = 1) -> LoadSettings {
        LoadSettings(pace: .open(rate: rate, .constant), warmUp: 0, seconds: seconds, threads: threads)
    }

    private func closed(_ connections: Int, _ seconds: Double) -> LoadSettings {
        LoadSettings(pace: .closed(connections: connections), warmUp: 0, seconds: seconds)
    }

    /// What an open loop is for: of a pause of half a second, a quarter of two seconds of load notices something. The closed
    /// loop waits politely, and shows one slow request.
    @Test("a server that pauses shows in the percentiles of an open loop, and hardly in those of a closed one")
    func pause() async throws {
        let reply: @Sendable (Int) -> Reply = { $0 == 100 ? .pause(milliseconds: 500, Reply.ok()) : .text(Reply.ok()) }
        let free = try await load(open(200, 2), replies: reply).trial
        #expect(free.requests == 400 && free.failed == 0)
        let (p50, p90) = (free.latency.milliseconds(atShare: 0.5) ?? 0, free.latency.milliseconds(atShare: 0.9) ?? 0)
        // Of the 400 a hundred wait, as long as is left of the pause: 300 ms where 40 wait longer.
        #expect(p50 < 100 && p90 > 220 && p90 < 420, "p50 \(p50), p90 \(p90)")
        #expect((free.latency.longest ?? 0) >= 480)
        let polite = try await load(closed(1, 2), replies: reply).trial
        let p99 = polite.latency.milliseconds(atShare: 0.99) ?? .infinity
        #expect(polite.requests > 200 && p99 < 100 && (polite.latency.longest ?? 0) >= 480, "p99 \(p99)")
    }

    @Test("requests are due whatever becomes of them: their number is the rate's, on one thread and on several")
    func rate() async throws {
        for threads in [1, 3] {
            let (trial, server) = try await load(open(300, 1, threads: threads)) { _ in .text(Reply.ok()) }
            #expect((299...301).contains(trial.requests) && trial.failed == 0 && server.requests == Int(trial.requests))
            #expect(trial.connections.opened == server.connections && trial.connections.failed == 0)
        }
        let silent = try await load(
            LoadSettings(
                pace: .open(rate: 100, .constant), warmUp: 0, seconds: 0.5, mostConnections: 4, patience: 0.2)
        ) { _ in .silence }.trial
        #expect(silent.requests == 50 && silent.failures == [.unanswered: 50] && silent.mostConnections == 4)
    }

    @Test("answers come whole, in pieces, in chunks, with the end of their connection, and after another")
    func forms() async throws {
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
        let replies: [Reply] = [
            .text(Reply.ok()), .dribbled(Reply.ok()), .text(chunked), .dribbled(chunked),
            .last("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}"), .last(Reply.ok()),
            .text("HTTP/1.1 100 Continue\r\n\r\n" + Reply.ok()),
        ]
        for reply in replies {
            let trial = try await load(open(50, 0.4)) { _ in reply }.trial
            #expect(trial.good == 20 && trial.failed == 0, "\(reply): \(trial.failures)")
        }
    }

    @Test("whatever is no good answer is counted as what it is")
    func failures() async throws {
        let refusal = #"{"errorName":"ThrottlingException","errorMessage":"x"}"#
        let cases: [(Reply, TrialFailure)] = [
            (
                .text("HTTP/1.1 429 Too Many\r\ncontent-length: \(refusal.utf8.count)\r\n\r\n\(refusal)"),
                .answered(status: 429, exception: "ThrottlingException")
            ),
            (.text("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"), .answered(status: 500, exception: nil)),
            (.text("SSH-2.0-x\r\n\r\n"), .malformed), (.hangUp, .closed),
            (.text(Reply.ok(#"{"plaintext":"b"}"#)), .wrong),
        ]
        for (reply, failure) in cases {
            let trial = try await load(open(50, 0.4), PlainSource(awaited: "\"a\"")) { _ in reply }.trial
            #expect(trial.failures == [failure: 20] && trial.good == 0, "\(reply): \(trial.failures)")
        }
    }

    @Test("a connection that was closed between two requests is no failure; nobody there is one")
    func connections() async throws {
        // Each connection is closed without an answer to its second request, as a server does that had closed it just then.
        let (trial, _) = try await load(
            LoadSettings(pace: .open(rate: 50, .constant), warmUp: 0, seconds: 0.4, mostConnections: 1)
        ) { $0 % 2 == 1 ? .hangUp : .text(Reply.ok()) }
        #expect(trial.failed == 0 && trial.good == 20, "\(trial.failures)")
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let server = try await ScriptedServer { _ in .silence }
        let port = server.port
        await server.stop()
        let target = try LoadTarget(host: "127.0.0.1", port: port, tls: nil, serverName: nil)
        for settings in [open(50, 0.4), closed(2, 0.4)] {
            let nobody = try await LoadGenerator(group: group, target: target).run(settings, source: PlainSource())
            #expect(nobody.good == 0 && Set(nobody.failures.keys) == [.unconnected], "\(nobody.failures)")
            #expect(nobody.failed > 0 && nobody.connections.failed > 0)
        }
        try await group.shutdownGracefully()
    }

    @Test("a closed loop has as many connections as it is told, and opens others after so many answers")
    func closedLoop() async throws {
        let (trial, server) = try await load(closed(3, 0.4)) { _ in .text(Reply.ok()) }
        #expect(trial.mostConnections == 3 && server.connections == 3 && trial.good > 100)
        var settings = closed(3, 0.4)
        settings.requestsPerConnection = 5
        let (turned, other) = try await load(settings) { _ in .text(Reply.ok()) }
        #expect(turned.failed == 0 && turned.mostConnections <= 3 && turned.good > 50)
        #expect(other.connections >= other.requests / 5 && other.connections <= other.requests / 5 + 6)
    }

    @Test("bytes are those of the requests and answers; what is before counting is not counted")
    func bytes() async throws {
        var settings = open(100, 0.5)
        settings.warmUp = 0.3
        let (trial, server) = try await load(settings) { _ in .text(Reply.ok()) }
        #expect(trial.requests == 50 && server.requests == 80)
        let (sent, received) = (PlainSource().make(0).bytes.readableBytes, Reply.ok().utf8.count)
        // To a request at each end.
        #expect(abs(Int(trial.sentBytes) - 50 * sent) <= 2 * sent, "\(trial.sentBytes)")
        #expect(abs(Int(trial.receivedBytes) - 50 * received) <= 2 * received, "\(trial.receivedBytes)")
    }

    @Test("it stops when its task is cancelled, with what it has counted")
    func cancelled() async throws {
        let server = try await ScriptedServer { _ in .text(Reply.ok()) }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let target = try LoadTarget(host: "127.0.0.1", port: server.port, tls: nil, serverName: nil)
        let progress = LoadProgress()
        let task = Task {
            try await LoadGenerator(group: group, target: target).run(
                open(100, 3_600, threads: 2), source: PlainSource(), progress: progress)
        }
        while progress.now.done < 10 { await Task.yield() }
        task.cancel()
        let trial = try await task.value
        #expect(trial.wasStopped && trial.good >= 10 && trial.good < 10_000)
        await server.stop()
        try await group.shutdownGracefully()
    }
}
