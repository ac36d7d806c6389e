// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import ArgumentParser

extension ExitStatus {
    /// It is done on this node, and another one has not confirmed it.
    static let unconfirmed = ExitCode(6)
    /// Every node has the order, and some do not enforce it as it is meant.
    static let enforcedInPart = ExitCode(4)
}

/// How long other nodes' confirmations are waited for.
struct ConfirmationOptions: ParsableArguments {
    /// How often the node is asked: soon enough that a confirmation is shown as it comes.
    private static let interval = Duration.milliseconds(50)

    @Option(help: "How long to wait for the other nodes: 500ms to 10m.")
    var timeout = "5s"

    func validate() throws {
        guard let milliseconds = CommandDuration.milliseconds(timeout), (500...600_000).contains(milliseconds) else {
            throw ValidationError("--timeout takes 500ms to 10m, for example 5s.")
        }
    }

    /// Gives the order, prints what came of it, and each node as it confirms; throws the exit status unless every node
    /// has.
    ///
    /// - Parameters:
    ///   - words: what is said when it is not done.
    func perform(
        on node: AdminOptions, words: OrderWords,
        order: (AdminClient) async throws(AdminClientError) -> BlockReceipt
    ) async throws {
        let client = try node.client()
        let receipt: BlockReceipt
        do throws(AdminClientError) {
            receipt = try await order(client)
        } catch {
            throw failure(words.text(error), status: ExitStatus.notDone)
        }
        printLine(Terminal.shown(receipt.message))
        var display = BlockDisplay(receipt, on: Terminals.page)
        await follow(receipt.order, client, &display)
        for line in display.lastLines() { printLine(line) }
        switch display.outcome {
        case .everywhere: return
        case .unconfirmed: throw ExitStatus.unconfirmed
        case .notDurable: throw ExitStatus.notDone
        }
    }

    private func follow(_ order: UInt64, _ client: AdminClient, _ display: inout BlockDisplay) async {
        let deadline = ContinuousClock.now + .milliseconds(CommandDuration.milliseconds(timeout) ?? 5_000)
        while true {
            do throws(AdminClientError) {
                let progress = try await client.progress(ofOrder: order)
                for line in display.lines(progress) { printLine(line) }
            } catch {
                return printError("claviger: confirmations cannot be asked for: \(AdminOptions.message(error))")
            }
            if display.isFinished || ContinuousClock.now >= deadline { return }
            try? await Task.sleep(for: Self.interval)
        }
    }
}

/// What an operator is shown whose order was not carried out.
struct OrderWords {
    /// That it was not done, for example "The block was NOT made".
    var notDone: String
    /// What to do where no node runs.
    var mend: String

    func text(_ error: AdminClientError) -> String {
        switch error {
        case .notRunning, .forbidden: "\(notDone): \(AdminOptions.message(error)). \(mend)"
        case .refused, .unknown: "\(notDone): \(AdminOptions.message(error))"
        case .unusable:
            "It is not known whether the order was carried out: \(AdminOptions.message(error)). Look at claviger blocks, here and on "
                + "another node; to give the order twice does no harm"
        }
    }
}
