// SPDX-License-Identifier: Apache-2.0
import CPlatform
import LaneProtocol
import Logging
import NIOCore
import NIOPosix
import Routing

// The life of workers: start, first words, end, pause, start again.

extension HSMPool {
    /// A worker that was killed but whose socket does not close (stuck in the kernel) is given up after this.
    private static let patienceWithTheDead = TimeAmount.seconds(1)
    /// How long a worker's sockets may take to close after its process has ended.
    private static let patienceWithSockets = TimeAmount.milliseconds(20)
    /// How long a library may go on starting processes while those that it has left behind are ended.
    private static let patienceWithOrphans = TimeAmount.seconds(2)
    /// How long a start under way may hold up the end of the pool, beyond the grace.
    private static let patienceWithStarts = TimeAmount.seconds(5)
    /// How often silent workers are looked for.
    private static let watchInterval = TimeAmount.milliseconds(500)

    /// Starts a worker after a pause, nanoseconds. Of several orders for one start the first that is due counts: it
    /// begins another epoch.
    func startWorker(_ hsm: Int, after pause: UInt64) {
        let loop = loops[hsm % loops.count]
        let before = state.withLock { $0.hsms[hsm].epoch }
        timers.after(.nanoseconds(Int64(clamping: pause)), on: loop) {
            let now = monotonicNanoseconds()
            let epoch = self.state.withLock { state -> UInt64? in
                guard let epoch = state.beginStart(of: hsm, after: before, now: now) else { return nil }
                state.spawning += 1
                return epoch
            }
            guard let epoch else { return }
            // Starting a process takes a millisecond or more: not on an event loop.
            NIOThreadPool.singleton.submit { _ in
                self.spawn(hsm, epoch: epoch)
                self.state.withLock { $0.spawning -= 1 }
            }
        }
    }

    private func spawn(_ hsm: Int, epoch: UInt64) {
        let settings = state.withLock { $0.hsms[hsm].settings }
        guard let openLanes = claimFirstLanes(hsm) else {
            return postpone(hsm, epoch: epoch)
        }
        do {
            let process = try WorkerProcess.start(
                settings: settings, openLanes: openLanes, executable: self.settings.executable)
            attach(process, hsm: hsm, epoch: epoch)
        } catch {
            logger.error("worker not started", metadata: ["hsm": "\(settings.name)", "error": "\(error)"])
            ended(hsm: hsm, epoch: epoch, reason: "its worker could not be started: \(error)")
        }
    }

    /// Puts the node's ends of the sockets on event loops.
    private func attach(_ process: WorkerProcess, hsm: Int, epoch: UInt64) {
        let controlLoop = loops[hsm % loops.count]
        let control = ControlConnection(hsm: hsm, epoch: epoch, eventLoop: controlLoop, delegate: self)
        let lanes = process.laneDescriptors.indices.map { number in
            let lane = LaneID(hsm: hsm, lane: number)
            let loop = loops[lane.group(among: loops.count)]
            return LaneConnection(lane: lane, epoch: epoch, eventLoop: loop, delegate: self)
        }
        let now = monotonicNanoseconds()
        let worker = WorkerHandle(pid: process.pid, control: control, lanes: lanes, notes: process.notes)
        let isCurrent = state.withLock { state -> Bool in
            guard let offer = state.started(worker, hsm: hsm, epoch: epoch, now: now) else {
                state.dying.insert(process.pid)
                return false
            }
            // Before any later offer, which the lock keeps behind this one.
            control.send(offer)
            return true
        }
        guard isCurrent else {
            process.closeDescriptors()
            end(process.pid)
            return
        }
        for (lane, descriptor) in process.laneDescriptors.enumerated() {
            connect(descriptor, to: lanes[lane], on: lanes[lane].eventLoop)
        }
        connect(process.controlDescriptor, to: control, on: controlLoop)
        listen(to: process, of: hsm, on: controlLoop)
        ProcessEnd.watch(process.pid) { [weak self] way in self?.exited(hsm, epoch: epoch, way) }
        resumeWaiters()
    }

    /// A worker's process has ended. What it last said lies in its control socket, and may say that the PIN was
    /// refused: so that the socket, on whose loop this waits, is read to its end first. It closes only after a helper of
    /// the library where there is one, and then nobody waits for it.
    private func exited(_ hsm: Int, epoch: UInt64, _ way: WorkerEnd.Way?) {
        guard state.withLock({ !$0.isStopping && $0.hsms[hsm].epoch == epoch }) else { return }
        timers.after(Self.patienceWithSockets, on: loops[hsm % loops.count]) {
            self.ended(hsm: hsm, epoch: epoch, as: way)
        }
    }

