// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser
import DrillPlan
import Foundation

/// `claviger drill …`
struct DrillCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drill", abstract: "Practise a loss in production, and write down what was noticed.",
        subcommands: [HSMLossDrillCommand.self])
}

/// `claviger drill hsm-loss`
struct HSMLossDrillCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hsm-loss",
        abstract: "Take an HSM out for a while, watch what callers notice, and put it back.",
        discussion:
            "Asks the running node of this host. The HSM is drained for 15 s at a time, which is prolonged as long as "
            + "this runs; it is put back at the end, at SIGINT, SIGTERM and SIGHUP, at once when too many requests fail or a "
            + "critical condition begins, and by the node itself within 15 s where this is killed. It is not taken out where "
            + "it alone serves a key. Status 0: requests came, 99.9 % of them were answered reliably by AWS's rule, and the HSM "
            + "serves again. Status 1: they were not, none came, it was stopped, or it could not be done. Status 2: the "
            + "configuration is wrong, or there is no such HSM. Status 3: the report cannot be written.")

    @Option(help: ArgumentHelp("The HSM's name in the configuration.", valueName: "name"))
    var hsm: String

    @Option(name: .customLong("for"), help: ArgumentHelp("How long it is out: 1s to 24h.", valueName: "duration"))
    var duration = "60s"

    @Option(help: ArgumentHelp("What is watched before, to compare with: 1s to 1h.", valueName: "duration"))
    var before = "10s"

    @Option(help: ArgumentHelp("What is watched after it is back: 1s to 1h.", valueName: "duration"))
    var after = "10s"

    @Option(
        help: ArgumentHelp(
            "The HSM is put back at once when more than so many per cent of the requests of 5 s fail, and at least 5 of them.",
            valueName: "per cent"))
    var stopAt = 1.0

    @OptionGroup var node: AdminOptions

    @Flag(help: "Print JSON, on one line (docs/reference/commands.md).")
    var json = false

    @Option(
        help: ArgumentHelp("Write the report as JSON to this file, too, which must not exist yet.", valueName: "file"),
        completion: .file(extensions: ["json"]))
    var report: String?

    func validate() throws {
        for (name, text, most) in [
            ("--for", duration, 86_400_000), ("--before", before, 3_600_000), ("--after", after, 3_600_000),
        ] {
            guard (1_000...Int64(most)).contains(CommandDuration.milliseconds(text) ?? 0) else {
                throw ValidationError("\(name) takes 1s to \(most / 3_600_000)h: a whole number and s, m or h.")
            }
        }
        guard stopAt >= 0, stopAt <= 100 else { throw ValidationError("--stop-at takes 0 to 100 per cent.") }
    }

    func run() async throws {
        let client = try node.client(timeout: .seconds(5))
        if let report, FileManager.default.fileExists(atPath: report) {
            throw failure("\(report) exists already; choose another name", status: ExitStatus.start)
        }
        _ = try await HSMOutage.choose(hsm, client)
        let run = DrillRun(
            client: client,
            settings: DrillWatch.Settings(
                hsm: hsm, before: seconds(before), out: seconds(duration), after: seconds(after),
                stopShare: stopAt / 100))
        let result = try await untilStopped { try await run.run() }
        if let trouble = result.trouble { printError("claviger: \(trouble)") }
        let text = try JSONLine.text(result.report)
        if let report {
            do {
                try Data((text + "\n").utf8).write(to: URL(fileURLWithPath: report), options: .withoutOverwriting)
            } catch {
                printError("claviger: cannot write \(report): \(error.localizedDescription)")
                printLine(Terminal.shown(result.report.text))
                throw ExitStatus.start
            }
        }
        printLine(json ? text : Terminal.shown(result.report.text), isForPrograms: json)
        if !result.report.isGood || result.trouble != nil { throw ExitStatus.notDone }
    }

    private func seconds(_ text: String) -> Double { Double(CommandDuration.milliseconds(text) ?? 0) / 1_000 }
}
