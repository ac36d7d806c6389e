// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser
import HostLimits
import NodeConfig
import Observability
import PrivateFiles
import XKSListener

/// `claviger serve`
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run a node.",
        discussion: "Logs to standard error: lines for people on a terminal, one JSON object a line elsewhere "
            + "([node] log_format). SIGTERM finishes what is in flight (up to 15 s) "
            + "and ends with status 0. SIGHUP reads the configuration anew. Other signals are ignored, and logged.")

    @Option(
        name: [.long, .customShort("c")], help: "The configuration file (docs/reference/configuration.md).",
        completion: .file(extensions: ["toml"]))
    var config: String

    @Flag(help: ArgumentHelp("Stop as well when standard input ends.", visibility: .hidden))
    var endWithStdin = false

    func run() async throws {
        let signals = NodeSignals.prepare()
        // Before anything is started that would inherit its variables.
        _ = Supervisor.shared
        if endWithStdin { signals.stopWithStandardInput() }
        let configuration = try loadConfiguration(config)
        let log = NodeLog.start(configuration.settings.node)
        guard let node = try await startNode(configuration, log: log, signals: signals) else {
            return log.flush()
        }
        await signals.untilStop { await node.heed($0) }
        await node.stop()
        log.flush()
    }
}

/// Reads a configuration file, or says everything that is wrong with it.
func loadConfiguration(_ file: String) throws -> NodeConfiguration {
    do throws(ConfigurationProblems) {
        return try NodeConfiguration.load(file: file)
    } catch {
        printError(lines(error))
        throw ExitStatus.configuration
    }
}

/// Starts a node, or says why it cannot be.
///
/// - Returns: `nil` when it has been asked to stop before it had read what the configuration points at.
func startNode(
    _ configuration: NodeConfiguration, log: NodeLog, signals: NodeSignals
) async throws -> NodeRuntime? {
    defer { NodeSignals.isStarting(false) }
    HostLimits.raiseDescriptors()
    do {
        return try await NodeRuntime.start(configuration, log: log, signals: signals)
    } catch  where Patience.isEnded {
        log.logger.notice("stopped while starting")
        return nil
    } catch let problems as ConfigurationProblems {
        log.flush()
        printError(lines(problems))
        throw problems.problems.allSatisfy(\.isOfHost) ? ExitStatus.start : ExitStatus.configuration
    } catch {
        log.flush()
        throw failure("\(error)", status: ExitStatus.start)
    }
}

/// Each problem on a line of its own, whatever its values hold.
func lines(_ problems: ConfigurationProblems) -> String {
    problems.problems.map { Terminal.plain($0.rendered(file: problems.file)) }.joined(separator: "\n")
}