    /// A worker's control socket has closed: its process has ended, or will in a moment, unless its library has closed it.
    func workerEnded(hsm: Int, epoch: UInt64) {
        askForEnd(of: hsm, epoch: epoch, until: NIODeadline.now() + Self.patienceWithSockets)
    }

    private func askForEnd(of hsm: Int, epoch: UInt64, until deadline: NIODeadline) {
        let (pid, isOver) = state.withLock { state in
            (state.hsms[hsm].worker?.pid ?? 0, state.isStopping || state.hsms[hsm].epoch != epoch)
        }
        let way = pid > 0 ? WorkerEnd.way(of: pid) : nil
        guard way == nil, !isOver, NIODeadline.now() < deadline else {
            return ended(hsm: hsm, epoch: epoch, as: way)
        }
        timers.after(.milliseconds(1), on: loops[hsm % loops.count]) {
            self.askForEnd(of: hsm, epoch: epoch, until: deadline)
        }
    }

    /// Says how the worker has ended, and in which calls, unless the node has ended it.
    private func ended(hsm: Int, epoch: UInt64, as way: WorkerEnd.Way?) {
        let (notes, isNews, name, pid) = state.withLock { state in
            let entry = state.hsms[hsm]
            // One that said why it gives up has said it better, and one that was killed is reported where it was.
            let isNews =
                entry.epoch == epoch && !state.isStopping && !entry.isLeaving && !entry.isKilled
                && !entry.hasSaidFailure
            return (entry.worker?.notes, isNews, entry.settings.name, entry.worker?.pid ?? 0)
        }
        let end = WorkerEnd(way: way, calls: notes?.read() ?? [])
        if isNews {
            logger.warning("worker ended", metadata: ["hsm": "\(name)", "pid": "\(pid)", "reason": "\(end.words)"])
        }
        ended(hsm: hsm, epoch: epoch, reason: "its worker \(end.words)")
    }

    /// What the library prints goes into the log.
    private func listen(to process: WorkerProcess, of hsm: Int, on loop: any EventLoop) {
        let settings = state.withLock { $0.hsms[hsm].settings }
        for (descriptor, stream) in [(process.outputDescriptor, "stdout"), (process.errorDescriptor, "stderr")] {
            let output = WorkerOutput(
                hsm: settings.name, stream: stream, pin: settings.worker.pin, logger: logger)
            NIOPipeBootstrap(group: loop)
                .channelInitializer { $0.pipeline.addHandler(output) }
                .takingOwnershipOfDescriptor(input: descriptor)
                .whenFailure { self.logger.error("output of a worker not readable", metadata: ["error": "\($0)"]) }
        }
    }

    private func connect(_ descriptor: CInt, to handler: some ChannelHandler & Sendable, on loop: any EventLoop) {
        ClientBootstrap(group: loop)
            .channelInitializer { channel in channel.pipeline.addHandler(handler) }
            .withConnectedSocket(descriptor)
            .whenFailure { self.logger.error("socket of a worker not usable", metadata: ["error": "\($0)"]) }
    }

    // MARK: End

    /// Twice a second, as long as the pool runs: looks for workers that have fallen silent, for proofs and probes that
    /// are due, and for sessions to be had; and has the journal written.
    func watch() {
        timers.every(Self.watchInterval, first: Self.watchInterval, on: loops[0]) {
            let now = monotonicNanoseconds()
            let found = self.state.withLock { state in
                state.isStopping ? nil : state.look(now: now)
            }
            guard let (effects, changes) = found else { return false }
            self.perform(effects)
            self.report(changes)
            self.reportRounds()
            self.endTimedDrains()
            self.changeHSMs()
            self.resumeWaiters()
            self.keepBooks()
            return true
        }
    }

    /// Kills a worker that hangs or whose HSM needs a new process; its end is noticed by the closing socket.
    func replaceWorker(_ hsm: Int, reason: String) {
        let (pid, epoch, name) = state.withLock { state in
            (state.hsms[hsm].worker?.pid ?? 0, state.hsms[hsm].epoch, state.hsms[hsm].settings.name)
        }
        logger.warning(
            "worker killed",
            metadata: ["hsm": "\(name)", "pid": "\(pid)", "reason": "\(reason)"])
        state.withLock { if $0.hsms[hsm].epoch == epoch { $0.hsms[hsm].isKilled = true } }
        if pid > 0 { WorkerProcess.kill(pid) }
        timers.after(Self.patienceWithTheDead, on: loops[hsm % loops.count]) {
            self.ended(hsm: hsm, epoch: epoch, reason: reason)
        }
    }

