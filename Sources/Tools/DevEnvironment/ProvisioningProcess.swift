// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Foundation
import Glibc
import PrivateFiles
import SecureMemory

/// Runs a child process that fills one token: the plan on its standard input, SoftHSM's configuration in its
/// environment, nothing secret in its arguments.
package struct ProvisioningProcess: Sendable {
    /// Path of the program; `claviger` itself.
    package var executable: String
    /// The hidden subcommand; the module's path is appended.
    package var arguments: [String]
    /// How long one token may take, seconds, 1 and more.
    package var timeout: Int

    package init(executable: String, arguments: [String], timeout: Int = 60) {
        self.executable = executable
        self.arguments = arguments
        self.timeout = timeout
    }

    /// Blocks until the child has ended.
    /// - Throws: `DevError` with what the child wrote to standard error, when it failed or took too long.
    package func run(_ order: ProvisioningOrder) throws {
        let input = Pipe()
        let errors = Pipe()
        // The plan is smaller than any pipe's buffer and its reading end is open here: this neither blocks nor raises
        // SIGPIPE, whatever becomes of the child.
        try PrivateFiles.writeAll(
            try order.plan.encoded(), to: input.fileHandleForWriting.fileDescriptor, named: "the token plan")
        try? input.fileHandleForWriting.close()

        let process = Process()
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = arguments + [order.module]
        process.environment = ProcessInfo.processInfo.environment.merging(order.environment) { $1 }
        process.standardInput = input
        process.standardOutput = FileHandle.nullDevice
        process.standardError = errors
        let ended = DispatchSemaphore(value: 0)
        process.terminationHandler = { _ in ended.signal() }
        do {
            try process.run()
        } catch {
            throw DevError("Cannot start \(executable): \(error.localizedDescription)")
        }
        if ended.wait(timeout: .now() + .seconds(timeout)) == .timedOut {
            kill(process.processIdentifier, SIGKILL)
            ended.wait()
            throw DevError("Filling the token of \(order.name) took longer than \(timeout) s and was stopped.")
        }
        guard process.terminationReason == .exit, process.terminationStatus == 0 else {
            try? errors.fileHandleForWriting.close()
            throw DevError(
                "Filling the token of \(order.name) failed (\(Self.outcome(of: process))). "
                    + Self.text(from: errors.fileHandleForReading.fileDescriptor))
        }
    }

    private static func outcome(of process: Process) -> String {
        process.terminationReason == .exit
            ? "exit status \(process.terminationStatus)" : "signal \(process.terminationStatus)"
    }

    /// What is in the pipe now, at most 4 KiB; never waits, should somebody still hold the writing end.
    private static func text(from descriptor: Int32) -> String {
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = read(descriptor, &buffer, buffer.count)
        return String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
