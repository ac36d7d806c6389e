// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import LaneProtocol
import PKCS11
import SecureMemory

/// A worker's one thread beside the lanes that talks to the library: logs in, starts the lanes, keeps the catalogue,
/// probes.
struct Keeper {
    /// After this many failed probes in a row the worker ends, and the node starts a new one: there are libraries that
    /// only a new process heals.
    private static let mostFailedProbes = 3

    private let configuration: WorkerConfiguration
    private let firstLaneDescriptor: Int32
    private let control: ControlChannel
    private let doorbell: Doorbell

    init(
        _ configuration: WorkerConfiguration, firstLaneDescriptor: Int32, control: ControlChannel, doorbell: Doorbell
    ) {
        self.configuration = configuration
        self.firstLaneDescriptor = firstLaneDescriptor
        self.control = control
        self.doorbell = doorbell
    }

    /// Runs until something makes the worker useless; tells the node what.
    func run() -> Never {
        do throws(WorkerFailure) {
            let token = try OpenToken.open(
                module: configuration.module, token: configuration.token, pin: configuration.pin)
            var rounds = try KeeperRounds(configuration, token: token, control: control, doorbell: doorbell)
            let lanes = try startLanes(rounds.shared)
            control.send(.ready(token.identity, lanes: UInt16(clamping: lanes.opened)))
            if let shortage = lanes.shortage { rounds.complain(shortage) }
            try rounds.readCatalogue(always: true)
            try keep(&rounds)
        } catch {
            control.send(.failed(error))
        }
        _exit(1)
    }

    private func keep(_ rounds: inout KeeperRounds) throws(WorkerFailure) {
        var nextCatalogue = soon(configuration.catalogueInterval)
        var nextProbe: UInt64 = 0
        var failedProbes = 0
        while true {
            let tasks = try doorbell.wait(until: min(nextCatalogue, nextProbe))
            if tasks.contains(.probe) || claviger_monotonic_nanoseconds() >= nextProbe {
                let report = try rounds.probe()
                control.send(.probe(report))
                failedProbes = report.passed ? 0 : failedProbes + 1
                if failedProbes >= Self.mostFailedProbes { throw exhausted(report) }
                nextProbe = soon(configuration.probeInterval)
            }
            if tasks.contains(.readCatalogue) || claviger_monotonic_nanoseconds() >= nextCatalogue {
                try rounds.readCatalogue(always: false)
                nextCatalogue = soon(configuration.catalogueInterval)
            }
        }
    }

    private func exhausted(_ report: ProbeReport) -> WorkerFailure {
        let code = ReturnCode(rawValue: UInt(truncatingIfNeeded: report.code))
        return WorkerFailure(
            kind: .call, function: report.function, code: report.code,
            message: "\(Self.mostFailedProbes) probes in a row failed, the last with \(report.function.name) "
                + "\(code.isOK ? "and a wrong result" : code.name); a new worker process is needed")
    }

    /// In `milliseconds` from now, ±10 %, so that the workers of many nodes do not ask an HSM all at once.
    private func soon(_ milliseconds: UInt32) -> UInt64 {
        let base = UInt64(max(milliseconds, 50)) * 1_000_000
        return claviger_monotonic_nanoseconds() + UInt64.random(in: base / 10 * 9...base / 10 * 11)
    }

    /// Opens a session for each lane and starts the lanes; closes the sockets of those that got none.
    private func startLanes(_ shared: SharedToken) throws(WorkerFailure) -> (opened: Int, shortage: String?) {
        let wanted = Int32(configuration.lanes)
        var sessions: [Session] = []
        var refusal: PKCS11Error?
        while sessions.count < wanted, refusal == nil {
            do {
                sessions.append(try Session.open(shared.module, slot: shared.slot))
            } catch {
                refusal = error
            }
        }
        if let refusal, sessions.isEmpty { throw .call(refusal, doing: "opening the first lane's session") }
        for index in 0..<wanted {
            let descriptor = firstLaneDescriptor + index
            guard index < sessions.count, start(descriptor, sessions[Int(index)], number: index, shared) else {
                close(descriptor)
                continue
            }
        }
        let shortage = refusal.map { "only \(sessions.count) of \(wanted) sessions could be opened: \($0)" }
        return (sessions.count, shortage)
    }

    private func start(_ descriptor: Int32, _ session: Session, number: Int32, _ shared: SharedToken) -> Bool {
        startThread(name: "lane \(number)", batch: true) {
            // The channel closes the socket with the lane, and so tells the node.
            guard let channel = LaneChannel(descriptor: descriptor), let ivs = IVPool(history: shared.ivHistory) else {
                close(descriptor)
                return
            }
            var lane = Lane(channel: channel, session: TokenLaneSession(shared, session: session), ivs: ivs)
            lane.run()
        }
    }
}
