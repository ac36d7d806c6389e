// SPDX-License-Identifier: Apache-2.0
import HSMPool
import LaneProtocol
import Routing
import SecureMemory
import Synchronization
import Testing

private final class Caller: OperationCaller {
    private let hasLeft = Atomic(false)

    var isGone: Bool { hasLeft.load(ordering: .relaxed) }

    func leave() { hasLeft.store(true, ordering: .relaxed) }
}

/// Operations of clients that have closed their connection.
@Suite struct CallerTests {
    private let caller = Caller()
    private var state: PoolState

    init() {
        let member = PoolMember(
            worker: WorkerConfiguration(
                name: "hsm-a", module: "/nowhere.so", token: .label("t"), pin: SecretBytes("1234".utf8), lanes: 1,
                catalogueInterval: 1_000, probeInterval: 1_000),
            environment: [:], traits: HSMTraits(stuckAfter: 1_000_000_000))
        state = PoolState(
            settings: PoolSettings(members: [member], limits: PoolLimits(), executable: ""), groups: 1,
            stored: StoredProof(canaries: [], forgets: [], ranSeconds: 0), drained: [], seed: 1, now: 0,
            unixSeconds: 0)
    }

    private mutating func submit() -> [OperationOutcome] {
        let operation = KeyOperation(
            kind: .encrypt, label: "foo", additionalData: SecretBytes(), initializationVector: SecretBytes(),
            data: SecretBytes("x".utf8), caller: caller)
        return outcomes(
            state.submit(
                operation, on: .all, deadline: 200_000_000, terms: OperationTerms(), group: 0, now: 1,
                completion: { _ in }
            ).effects)
    }

    private func outcomes(_ effects: [PoolEffect]) -> [OperationOutcome] {
        effects.compactMap { effect in
            guard case .complete(_, let result) = effect else { return nil }
            return result.outcome
        }
    }

    /// What a node reads after it has stood still may be of clients that have long gone: nothing is begun for them.
    @Test mutating func nothingIsBegunForACallerThatIsGone() {
        // While somebody waits, what is wrong is the HSM, which has not started.
        #expect(submit() == [.unavailable("no HSM can serve")])
        caller.leave()
        #expect(submit() == [.abandoned])
        #expect(!state.tick(now: 5_000_000).goesOn)
    }
}
