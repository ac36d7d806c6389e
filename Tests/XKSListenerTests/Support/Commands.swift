// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What a command said, standard output and error together.
struct CommandResult {
    var status: Int32
    var output: String
}

/// A command that was started and not waited for yet.
struct RunningCommand {
    fileprivate let process: Process
    fileprivate let pipe: Pipe

    func finish() -> CommandResult {
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return CommandResult(status: process.terminationStatus, output: String(decoding: output, as: UTF8.self))
    }
}

/// Starts a command. Its standard input is empty, and it ends after 20 seconds at the latest.
func start(_ arguments: [String], in directory: String = "/") throws -> RunningCommand {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["timeout", "20"] + arguments
    process.currentDirectoryURL = URL(fileURLWithPath: directory)
    let pipe = Pipe()
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    return RunningCommand(process: process, pipe: pipe)
}

/// Runs a command to its end.
@discardableResult
func run(_ arguments: [String], in directory: String = "/") throws -> CommandResult {
    try start(arguments, in: directory).finish()
}
