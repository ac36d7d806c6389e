// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Runs tasks on the thread of an event loop, so that they need none of the threads that all other tasks of the process
/// share.
final class EventLoopExecutor: TaskExecutor {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
