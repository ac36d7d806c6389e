// SPDX-License-Identifier: Apache-2.0
import Glibc
import LoadPlan
import NIOCore
import NIOPosix
import NIOSSL
import XKSCalls

/// One thread's part of a load: on its event loop only.
final class LoadLane {
    /// Between two looks at what takes too long.
    private static let sweepInterval = TimeAmount.milliseconds(10)
    /// Of a connection that could not be opened, in a closed loop, to the next attempt.
    private static let reopenPause = TimeAmount.milliseconds(100)
    /// In an open loop. A handshake takes as much of a proxy's processor as several requests: with one for each request that
    /// waits, a moment's pause would become a storm of handshakes that keeps the proxy from ever recovering.
    private static let mostOpening = 8

    private let loop: any EventLoop
    private let target: LoadTarget
    private let settings: LoadSettings
    private let done: EventLoopPromise<Trial>
    private let progress: LoadProgress
    private let number: Int
    private var ring: RequestRing
    private var schedule: ArrivalSchedule?
    /// Connections that are open, or being opened; those that are free; how many are being opened.
    private var connections: [LoadConnection] = []
    private var idle: [LoadConnection] = []
    private var opening = 0
    private var addressNumber = 0
    /// Requests that are due and have no connection yet.
    private var waiting: CircularBuffer<LoadCall> = []
    private var busy = 0

    /// Nanoseconds of the monotonic clock: when all began, when counting begins, and when it ends.
    private var begin: UInt64 = 0
    private var countFrom: UInt64 = 0
    private var end: UInt64 = 0
    private let patience: UInt64
    private var trial: Trial
    private var isFinished = false

    var wire = WireBytes()
    /// Bytes before counting began; of handshakes since then.
    private var wireBefore: WireBytes?
    private var handshakes = WireBytes()

    /// - Parameter number: of this lane among all, from 0.
    init(
        _ loop: any EventLoop, _ target: LoadTarget, _ settings: LoadSettings, number: Int, source: any LoadSource,
        progress: LoadProgress, done: EventLoopPromise<Trial>
    ) {
        self.loop = loop
        self.target = target
        self.settings = settings
        self.number = number
        self.progress = progress
        self.done = done
        patience = UInt64(max(settings.patience, 0.001) * 1e9)
        trial = Trial(seconds: settings.seconds)
        ring = RequestRing(source: source, first: number)
        if case .open(let rate, let spacing) = settings.pace {
            schedule = ArrivalSchedule(
                rate: rate / Double(settings.threads), spacing: spacing,
                phase: Double(number) / Double(settings.threads), seed: .random(in: .min ... .max))
        }
    }

    private var now: UInt64 { NIODeadline.now().uptimeNanoseconds }

    func start() {
        ring.fill(now: now)
        begin = now
        countFrom = begin &+ UInt64(max(settings.warmUp, 0) * 1e9)
        end = countFrom &+ UInt64(settings.seconds * 1e9)
        if case .closed(let connections) = settings.pace {
            for place in 0..<connections where place % settings.threads == number { open() }
        }
        if schedule != nil, settings.warmUp > 0 {
            for _ in 0..<min(Self.mostOpening, mostConnections) { open() }
        }
        sweep()
        tick()
    }

    /// Ends it now, with what has been counted.
    func stop() {
        trial.wasStopped = true
        end = min(end, now)
    }

    // MARK: Requests that are due

    private func tick() {
        guard let next = schedule, !isFinished else { return }
        var due = begin &+ next.next
        let now = now
        while due <= now, due < end {
            schedule?.advance()
            dispatch(LoadCall(due: due, request: ring.next(now: now)), now: now)
            due = begin &+ (schedule?.next ?? .max / 2)
        }
        guard due < end else { return }
        let this = NIOLoopBound(self, eventLoop: loop)
        _ = loop.scheduleTask(deadline: .uptimeNanoseconds(due)) { this.value.tick() }
    }

    private func dispatch(_ call: LoadCall, now: UInt64) {
        guard let connection = idle.popLast() else {
            waiting.append(call)
            openMore()
            return
        }
        if isCounted(call.due), !call.isRepeated { trial.lateness.record(nanoseconds: now &- call.due) }
        busy += 1
        connection.send(call)
    }

