// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser
import NodeConfig
import PrivateFiles

extension ExitStatus {
    /// What was asked for was not done, or is not so: no node runs, or the node said no.
    static let notDone = ExitCode(1)
}

/// Which node of this host is meant.
struct AdminOptions: ParsableArguments {
    @Option(
        name: [.long, .customShort("c")], help: "The node's configuration file.",
        completion: .file(extensions: ["toml"]))
    var config: String?

    @Option(
        help: ArgumentHelp(
            "The node's state directory, in place of --config. Default: \(NodeIdentitySettings.standardStateDirectory)",
            valueName: "dir"), completion: .directory)
    var stateDir: String?

    func validate() throws {
        guard config == nil || stateDir == nil else {
            throw ValidationError("--config and --state-dir name the same thing: give one of them.")
        }
    }

    /// The settings of --config; `nil` without it.
    func settings() throws -> NodeSettings? { try config.map { try loadConfiguration($0).settings } }

    func stateDirectory(_ settings: NodeSettings?) -> String {
        settings?.node.stateDirectory ?? stateDir ?? NodeIdentitySettings.standardStateDirectory
    }

    /// Who asks the node. Ends the command where others could have put a directory of their own in the state directory's
    /// place: what is found there is not asked.
    func client(timeout: Duration = .seconds(30)) throws -> AdminClient {
        let directory = stateDirectory(try settings())
        if let flaw = DirectoryChain.flaw(of: directory) {
            throw failure(
                "nothing was done, and no node was asked: \(flaw.message). \(flaw.mend)", status: ExitStatus.notDone)
        }
        return AdminClient(stateDirectory: directory, timeout: timeout)
    }

    /// Asks the running node for something, and prints what it says.
    ///
    /// - Parameters:
    ///   - names: what the command names, for a proposal where the node does not know it.
    ///   - timeout: for the node's answer.
    func perform(
        naming names: String..., timeout: Duration = .seconds(30),
        command: (AdminClient) async throws(AdminClientError) -> String
    ) async throws {
        let client = try client(timeout: timeout)
        do throws(AdminClientError) {
            printLine(Terminal.shown(try await command(client)))
        } catch {
            if case .notRunning(let socket) = error, let settings = try settings(),
                let words = await NodePresence.words(settings, socket: socket)
            {
                throw failure(Terminal.plain(words), status: ExitStatus.notDone)
            }
            throw Self.failed(error, names)
        }
    }

    static func failed(_ error: AdminClientError, _ names: [String]) -> ExitCode {
        guard case .unknown(let message, let name, let known) = error else {
            return failure(Self.message(error), status: ExitStatus.notDone)
        }
        let unknown = name ?? (names.count == 1 ? names.first : nil)
        return failure(Terminal.shown("\(message); \(proposal(unknown, known))"), status: ExitStatus.configuration)
    }

    static func message(_ error: AdminClientError) -> String { Terminal.shown(words(error)) }

    private static func words(_ error: AdminClientError) -> String {
        switch error {
        case .notRunning(let socket):
            NodePresence.length(of: socket).map { "no node can be asked here: \($0)" }
                ?? "no node is running here: nobody listens at \(socket). Name the node's --config or --state-dir if it "
                + "has another one"
        case .forbidden(let socket): "\(socket) belongs to another user: run this as the node's user, or as root"
        case .unknown(let message, _, _), .refused(let message), .unusable(let message): message
        }
    }

    private static func proposal(_ name: String?, _ known: [String]) -> String {
        if let name, let nearest = NearestName.find(name, among: known) { return "did you mean \(nearest)?" }
        return known.isEmpty ? "it knows none" : "it knows " + known.prefix(20).joined(separator: ", ")
    }
}
