// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser
import Foundation
import LoadGenerator
import LoadPlan
import NIOCore
import NIOPosix
import NodeConfig
import XKSCalls
import XKSClient

/// `claviger bench`
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure what an external key store proxy carries, with requests that are signed as KMS signs them.",
        discussion:
            "Any proxy of the XKS Proxy API. Without --rate or --closed it looks for the highest rate of which 99.9 % "
            + "are answered well and in time: 250 ms, less --round-trip. Requests are due at moments of their own, whatever "
            + "became of those before (an open loop), and times count from there. With --config or --state-dir of a node on "
            + "this host it measures again with one HSM lost: it drains one for a time, and gives it back, also when it is "
            + "stopped; the node itself takes it back where this command is killed. Status 0: what was demanded holds. "
            + "Status 1: it does not, it could not be measured, or it was stopped. Status 2: an option, a file or a name is "
            + "wrong. Status 3: the chart cannot be written.")

    @OptionGroup(title: "Proxy") var proxy: ProxyOptions
    @Option(
        help: ArgumentHelp(
            "Connect to this address in place of the URL's: to one node behind a balancer. Names and signatures stay the URL's.",
            valueName: "host:port"))
    var connect: String?

    @OptionGroup(title: "Load") var load: BenchOptions
    @OptionGroup(title: "One HSM lost") var node: AdminOptions

    @Option(
        help: ArgumentHelp(
            "The HSM that is lost meanwhile. Default: of those that serve, the one that can do most.", valueName: "name"
        ))
    var hsm: String?

    @Flag(help: "Print JSON, on one line (docs/reference/commands.md).")
    var json = false

    @Option(
        help: ArgumentHelp("Write a chart to this SVG file, which must not exist yet.", valueName: "file"),
        completion: .file(extensions: ["svg"]))
    var chart: String?

    private var losesHSM: Bool { node.config != nil || node.stateDir != nil || hsm != nil }

    func validate() throws {
        if let connect, ListenAddress(connect).map({ $0.port == 0 }) ?? true {
            throw ValidationError("--connect takes host:port.")
        }
        if losesHSM, load.mode == .closed {
            throw ValidationError("--closed measures the proxy as it is: leave out --config, --state-dir and --hsm.")
        }
    }

    func run() async throws {
        let signer = try proxy.signer()
        let (connector, target) = try destination(signer.endpoint)
        if let chart, FileManager.default.fileExists(atPath: chart) {
            throw failure("\(chart) exists already; choose another name", status: ExitStatus.start)
        }
        let admin = losesHSM ? try node.client(timeout: .seconds(5)) : nil
        let group = MultiThreadedEventLoopGroup(numberOfThreads: load.threads)
        var calls = BenchCalls(
            signer: signer, key: proxy.key, operations: load.operations, plaintextSize: load.size,
            principal: load.principal, region: proxy.region)
        do {
            try await calls.prepare(connector, on: group.next())
            let bench = BenchRun(
                generator: LoadGenerator(group: group, target: target), calls: calls, options: load, admin: admin,
                hsm: hsm)
            let result = try await untilStopped { try await bench.run() }
            try? await group.shutdownGracefully()
            try show(result, url: "\(signer.endpoint)")
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    /// Ends the command where something of it is wrong.
    private func destination(_ endpoint: XKSEndpoint) throws -> (XKSConnector, LoadTarget) {
        let tls = try proxy.tls()
        let address = connect.flatMap { ListenAddress($0) }
        do {
            var connector = try XKSConnector(endpoint, tls: tls)
            connector.address = address.map { ($0.host, $0.port) }
            let target = try LoadTarget(
                host: address?.host ?? endpoint.host, port: address?.port ?? endpoint.port,
                tls: endpoint.isTLS ? try tls.context() : nil, serverName: endpoint.isAddress ? nil : endpoint.host)
            return (connector, target)
        } catch {
            throw failure("\(error)", status: ExitStatus.configuration)
        }
    }

    private func show(_ result: BenchRun.Result, url: String) throws {
        let report = BenchReport(
            version: Product.version, url: url, mode: load.mode, operations: load.operations.map(\.rawValue),
            roundTrip: load.roundTripMilliseconds, findings: result.findings, wasStopped: result.wasStopped)
        // Before anything can go wrong with the chart: a measurement takes minutes.
        printLine(
            json ? try JSONLine.text(report) : Terminals.page.isASCII ? ascii(report.text) : report.text,
            isForPrograms: json)
        if let chart {
            let picture = BenchChart(
                title: report.sentences.last ?? report.url, lines: result.lines,
                deadline: AnswerDemand(roundTrip: load.roundTripMilliseconds).deadline)
            do {
                try Data(picture.svg.utf8).write(to: URL(fileURLWithPath: chart), options: .withoutOverwriting)
            } catch {
                throw failure("cannot write \(chart): \(error.localizedDescription)", status: ExitStatus.start)
            }
        }
        if !report.isGood { throw ExitStatus.notDone }
    }

    private func ascii(_ text: String) -> String { text.replacing("×", with: "x").replacing("–", with: "-") }
}