    private func openMore() {
        if opening < min(waiting.count, Self.mostOpening), connections.count < mostConnections { open() }
    }

    private var mostConnections: Int { max(settings.mostConnections / settings.threads, 1) }

    private func isCounted(_ moment: UInt64) -> Bool { moment >= countFrom && moment < end }

    // MARK: Connections

    private func open() {
        opening += 1
        let address = target.addresses[addressNumber % target.addresses.count]
        addressNumber += 1
        let counter = WireCounter(self)
        let connection = LoadConnection(self, counter, awaitsTLS: target.tls != nil, begun: now)
        add(connection)
        let this = NIOLoopBound((lane: self, connection: connection, counter: counter), eventLoop: loop)
        let (tls, serverName) = (target.tls, target.serverName)
        ClientBootstrap(group: loop)
            .connectTimeout(.nanoseconds(Int64(clamping: patience)))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 8_192))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(this.value.counter)
                    if let tls {
                        try pipeline.addHandler(try NIOSSLClientHandler(context: tls, serverHostname: serverName))
                    }
                    try pipeline.addHandler(this.value.connection)
                }
            }
            .connect(to: address)
            // A channel that never was active says nothing of its end.
            .whenFailure { _ in this.value.lane.closed(this.value.connection, during: nil, hadAnswer: false) }
    }

    private func add(_ connection: LoadConnection) {
        connection.index = connections.count
        connections.append(connection)
        trial.mostConnections = max(trial.mostConnections, connections.count)
    }

    /// False where it has been removed before.
    private func remove(_ connection: LoadConnection) -> Bool {
        guard connections.indices.contains(connection.index), connections[connection.index] === connection else {
            return false
        }
        let last = connections.removeLast()
        if last !== connection {
            connections[connection.index] = last
            last.index = connection.index
        }
        idle.removeAll { $0 === connection }
        return true
    }

    func opened(_ connection: LoadConnection) {
        opening -= 1
        trial.connections.opened &+= 1
        trial.connections.connect.record(nanoseconds: connection.connected &- connection.begun)
        if target.tls != nil {
            let bytes = connection.handshakeBytes
            trial.connections.handshake.record(nanoseconds: now &- connection.connected)
            trial.connections.sentBytes &+= bytes.sent
            trial.connections.receivedBytes &+= bytes.received
            if wireBefore != nil {
                handshakes.sent &+= bytes.sent
                handshakes.received &+= bytes.received
            }
        }
        free(connection)
    }

    /// It can take a request.
    private func free(_ connection: LoadConnection) {
        let now = now
        if case .closed = settings.pace {
            guard now < end else { return idle.append(connection) }
            busy += 1
            return connection.send(LoadCall(due: now, request: ring.next(now: now)))
        }
        dropOverdue(now: now)
        guard let call = waiting.popFirst() else { return idle.append(connection) }
        busy += 1
        connection.send(call)
        // More wait than are being opened for.
        openMore()
    }

    func closed(_ connection: LoadConnection, during call: LoadCall?, hadAnswer: Bool) {
        guard remove(connection) else { return }
        if !connection.isReady {
            opening -= 1
            trial.connections.failed &+= 1
            // One that nobody can be reached for is told at once; in a closed loop each attempt counts.
            if case .closed = settings.pace {
                count(.unconnected, of: LoadCall(due: now, request: LoadRequest(bytes: ByteBuffer())))
            } else if let call = waiting.popFirst() {
                count(.unconnected, of: call)
            }
        }
        if var call {
            busy -= 1
            // Closed between two requests, as servers do: no client takes that for an answer.
            if connection.answers > 0, !hadAnswer, !call.isRepeated, schedule != nil {
                call.isRepeated = true
                dispatch(call, now: now)
            } else {
                count(.closed, of: call)
            }
        }
        guard case .closed = settings.pace, !isFinished, now < end else { return }
        guard !connection.isReady else { return open() }
        let this = NIOLoopBound(self, eventLoop: loop)
        _ = loop.scheduleTask(in: Self.reopenPause) { if !this.value.isFinished { this.value.open() } }
    }

    // MARK: Answers

    func answered(
        _ connection: LoadConnection, _ call: LoadCall, status: Int, body: UnsafeRawBufferPointer, closes: Bool
    ) {
        busy -= 1
        let now = now
        // In a closed loop by the moment of the answer: what is under way at the beginning is not cut off.
        let moment = isClosed ? now : call.due
        if isCounted(moment) {
            let offset = moment &- countFrom
            if status != 200 {
                trial.failed(.answered(status: status, exception: Self.exception(body)), offset: offset)
            } else if let awaited = call.request.awaited, !holds(body, awaited) {
                trial.failed(.wrong, offset: offset)
            } else {
                trial.answered(offset: offset, nanoseconds: now &- call.due)
            }
        }
        let isUsedUp = settings.requestsPerConnection.map { connection.answers >= $0 } ?? false
        if closes || isUsedUp {
            // `closed` follows.
            connection.close()
        } else {
            free(connection)
        }
    }

    func failed(_ connection: LoadConnection, _ call: LoadCall, _ failure: TrialFailure) {
        busy -= 1
        count(failure, of: call)
    }

    private func count(_ failure: TrialFailure, of call: LoadCall) {
        if isCounted(call.due) { trial.failed(failure, offset: call.due &- countFrom) }
    }

    private static func exception(_ body: UnsafeRawBufferPointer) -> String? {
        guard case .string(let name)? = JSONValue(Array(body))?["errorName"] else { return nil }
        return name
    }

    // MARK: What takes too long, and the end

    private func sweep() {
        guard !isFinished else { return }
        let now = now
        if wireBefore == nil, now >= countFrom { wireBefore = wire }
        dropOverdue(now: now)
        for connection in connections {
            if let call = connection.call, now > call.due &+ patience {
                busy -= 1
                count(.unanswered, of: call)
                connection.close()
            } else if !connection.isReady, now > connection.begun &+ 2 &* patience {
                connection.close()
            }
        }
        progress.note(number, done: trial.requests, failed: trial.failed)
        if now >= end, busy == 0 && waiting.isEmpty || isClosed || now > end &+ patience &+ 100_000_000 {
            return finish(now: now)
        }
        let this = NIOLoopBound(self, eventLoop: loop)
        _ = loop.scheduleTask(in: Self.sweepInterval) { this.value.sweep() }
    }

    /// In a closed loop nothing is waited for at the end: what is under way was not answered within the time.
    private var isClosed: Bool { schedule == nil }

    private func dropOverdue(now: UInt64) {
        while let call = waiting.first, now > call.due &+ patience {
            waiting.removeFirst()
            count(.unanswered, of: call)
        }
    }

    private func finish(now: UInt64) {
        isFinished = true
        for call in waiting { count(.unanswered, of: call) }
        if let before = wireBefore {
            trial.sentBytes = wire.sent &- before.sent &- handshakes.sent
            trial.receivedBytes = wire.received &- before.received &- handshakes.received
        }
        for connection in connections { connection.close() }
        done.succeed(trial)
    }
}

/// Requests that are signed beforehand, and anew after a while: a signature is good for five minutes (XKS 1.0.3,
/// "Authentication").
struct RequestRing {
    private static let size = 64
    /// Nanoseconds.
    private static let goodFor: UInt64 = 60_000_000_000

    private let source: any LoadSource
    private var requests: [(request: LoadRequest, made: UInt64)] = []
    private var position = 0
    private var number: Int

    /// - Parameter first: number of the first request.
    init(source: any LoadSource, first: Int) {
        self.source = source
        number = first
    }

    mutating func fill(now: UInt64) {
        while requests.count < Self.size { requests.append((make(), now)) }
    }

    mutating func next(now: UInt64) -> LoadRequest {
        guard !requests.isEmpty else { return make() }
        position = (position + 1) % requests.count
        if now &- requests[position].made > Self.goodFor { requests[position] = (make(), now) }
        return requests[position].request
    }

    private mutating func make() -> LoadRequest {
        number &+= 1
        return source.make(number)
    }
}
