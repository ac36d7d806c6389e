// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import ArgumentParser
import Glibc
import NodeConfig
import NodeStore

/// `claviger status`
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show a node's HSMs, their last changes, and which HSM has proven to hold which key.",
        discussion: "Asks the running node of this host; when none runs, shows what its store remembers, and says so. "
            + "With --requests only a running node has anything to show. Status 0: the node serves. Status 1: it does not run, or no HSM can serve. Status 2: the configuration "
            + "is wrong, or there is nothing to be shown.")

    @OptionGroup var node: AdminOptions

    @Flag(help: "Print JSON, on one line (docs/reference/http-api.md).")
    var json = false

    @Flag(
        help: ArgumentHelp(
            "Show which requests are in flight, since when and at which HSM, and the slowest of the last minute with "
                + "where their time went."))
    var requests = false

    @Option(
        defaultAsFlag: 2, help: ArgumentHelp("Show it again every so many seconds (1 to 3600).", valueName: "seconds"))
    var watch: Int?

    func validate() throws {
        if let watch, !(1...3600).contains(watch) { throw ValidationError("--watch takes 1 to 3600 seconds.") }
    }

    func run() async throws {
        if requests { return try await showRequests() }
        _ = try node.client()
        let settings = try node.settings()
        let origin = StatusOrigin(directory: node.stateDirectory(settings), settings: settings)
        guard let watch else {
            switch await origin.look() {
            case .success(let status):
                printLine(try text(status), isForPrograms: json)
                if status.verdict == .unavailable { throw ExitStatus.notDone }
            case .failure(let trouble): throw failure(trouble.message, status: trouble.status)
            }
            return
        }
        repeat {
            // A node that is just restarted is there again the next time.
            switch await origin.look() {
            case .success(let status): Picture.show(try text(status), isForPrograms: json)
            case .failure(let trouble):
                let message = trouble.message
                json ? printError("claviger: \(message)") : Picture.show(message, isForPrograms: false)
            }
        } while try await waitToShow(again: watch)
    }

    /// Only a running node has any.
    private func showRequests() async throws {
        let client = try node.client()
        repeat {
            do throws(AdminClientError) {
                let report = try await client.requests()
                let shown = json ? try? JSONLine.text(report) : RequestTable.text(report, on: Terminals.page)
                if watch == nil {
                    printLine(shown ?? "", isForPrograms: json)
                } else {
                    Picture.show(shown ?? "", isForPrograms: json)
                }
            } catch {
                let message = AdminOptions.message(error)
                guard watch != nil else { throw failure(message, status: ExitStatus.notDone) }
                json ? printError("claviger: \(message)") : Picture.show(message, isForPrograms: false)
            }
            guard let watch else { return }
            guard try await waitToShow(again: watch) else { return }
        } while true
    }

    private func text(_ status: AdminStatus) throws -> String {
        json
            ? try JSONLine.text(status)
            : StatusTable.text(status, nowUnixSeconds: Int64(time(nil)), on: Terminals.page)
    }
}

/// Where the status is to be had: from the node, or from what it has stored.
private struct StatusOrigin {
    struct Trouble: Error {
        var message: String
        var status: ExitCode
    }

    var directory: String
    var settings: NodeSettings?

    func look() async -> Result<AdminStatus, Trouble> {
        let client = AdminClient(stateDirectory: directory)
        do throws(AdminClientError) {
            return .success(try await client.status())
        } catch {
            guard case .notRunning = error else {
                return .failure(Trouble(message: AdminOptions.message(error), status: ExitStatus.notDone))
            }
        }
        do throws(StoreError) {
            if let settings, let words = await NodePresence.words(settings, socket: client.socket) {
                return .failure(Trouble(message: Terminal.plain(words), status: ExitStatus.notDone))
            }
            let (status, process) = try StoredStatus.read(stateDirectory: directory, settings: settings)
            guard let process else { return .success(status) }
            let message =
                "process \(process) is the node, and does not listen at \(client.socket) (yet, or any more): "
                + "try again in a moment"
            return .failure(Trouble(message: message, status: ExitStatus.notDone))
        } catch {
            return .failure(
                Trouble(
                    message:
                        "no node is running here. \(error)\(NodePresence.length(of: client.socket).map { "; \($0)" } ?? "")",
                    status: ExitStatus.configuration))
        }
    }
}
