// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import ArgumentParser
import AsyncHTTPClient
import Foundation
import HostLimits
import NIOCore
import NodeConfig
import PrivateFiles
import SecureMemory

/// `claviger debug`
struct DebugCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "debug",
        abstract: "Gather what somebody else needs to understand this node into one archive, without secrets.",
        discussion: "Status, the cluster, configuration (without what libraries and commands are given), what claviger "
            + "diagnose says, the last lines of the log, metrics over some seconds, versions of libraries and of the "
            + "host. README.txt in it says what each file holds. Status 0: written. Status 2: the configuration is "
            + "wrong. Status 3: the file cannot be written, or is there already.")

    @Option(
        name: [.long, .customShort("c")], help: "The configuration file.", completion: .file(extensions: ["toml"]))
    var config: String

    @Option(
        name: [.long, .customShort("o")],
        help: ArgumentHelp(
            "Where to write it. Default: claviger-debug-NODE-TIME.tar in this directory.", valueName: "file"),
        completion: .file(extensions: ["tar"]))
    var output: String?

    @Option(help: "Seconds between the two looks at the metrics (1 to 300).")
    var seconds = 10

    func validate() throws {
        guard (1...300).contains(seconds) else { throw ValidationError("--seconds takes 1 to 300.") }
    }

    func run() async throws {
        let configuration = try loadConfiguration(config)
        let settings = configuration.settings
        let now = Date()
        let stamp = now.formatted(
            .verbatim(
                "\(year: .defaultDigits)\(month: .twoDigits)\(day: .twoDigits)T\(hour: .twoDigits(clock: .twentyFourHour, hourCycle: .zeroBased))\(minute: .twoDigits)\(second: .twoDigits)Z",
                locale: Locale(identifier: "en_US_POSIX"), timeZone: .gmt, calendar: Calendar(identifier: .gregorian)))
        let name = "claviger-debug-\(settings.node.id)-\(stamp)"
        let path = output ?? "\(name).tar"
        guard !PrivateFiles.exists(path) else {
            throw failure("\(path) is there already: name another file by --output", status: ExitStatus.start)
        }
        HostLimits.raiseDescriptors()
        let admin = AdminClient(stateDirectory: settings.node.stateDirectory, timeout: .seconds(10))
        let status = await RunningNode.of(admin, settings: settings)
        let bundle = SupportBundle(
            config: config, settings: settings,
            diagnosis: await DiagnoseCommand.diagnose(configuration, client: nil),
            status: status.report, cluster: try? await admin.clusterHealth(),
            log: (try? await admin.logTail()) ?? [], metrics: await metrics(settings, status.status))
        var archive = TarArchive(directory: name, time: Int64(now.timeIntervalSince1970))
        for (name, text) in bundle.files() { archive.add(name, text) }
        do {
            try PrivateFiles.write(SecretBytes(archive.content), to: path)
        } catch {
            throw failure("\(error)", status: ExitStatus.start)
        }
        printLine(
            "Written to \(path). It holds no secret, but names of hosts, HSMs, keys and callers: look at its README.txt."
        )
    }

    private func metrics(_ settings: NodeSettings, _ status: NodeStatus?) async -> [String] {
        guard let status else { return [] }
        let url = "http://\(settings.control.listen.reached("control", status))/metrics"
        guard let first = await page(url) else { return [] }
        try? await Task.sleep(for: .seconds(seconds))
        return [first, await page(url)].compactMap(\.self)
    }

    private func page(_ url: String) async -> String? {
        guard let response = try? await HTTPClient.shared.execute(HTTPClientRequest(url: url), timeout: .seconds(5)),
            response.status.code == 200, let body = try? await response.body.collect(upTo: 16 << 20)
        else { return nil }
        return String(buffer: body)
    }
}