    func ended(hsm: Int, epoch: UInt64, reason: String) {
        let now = monotonicNanoseconds()
        let (ending, isStopping) = state.withLock { state -> (WorkerEnding?, Bool) in
            let ending = state.ended(hsm: hsm, epoch: epoch, reason: reason, now: now)
            // In the same step: a pool that stops must not miss a worker that is in neither set.
            if let pid = ending?.worker?.pid { state.dying.insert(pid) }
            return (ending, state.isStopping)
        }
        guard let ending else { return }
        perform(ending.effects)
        report(ending.changes)
        resumeWaiters()
        if let worker = ending.worker {
            worker.control.close()
            for lane in worker.lanes { lane.close() }
            // One whose HSM has left, or whose pool stops, comes to the end of its login first: `dismiss` and `stop` have a
            // limit to that.
            end(worker.pid, byForce: !ending.isDismissed && !isStopping)
        }
    }

    /// Makes sure that a process on its way out is gone, and takes its exit status. Never blocks.
    private func end(_ pid: Int32, byForce: Bool = true) {
        state.withLock { state in
            // Once its status has been taken, the number may be another process's.
            if byForce, state.dying.contains(pid) { WorkerProcess.kill(pid) }
        }
        timers.every(.milliseconds(20), first: .milliseconds(1), on: loops[0]) { !self.reap(pid) }
    }

    /// Takes the exit status of a worker, once: the number may belong to another process afterwards.
    private func reap(_ pid: Int32) -> Bool {
        let (isGone, vacated) = state.withLock { state -> (Bool, (hsm: Int, epoch: UInt64)?) in
            guard state.dying.contains(pid) else { return (true, nil) }
            guard WorkerProcess.reap(pid) else { return (false, nil) }
            state.dying.remove(pid)
            return (true, state.leaving.removeValue(forKey: pid))
        }
        if isGone { endOrphans(until: NIODeadline.now() + Self.patienceWithOrphans) }
        if let vacated { left(vacated.hsm, epoch: vacated.epoch) }
        return isGone
    }

    /// What a worker's library has started outside of the worker's process group is this process's child now. What that has
    /// started in its turn becomes so when its parent has ended: so again and again, until there is none.
    private func endOrphans(until deadline: NIODeadline) {
        guard settings.endsOrphans, claviger_end_orphans() > 0, NIODeadline.now() < deadline else { return }
        timers.after(.milliseconds(5), on: loops[0]) { self.endOrphans(until: deadline) }
    }

    /// Ends every worker: first by closing the sockets, then, after `grace`, by force. Nothing of the pool needs its event
    /// loops afterwards.
    package func stop(grace: TimeAmount = .seconds(2)) async {
        closeBooks()
        let workers = state.withLock { state -> [WorkerHandle] in
            state.isStopping = true
            return state.hsms.compactMap(\.worker)
        }
        for worker in workers {
            worker.control.close()
            for lane in worker.lanes { lane.close() }
        }
        let deadline = NIODeadline.now() + grace
        // A start under way puts sockets on the event loops, which may end only after it.
        while state.withLock({ $0.spawning > 0 }), NIODeadline.now() < deadline + Self.patienceWithStarts {
            try? await Task.sleep(for: .milliseconds(1))
        }
        // Those that were on their way out already, too: the event loops that see to them may end before they do.
        let pids = state.withLock { state in
            for worker in workers { state.dying.insert(worker.pid) }
            return state.dying
        }
        for pid in pids {
            while !reap(pid) {
                if NIODeadline.now() > deadline { WorkerProcess.kill(pid) }
                if NIODeadline.now() > deadline + .seconds(5) { break }
                try? await Task.sleep(for: .milliseconds(5))
            }
        }
        while settings.endsOrphans, claviger_end_orphans() > 0, NIODeadline.now() < deadline + .seconds(5) {
            try? await Task.sleep(for: .milliseconds(5))
        }
        let tokens = state.withLock { state in
            Set(state.hsms.filter { !$0.role.isVacant }.map(\.settings.ledgerName))
        }
        for token in tokens { journal.releaseLanes(token: token) }
        timers.end()
        resumeWaiters()
    }
}
