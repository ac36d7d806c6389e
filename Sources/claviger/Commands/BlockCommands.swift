// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import ArgumentParser
import Glibc

/// What is cut off, in words of the command line.
struct BlockTargetOptions: ParsableArguments {
    @Option(help: "A key: its external key id, or its PKCS#11 label. In every key store.")
    var key: String?

    @Option(help: ArgumentHelp("A key store, by its path prefix.", valueName: "path"))
    var keystore: String?

    @Option(
        help: ArgumentHelp(
            "Requests of principals whose ARN matches; * stands for any characters. Quote it for the shell.",
            valueName: "pattern"))
    var principal: String?

    @Flag(help: "Every key of every key store.")
    var all = false

    func validate() throws {
        guard key?.utf8.contains(UInt8(ascii: ",")) != true else {
            throw ValidationError(
                "--key names one key, and this has a comma: give one command for each key. A key whose label has a comma "
                    + "is named by its external key id, its blocks by --id.")
        }
    }

    /// How many targets are named.
    var count: Int { [key != nil, keystore != nil, principal != nil, all].count { $0 } }
}

/// `claviger block`
struct BlockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "block",
        abstract: "Break glass: refuse requests at once, on every node.",
        discussion:
            "It is in force here at once. Says what it hits, then shows each node as it confirms that it goes by "
            + "the order and has it on disk, and names those that it cannot reach: they get it as soon as they can be "
            + "reached. KMS is told that the key is disabled. It holds over restarts, until it ends or is lifted by "
            + "claviger unblock. Nothing is asked, on a terminal neither. Status 0: every node has it. "
            + "Status 1: not done, or not on this node's disk. Status 2: the configuration is wrong. Status 6: done "
            + "here, and a node has not confirmed it. Status 4: done everywhere, and nodes of an earlier version, which "
            + "are named before, do not enforce it as it is meant. docs/guides/break-glass.md.")

    @OptionGroup var target: BlockTargetOptions

    @Option(help: "Why, in a few words: in the log, in claviger blocks, and for those who find out.")
    var reason: String

    @Option(
        help: ArgumentHelp(
            "How long it holds, on each node by its own clock: 30m, 2h, 3d. Without it: until it is lifted.",
            valueName: "duration"))
    var expires: String?

    @OptionGroup var waiting: ConfirmationOptions

    @OptionGroup var node: AdminOptions

    func validate() throws {
        guard target.count == 1 else {
            throw ValidationError("Give one of --key, --keystore, --principal and --all.")
        }
        guard reason.contains(where: { !$0.isWhitespace }) else { throw ValidationError("--reason is empty.") }
        if let expires, (CommandDuration.milliseconds(expires) ?? 0) < 1000 {
            throw ValidationError("--expires takes a whole number and s, m, h or d, for example 2h.")
        }
    }

    func run() async throws {
        let order = BlockOrder(
            everything: target.all ? true : nil, keyStore: target.keystore, key: target.key,
            principal: target.principal, reason: reason,
            expiresInSeconds: expires.flatMap(CommandDuration.milliseconds).map { $0 / 1000 }, user: OrderingUser.name)
        let words = OrderWords(
            notDone: "The block was NOT made",
            mend: "Start the node, or give the order on the host of any other node: it reaches them all")
        var isEnforced = true
        try await waiting.perform(on: node, words: words) { (client) throws(AdminClientError) in
            // One that does not answer at once says nothing of it: the order must not wait.
            let asked = AdminClient(socket: client.socket, timeout: Self.patience)
            if let outlook = try? await asked.outlook(on: order) {
                isEnforced = outlook.unable.isEmpty
                for line in BlockDisplay.warning(outlook, on: Terminals.page) { printError(line) }
            }
            return try await client.block(order)
        }
        // The order was given all the same, because a node that enforces it blocks; the status says that not all do.
        if !isEnforced { throw ExitStatus.enforcedInPart }
    }

    private static let patience = Duration.seconds(1)
}

/// `claviger unblock`
struct UnblockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unblock",
        abstract: "Lift blocks.",
        discussion: "By --id as claviger blocks shows it, or all that were made of one target. A block that another "
            + "node is given at the same moment stays. Status 0: every node has it. Status 1: not done, or not on this "
            + "node's disk. Status 2: the configuration is wrong. Status 6: done here, and a node has not confirmed "
            + "it: there the block stands until it can be reached.")

    @Option(help: ArgumentHelp("One block, by its id.", valueName: "id"))
    var id: String?

    @OptionGroup var target: BlockTargetOptions

    @Flag(
        help: "After the loss of the store: there are no other blocks than those that claviger blocks shows.")
    var confirmUnknown = false

    @OptionGroup var waiting: ConfirmationOptions

    @OptionGroup var node: AdminOptions

    func validate() throws {
        guard target.count + (id == nil ? 0 : 1) + (confirmUnknown ? 1 : 0) == 1 else {
            throw ValidationError(
                "Give one of --id, --key, --keystore, --principal, --all and --confirm-unknown.")
        }
    }

    func run() async throws {
        let order = LiftOrder(
            id: id, everything: target.all ? true : nil, keyStore: target.keystore, key: target.key,
            principal: target.principal, confirmUnknown: confirmUnknown ? true : nil, user: OrderingUser.name)
        let words = OrderWords(notDone: "NOTHING was lifted", mend: "Start the node, then say it again")
        try await waiting.perform(on: node, words: words) { (client) throws(AdminClientError) in
            try await client.lift(order)
        }
    }
}

/// `claviger blocks`
struct BlocksCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "blocks",
        abstract: "Show what is blocked.",
        discussion: "As this node knows it. Status 0: shown, whether there are blocks or not. Status 1: no node runs. "
            + "Status 2: the configuration is wrong.")

    @Flag(help: "Print JSON, on one line (docs/reference/http-api.md).")
    var json = false

    @OptionGroup var node: AdminOptions

    func run() async throws {
        let client = try node.client()
        do throws(AdminClientError) {
            let listing = try await client.blocks()
            printLine(
                json
                    ? try JSONLine.text(listing)
                    : BlockTable.text(listing, nowUnixSeconds: Int64(time(nil)), on: Terminals.page),
                isForPrograms: json)
        } catch {
            throw failure(AdminOptions.message(error), status: ExitStatus.notDone)
        }
    }
}

/// Who gives an order, for the log: the user behind sudo, where there is one.
enum OrderingUser {
    static var name: String {
        if let user = getenv("SUDO_USER").map({ String(cString: $0) }), !user.isEmpty { return user }
        guard let entry = getpwuid(getuid()), let name = entry.pointee.pw_name else { return "uid-\(getuid())" }
        return String(cString: name)
    }
}
