// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser
import NodeConfig

/// `claviger log …`
struct LogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Change what a running node logs.", subcommands: [LogLevelCommand.self])
}

/// `claviger log level LEVEL`
struct LogLevelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "level",
        abstract: "Have the running node log more, or less, from now on.",
        discussion:
            "Until the next reload or restart; log_level in [node] is for good. Orders are logged at every level. "
            + "Status 0: done. Status 1: no node runs, or it cannot be done. Status 2: no such level.")

    @Argument(
        help: "The lowest level that is logged: trace, debug, info or notice.",
        completion: .list(NodeIdentitySettings.logLevels))
    var level: String

    @OptionGroup var node: AdminOptions

    func run() async throws {
        try await node.perform(naming: level) { (client) throws(AdminClientError) in try await client.setLogLevel(level)
        }
    }
}
