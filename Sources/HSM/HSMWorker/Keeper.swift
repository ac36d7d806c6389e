// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import LaneProtocol
import PKCS11
import SecureMemory
import Threads

/// A worker's one thread beside the lanes that talks to the library: logs in, starts the lanes, keeps the catalogue,
/// probes, proves keys.
struct Keeper {
    /// For how long canaries are served, or keys are read, before the others have their turn again, nanoseconds.
    private static let turn: UInt64 = 50_000_000

    private let configuration: WorkerConfiguration
    private let openLanes: UInt16
    private let firstLaneDescriptor: Int32
    private let control: ControlChannel
    private let doorbell: Doorbell

    init(
        _ configuration: WorkerConfiguration, openLanes: UInt16, firstLaneDescriptor: Int32, control: ControlChannel,
        doorbell: Doorbell
    ) {
        self.configuration = configuration
        self.openLanes = openLanes
        self.firstLaneDescriptor = firstLaneDescriptor
        self.control = control
        self.doorbell = doorbell
    }

    /// Runs until something makes the worker useless; says to the node what it was.
    func run() -> Never {
        do throws(WorkerFailure) {
            let token = try OpenToken.open(
                module: configuration.module, token: configuration.token, pin: configuration.pin,
                initializeArguments: configuration.initializeArguments, profile: configuration.profile)
            var rounds = try KeeperRounds(
                configuration, token: token, capabilities: token.capabilities, control: control, doorbell: doorbell)
            let lanes = try startLanes(rounds.shared)
            control.send(
                .ready(
                    WorkerReadiness(
                        identity: token.identity, openLanes: UInt16(clamping: lanes.opened),
                        capabilities: token.capabilities)))
            if let shortage = lanes.shortage { rounds.complain(shortage) }
            try keep(&rounds)
        } catch {
            control.send(.failed(error))
        }
        HSMWorker.leave(1)
    }

    private func keep(_ rounds: inout KeeperRounds) throws(WorkerFailure) {
        var probes = ProbeSchedule(interval: UInt64(max(configuration.probeInterval, 50)) * 1_000_000)
        while true {
            // Before it has listed keys the node gives it nothing, and its probes say nothing.
            let next = rounds.hasSentKeys ? min(rounds.nextReading, probes.next) : rounds.nextReading
            let tasks = try doorbell.wait(until: next)
            if let offered = doorbell.takeOffered() { rounds.offer(offered) }
            if tasks.contains(.readCatalogue) { rounds.demandReading() }
            let isProbeDue = tasks.contains(.probe) || claviger_monotonic_nanoseconds() >= probes.next
            if rounds.hasSentKeys, isProbeDue {
                let report = try rounds.probe()
                control.send(.probe(report))
                let mayGoOn = probes.record(
                    passed: report.passed, now: claviger_monotonic_nanoseconds(), jitter: .random(in: 0..<1))
                guard mayGoOn else { throw exhausted(report) }
            }
            try rounds.readKeys(until: claviger_monotonic_nanoseconds() + Self.turn)
            let end = claviger_monotonic_nanoseconds() + Self.turn
            while claviger_monotonic_nanoseconds() < end, let request = doorbell.takeCanary() { rounds.prove(request) }
        }
    }

    private func exhausted(_ report: ProbeReport) -> WorkerFailure {
        let code = ReturnCode(rawValue: UInt(truncatingIfNeeded: report.code))
        return WorkerFailure(
            kind: .call, function: report.function, code: report.code,
            message: "\(ProbeSchedule.mostFailures) probes in a row failed, the last with \(report.function.name) "
                + "\(code.isOK ? "and a wrong result" : code.name); a new worker process is needed")
    }

    /// Opens the sessions of the first lanes and starts all lanes; those without session are parked.
    private func startLanes(_ shared: SharedToken) throws(WorkerFailure) -> (opened: Int, shortage: String?) {
        let threads = shared.capabilities.allowsThreads
        let lanes = Int(configuration.lanes)
        let wanted = min(max(Int(openLanes), 1), threads ? lanes : min(lanes, 1))
        var sessions: [Session] = []
        var shortage: String?
        while sessions.count < wanted, shortage == nil {
            do {
                sessions.append(try Session.open(shared.module, slot: shared.slot))
            } catch {
                if sessions.isEmpty { throw .call(error, doing: "opening the first lane's session") }
                shortage = "only \(sessions.count) of \(wanted) sessions could be opened: \(error)"
            }
        }
        var started = 0
        while started < Int(configuration.lanes) {
            let session = started < sessions.count ? sessions[started] : nil
            let token = TokenLaneSession(shared, session: session, mayOpen: threads || started == 0)
            guard start(number: started, token, isOpen: session != nil, shared) else { break }
            started += 1
        }
        for unused in started..<max(started, Int(configuration.lanes)) {
            // The node sees the socket closed; the lanes that have a session stay the first ones.
            close(firstLaneDescriptor + Int32(unused))
            if unused < sessions.count { try? sessions[unused].close() }
            shortage = "the system gives threads for \(started) of \(configuration.lanes) lanes only"
        }
        guard started > 0 || configuration.lanes == 0 else {
            throw WorkerFailure(kind: .call, message: "the system gives no thread for a lane")
        }
        return (min(sessions.count, started), shortage)
    }

    private func start(number: Int, _ session: TokenLaneSession, isOpen: Bool, _ shared: SharedToken) -> Bool {
        let descriptor = firstLaneDescriptor + Int32(number)
        // The library may want signals. SCHED_BATCH: measured, it saves switches between node and worker.
        return DetachedThread.begin("lane \(number)", takesSignals: true, isBatch: true) {
            // The channel closes the socket with the lane, and so informs the node.
            guard let channel = LaneChannel(descriptor: descriptor, profile: shared.profile),
                let ivs = IVPool(history: shared.ivHistory)
            else {
                close(descriptor)
                return
            }
            let engine = LaneEngine(
                session: session, ivs: ivs, profile: shared.profile, isOpen: isOpen)
            var lane = Lane(channel: channel, engine: engine)
            lane.run()
        }
    }
}
