// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Testing

/// The binary as its user runs it. All of these tests run one after another, because they measure times and stop
/// processes on a machine that may have two cores.
@Suite("The binary", .serialized, .onOwnThreads)
enum EndToEnd {}

/// Runs tests on threads of their own. These tests wait for processes and sockets, and a thread that waits must not be
/// one of the few that all other tests share.
struct OwnThreadsTrait: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await withTaskExecutorPreference(WaitingThreads.shared) { try await function() }
    }
}

extension SuiteTrait where Self == OwnThreadsTrait {
    static var onOwnThreads: Self { OwnThreadsTrait() }
}

private final class WaitingThreads: TaskExecutor {
    static let shared = WaitingThreads()
    private let queue = DispatchQueue(label: "end-to-end tests", attributes: .concurrent)

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

/// Something that these tests need is not there, or did not happen in time.
struct HarnessError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
