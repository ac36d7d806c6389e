// SPDX-License-Identifier: Apache-2.0
import AccessControl
import ConnectionLimits
import Glibc
import Gossip
import HTTPServing
import Logging
import NIOCore
import NIOPosix
import PrivateFiles
import SecureMemory
import Synchronization
import TLSFacts
import XKSProtocol

/// This node's part in the cluster: the listener for peers, gossip, and what is exchanged with them.
///
/// It has a thread of its own, so that no load of the data plane makes this node late for the others.
package final class ClusterService: Sendable {
    /// Between two looks at what this node says of itself when nothing has changed but counters.
    private static let factsInterval = TimeAmount.milliseconds(200)
    /// Least time between two looks, however much changes; 20 times what a look costs, where that is more.
    private static let shortestFactsGap: UInt64 = 5_000_000
    /// Between two looks at the TLS files, and at old connections.
    private static let cleaningInterval = TimeAmount.seconds(5)
    /// Between two resolutions of the seeds' names.
    private static let seedInterval = TimeAmount.seconds(5)
    /// Between two looks at how many connections to peers should be open.
    private static let warmingInterval = TimeAmount.milliseconds(500)
    /// How many peers are kept as near as this node's recent requests would need them.
    private static let warmPeers = 2
    /// How long peers may take to receive the farewell.
    private static let farewellTime = TimeAmount.seconds(1)

    /// The port of the listener.
    package let port: Int
    private let group: MultiThreadedEventLoopGroup
    private let loop: any EventLoop
    private let tls: ClusterTLS
    private let book: AddressBook
    private let connections: ConnectionTable
    private let counters: ClusterCounters
    private let pool: PeerPool
    private let gossip: GossipDriver
    private let blocks: BlockExchange
    private let canaries: CanaryExchange
    private let heads: AuditHeadExchange
    private let forwarder: Forwarder
    private let server: ClusterServer
    private let delegate: any ClusterDelegate
    private let seeds: Mutex<[String]>
    private let seedWatch: SharedSeedWatch
    private let timers = Mutex<[RepeatedTask]>([])
    private let factsLook = Mutex(FactsLook())
    private let isLookingAtFiles = Atomic(false)
    private let isStopped = Atomic(false)
    private let refusals = Mutex(RefusalRhythm())
    private let isForwarding: Bool
    private let demand = Mutex(ForwardingDemand())

    /// The connections of the listener for peers.
    package var openConnections: OpenConnections { server.openConnections }

    /// Listens and begins to look for peers.
    ///
    /// - Parameters:
    ///   - incarnation: above that of the last run.
    ///   - memory: what was known in the last run.
    ///   - refusals: counts whom the cluster listener turns away.
    package static func start(
        settings: ClusterSettings, incarnation: UInt64, memory: ClusterMemory, delegate: any ClusterDelegate,
        refusals: RefusalCounter? = nil, logger: Logger
    ) async throws(ClusterError) -> ClusterService {
        let tls = try ClusterTLS(settings.tls, node: settings.node)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do throws(ClusterError) {
            return try await ClusterService(
                settings, incarnation: incarnation, memory: memory, delegate: delegate, tls: tls, group: group,
                refusals: refusals, logger: logger)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private init(
        _ settings: ClusterSettings, incarnation: UInt64, memory: ClusterMemory, delegate: any ClusterDelegate,
        tls: ClusterTLS, group: MultiThreadedEventLoopGroup, refusals: RefusalCounter?, logger: Logger
    ) async throws(ClusterError) {
        let loop = group.next()
        let (book, counters, connections) = (AddressBook(), ClusterCounters(), ConnectionTable())
        let limits = BodyLimits(maxForwardBytes: settings.maxForwardBytes)
        // What peers ask before this node has begun is not answered.
        let responder = LateResponder()
        let server = try await ClusterServer.start(
            host: settings.listenHost, port: settings.listenPort, tls: tls, connections: connections,
            most: settings.connections, mostUnknown: settings.unknownConnections, counters: counters,
            refusals: refusals, limits: limits, group: group, logger: logger,
            respond: { await responder.respond(to: $0) })
        let pool = await PeerPool.make(loop: loop, tls: tls, book: book, counters: counters)
        let blocks = BlockExchange(pool: pool, limits: limits, delegate: delegate, counters: counters)
        let canaries = CanaryExchange(pool: pool, limits: limits, delegate: delegate, counters: counters)
        let heads = AuditHeadExchange(pool: pool, tls: tls, limits: limits, delegate: delegate, counters: counters)
        let seedWatch = SharedSeedWatch()
        let identity = NodeIdentity(
            name: settings.node, address: settings.advertised(port: server.port), site: settings.site,
            incarnation: incarnation)
        let gossip = GossipDriver(
            machine: GossipMachine(
                identity: identity, facts: delegate.facts(), remembered: memory.peers, changes: memory.changes,
                forgotten: memory.forgotten, seed: UInt64.random(in: 0 ... .max), now: monotonicNanoseconds()),
            isSeeking: !settings.seeds.isEmpty || !memory.peers.isEmpty, loop: loop, pool: pool, tls: tls,
            limits: limits, counters: counters,
            contacted: { address, problem in seedWatch.withLock { $0.contacted(address, problem: problem) } }
        ) { event in
            switch event {
            case .blocksDiffer(let peer): blocks.reconcile(with: peer)
            case .canariesDiffer(let peer): canaries.reconcile(with: peer)
            case .changed, .introduced, .refuted, .unreached, .twin, .configurationDiffers, .restored, .counted: break
            }
            delegate.noted(event)
        }
        forwarder = Forwarder(
            loop: loop, pool: pool, limits: limits, gossip: gossip, delegate: delegate, counters: counters)
        port = server.port
        self.group = group
        self.loop = loop
        self.tls = tls
        self.book = book
        self.connections = connections
        self.counters = counters
        self.pool = pool
        self.gossip = gossip
        self.blocks = blocks
        self.canaries = canaries
        self.heads = heads
        self.server = server
        self.delegate = delegate
        isForwarding = settings.isForwarding
        seeds = Mutex(settings.seeds)
        self.seedWatch = seedWatch
        responder.begin(
            Answering(
                gossip: gossip, blocks: blocks, canaries: canaries, heads: heads, forwarder: forwarder,
                counters: counters))
        gossip.start()
        startTimers()
    }

    private func startTimers() {
        let tasks = [
            loop.scheduleRepeatedTask(initialDelay: .zero, delay: Self.factsInterval) { _ in self.announceFacts() },
            loop.scheduleRepeatedTask(initialDelay: .zero, delay: Self.seedInterval) { _ in self.findSeeds() },
            loop.scheduleRepeatedTask(initialDelay: Self.cleaningInterval, delay: Self.cleaningInterval) { _ in
                self.clean()
            },
            loop.scheduleRepeatedTask(initialDelay: .zero, delay: Self.warmingInterval) { _ in self.keepWarm() },
        ]
        timers.withLock { $0 = tasks }
    }

    // MARK: Questions

    /// All other nodes that are known, by name.
    package var members: [Member] { gossip.members }

    /// The nodes that orders wait for: those that have spoken to this node, in this run or an earlier one, and have
    /// neither left nor been forgotten.
    package var awaited: [Member] { members.filter(\.isAwaited) }

    /// By name, how many changes of their block lists nodes have reported to this one, in this run and earlier ones.
    package var changes: [String: UInt64] { gossip.changes }

    /// Names that two nodes bear, with an address of one of them.
    package var twins: [String: String] { gossip.twins }

    /// An operator orders that a node that does not answer be counted on no longer. `nil`: it is so, and others are
    /// informed.
    ///
    /// - Parameter author: `user@node`.
    package func forget(_ name: String, by author: String, unixSeconds: Int64) async -> ForgetRefusal? {
        await gossip.forget(name, by: ForgetNodeOrder(author: author, givenAt: unixSeconds))
    }

    /// By name, the serial numbers of the certificates that peers show at the moment.
    package var serials: [String: Set<CertificateSerial>] { connections.serials }

    /// What the handshakes of live connections have agreed on: of those that peers have opened, and of those to peers,
    /// for KMS requests and for everything else.
    package var links:
        (incoming: [HandshakeFacts: Int], outgoing: [HandshakeFacts: Int], forwarding: [HandshakeFacts: Int])
    {
        (connections.links.connections, pool.links(isForwarding: false), pool.links(isForwarding: true))
    }

    /// What this node shows its peers; `nil` where only the TLS library can read it.
    package var certificate: NodeCertificate? { tls.certificate }

    /// Why a host of `advertise` or of a seed has no address at the moment; `nil` where it has one. Blocks for as long as the
    /// resolver of the system pleases.
    package static func flaw(ofHost host: String) -> String? { AddressBook.flaw(ofHost: host) }

    /// What is wrong with seeds, by seed as configured; also those that have not answered for seconds.
    package var seedTroubles: [String: String] {
        let known = gossip.members.filter(\.hasSpoken).map(\.identity.address) + [gossip.identity.address]
        return seedWatch.withLock { $0.troubles(known: Set(known), now: monotonicNanoseconds()) }
    }

    /// By live peer, its clock minus this node's, milliseconds. Peers of versions that do not say it are left out.
    package var clockOffsets: [String: Int64] { gossip.clockOffsets }

    /// Certificates that no peer may show, though they are the CA's.
    package var refused: Set<CertificateSerial> { tls.material.refused }

    /// This node; its incarnation may have grown.
    package var identity: NodeIdentity { gossip.identity }

    package var statistics: ClusterStatistics { counters.statistics(with: gossip.gossipCounters) }

    // MARK: Orders

    /// This node has something new to say of itself: peers are informed at once. May be called as often as anything
    /// changes: changes in a row are reported together.
    package func factsChanged() {
        // Workers end after the cluster has been left, and each is a change: its event loop is gone by then.
        guard !isStopped.load(ordering: .relaxed) else { return }
        let wait = factsLook.withLock { look -> UInt64? in
            guard !look.isArranged else { return nil }
            look.isArranged = true
            return remaining(until: look.notBefore)
        }
        guard let wait else { return }
        guard wait > 0 else { return loop.execute { self.announceFacts() } }
        loop.scheduleTask(in: TimeAmount(clampingNanoseconds: wait)) { self.announceFacts() }
    }

    private func announceFacts() {
        factsLook.withLock { $0.isArranged = false }
        let begun = monotonicNanoseconds()
        gossip.set(delegate.facts())
        let now = monotonicNanoseconds()
        let gap = max((now &- begun).multipliedReportingOverflow(by: 20).partialValue, Self.shortestFactsGap)
        factsLook.withLock { $0.notBefore = now &+ min(gap, 1_000_000_000) }
    }

    /// A look at what this node says of itself, outside the turn.
    private struct FactsLook {
        var isArranged = false
        /// CLOCK_MONOTONIC, nanoseconds.
        var notBefore: UInt64 = 0
    }

    /// Sends a peer what this node knows of keys, and asks what it knows: at once, or after the pause that the last
    /// exchange with it is followed by.
    package func exchangeKeys(with member: Member) {
        canaries.reconcile(
            with: GossipDestination(name: member.identity.name, address: member.identity.address))
    }

    /// Whether a peer could serve the key.
    package func canForward(label: String, needs: ForwardingNeeds = .none) -> Bool {
        forwarder.canForward(label: label, needs: needs)
    }

    /// Whether a peer has an HSM that serves.
    package var canForwardAny: Bool { gossip.choice.canServeAny }

    /// Whether a peer that has the same configuration serves one of these keys.
    package func canForward(anyOf labels: [String]) -> Bool { gossip.choice.serves(anyOf: labels) }

    /// How long an operation takes that goes to the fastest peer that has room, nanoseconds; `nil` while none has.
    package var leastDetour: UInt64? { gossip.choice.leastDetour }

    /// Whether all nodes have this node's configuration.
    package var agreement: ConfigurationAgreement { gossip.agreement }

    /// Passes a request on. `completion` is called exactly once, on any thread.
    ///
    /// - Parameters:
    ///   - needs: which peers may be asked.
    ///   - deadline: CLOCK_MONOTONIC, nanoseconds.
    ///   - asking: called with a peer's name when that one is sent the request.
    package func forward(
        _ request: ProxyRequest, label: String, needs: ForwardingNeeds = .none, deadline: UInt64,
        asking: @escaping @Sendable (String) -> Void = { _ in },
        completion: @escaping @Sendable (ForwardResult) -> Void
    ) {
        forwarder.forward(
            request, label: label, needs: needs, deadline: deadline, asking: asking, completion: completion)
    }

    /// Gives this node's block list to every node that orders wait for, and says what comes of each, in steps.
    package func push(_ order: BlockPush, timeout: Duration) -> AsyncStream<BlockDelivery> {
        blocks.push(order, to: awaited, timeout: timeout)
    }

    /// Exchanges block lists with a member; `ClusterDelegate.exchangedBlocks` reports when that was complete.
    package func exchangeBlocks(with member: NodeIdentity) async { await blocks.exchange(with: member) }

    /// Throws what is wrong with TLS files for this node's name. Returns what peers would be shown, where it can be read.
    @discardableResult
    package static func check(_ files: ClusterTLSFiles, node: String) throws(ClusterError) -> NodeCertificate? {
        try ClusterTLS(files, node: node).certificate
    }

    /// Throws what is wrong with TLS files that could take the place of those in use.
    package func checkCertificates(_ files: ClusterTLSFiles) throws(ClusterError) { try tls.check(files) }

    /// From now on these TLS files and seeds are used. Throws, and changes nothing, when the files cannot be used.
    package func replace(tls files: ClusterTLSFiles, seeds new: [String]) throws(ClusterError) {
        try tls.replace(with: files)
        seeds.withLock { $0 = new }
        renewConnections()
        if !isStopped.load(ordering: .relaxed) { loop.execute { self.findSeeds() } }
    }

    /// Says goodbye, as the last thing after the last request: orders no longer wait for this node then. Returns when
    /// peers have received it, or after a second. This node goes on answering peers.
    package func leave() async {
        let identity = gossip.identity
        let farewell = FarewellSigning.sign(name: identity.name, incarnation: identity.incarnation, with: tls.files)
        let left = loop.makePromise(of: Void.self)
        loop.scheduleTask(in: Self.farewellTime) { left.succeed() }
        gossip.leave(farewell).cascade(to: left)
        try? await left.futureResult.get()
    }

    /// Ends everything.
    package func stop() async {
        isStopped.store(true, ordering: .relaxed)
        for task in timers.withLock({ $0 }) { task.cancel() }
        gossip.stop()
        pool.stop()
        await server.stop()
        await book.stop()
        try? await group.shutdownGracefully()
    }

    // MARK: Now and then

    private func findSeeds() {
        let names = seeds.withLock { $0 }
        seedWatch.withLock { $0.keep(names) }
        let found = names.compactMap { HostAndPort($0) }.map { seed -> EventLoopFuture<[String]> in
            let addresses = { @Sendable (hosts: [String]) in
                hosts.map { HostAndPort(host: $0, port: seed.port).description }
            }
            let resolved = book.resolve(seed.host, on: loop)
            resolved.map(addresses).whenComplete { result in
                self.seedWatch.withLock { $0.resolved(seed.description, result) }
            }
            return resolved.flatMapError { _ in self.book.addresses(of: seed.host, on: self.loop) }
                .map(addresses).flatMapErrorThrowing { _ in [] }
        }
        EventLoopFuture.whenAllSucceed(found, on: loop).whenSuccess { self.gossip.discovered($0.flatMap { $0 }) }
    }

    /// The peers that would be asked first are given as many connections as all recent requests would take; one more has
    /// a few, in case they fail.
    private func keepWarm() {
        guard isForwarding else { return }
        let (facts, counts) = (gossip.facts, counters.statistics(with: GossipCounters()))
        let total =
            facts.encrypts &+ facts.decrypts &+ counts.forwardsOut &+ counts.forwardsFailed
            &+ counts.surplusOut
        let demand = demand.withLock { demand in
            demand.note(total: total, now: monotonicNanoseconds())
            return demand
        }
        pool.keepWarm(
            gossip.choice.first(Self.warmPeers + 1).enumerated().map { rank, member in
                PeerPool.Warmth(
                    address: member.identity.address, name: member.identity.name,
                    connections: rank < Self.warmPeers
                        ? demand.connections(roundTrip: member.roundTrip) : ForwardingDemand.least)
            })
    }

    /// This node's audit log has a new head: peers are sent it.
    package func auditHeadsChanged() {
        guard !isStopped.load(ordering: .relaxed) else { return }
        heads.tell(members)
    }

    /// The same, before this node ends: returns when peers have it, or a second is over.
    package func auditEnded() async { await heads.tellLast(members) }

    private func clean() {
        // Peers that could not be reached, or have just come.
        heads.tell(members)
        lookAtFiles()
        pool.clean()
        for attempts in refusals.withLock({ $0.due(tls.takeAttempts(), now: monotonicNanoseconds()) }) {
            delegate.noted(ClusterTLSChange.refused(attempts))
        }
    }

    /// Not on the cluster's thread: a file may lie on a network mount that does not answer.
    private func lookAtFiles() {
        guard isLookingAtFiles.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged else {
            return
        }
        Patience.detach { [self] in
            let check = tls.followFiles()
            isLookingAtFiles.store(false, ordering: .relaxed)
            guard !isStopped.load(ordering: .relaxed) else { return }
            switch check {
            case .unchanged: break
            case .replaced:
                renewConnections()
                delegate.noted(ClusterTLSChange.replaced)
            case .failed(let error): delegate.noted(ClusterTLSChange.failed(error))
            }
        }
    }

    private func renewConnections() {
        connections.close(before: tls.generation)
        pool.clean()
    }
}

/// Says of each certificate that is refused at once that it was shown, and then once a minute how often.
private struct RefusalRhythm {
    private static let pause: UInt64 = 60_000_000_000
    private var held: [CertificateSerial: (attempts: RefusedAttempts?, reportedAt: UInt64)] = [:]

    mutating func due(_ new: [RefusedAttempts], now: UInt64) -> [RefusedAttempts] {
        for var attempts in new {
            let earlier = held[attempts.serial]
            attempts.count = attempts.count &+ (earlier?.attempts?.count ?? 0)
            held[attempts.serial] = (attempts, earlier?.reportedAt ?? 0)
        }
        let due = held.values.filter { now &- $0.reportedAt >= Self.pause }.compactMap(\.attempts)
        for attempts in due { held[attempts.serial] = (nil, now) }
        held = held.filter { $0.value.attempts != nil || now &- $0.value.reportedAt < Self.pause }
        return due.sorted { $0.serial < $1.serial }
    }
}

extension ClusterSettings {
    /// `advertise`, with the port that was bound in place of 0.
    fileprivate func advertised(port: Int) -> String {
        guard var address = HostAndPort(advertise), address.port == 0 else { return advertise }
        address.port = port
        return address.description
    }
}
