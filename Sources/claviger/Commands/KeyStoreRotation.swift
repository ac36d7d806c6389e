// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import ArgumentParser
import Foundation
import KeyStoreCredentials
import NodeConfig
import SecureMemory
import SigV4

/// `claviger keystore list`
struct KeyStoreListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Show the running node's credentials by key store: since when known, last used, and at which node.",
        discussion: "Uses are those of all nodes of the cluster, to the minute. Secrets are not shown.")

    @OptionGroup var node: AdminOptions

    @Flag(help: "Print JSON, on one line.")
    var json = false

    func run() async throws {
        let credentials = try await node.credentials()
        printLine(
            json
                ? try JSONLine.text(credentials)
                : CredentialTable.text(credentials, nowUnixSeconds: Int64(time(nil)), on: Terminals.page),
            isForPrograms: json)
    }
}

/// `claviger keystore rotate`
struct KeyStoreRotateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate",
        abstract: "Lead through replacing a key store's credential without a pause, one step at each call.",
        discussion:
            "The four steps of the XKS Proxy API: a second credential is made and stands in the configuration of "
            + "every node; KMS is given it (the aws command is printed); KMS signs with it; the old one is taken out once "
            + "no node has seen it for an hour. Looks each time at the file, the running node and the cluster, says what "
            + "is done and what comes next. Status 0: the step is done, or there is something for you to do. Status 1: "
            + "something stands in the way.")

    @Argument(help: "The key store's path_prefix, for example /example/uri/path/prefix; \"\" for none.")
    var path: String

    @OptionGroup var node: AdminOptions

    @Option(
        help: ArgumentHelp(
            "Where the new secret's file goes. Default: beside the old one's.", valueName: "dir"),
        completion: .directory)
    var directory: String?

    @Option(help: ArgumentHelp("The key store's id at KMS, for the printed command.", valueName: "cks-…"))
    var customKeyStoreID: String?

    func run() async throws {
        guard let settings = try node.settings() else {
            throw failure("name the node's configuration file with --config", status: ExitStatus.configuration)
        }
        guard let store = settings.keyStores.first(where: { $0.pathPrefix == path }) else {
            let known = settings.keyStores.map { ReloadReport.shown($0.pathPrefix) }.joined(separator: ", ")
            throw failure(
                "the configuration has no key store \(ReloadReport.shown(path)); it has \(known)",
                status: ExitStatus.configuration)
        }
        let file = store.credentials.map(\.accessKeyID)
        switch CredentialRotation.next(file: file, node: try await known(), now: Int64(time(nil))) {
        case .make: try make(beside: store)
        case .reload: try await reload(store)
        case .tellKMS(let new): try await tellKMS(new, store)
        case .wait(let new, let old, let until): wait(new, old, until: until)
        case .remove(let new, let old): remove(new, old, from: store)
        }
    }

    private func known() async throws -> [CredentialRotation.Known] {
        try await node.credentials().filter { $0.keyStore == path }.map {
            CredentialRotation.Known(
                accessKeyID: $0.accessKeyId, firstSeen: $0.firstSeenUnixSeconds, lastUsed: $0.lastUsedUnixSeconds,
                lastUsedAt: $0.lastUsedAt)
        }
    }

    // MARK: Step 1

    private func make(beside store: KeyStoreSettings) throws {
        let old: String? = if case .file(let path)? = store.credentials.first?.secret { path } else { nil }
        guard let directory = directory.map(absolute) ?? old.map({ ($0 as NSString).deletingLastPathComponent }) else {
            throw failure(
                "the old secret is in no file: say with --directory where the new one's shall be",
                status: ExitStatus.configuration)
        }
        let (id, isNew) = try made(in: directory, besides: store, like: old)
        let secret = "\(directory)/\(id).secret"
        printLine(
            """
            Step 1 of 4: a second credential. \(isNew ? "Made now" : "Made before"): \(secret)

            On every node: put this file there, and add to credentials of the [[keystore]] with \
            path_prefix = \(path.debugDescription), beside what is there:

                { access_key_id = "\(id)", secret = { file = \(secret.debugDescription) } }

            Then give this command again on each node: the node reads the file anew.
            """)
    }

    /// A credential that an earlier call made and that has not been added yet, or a new one.
    private func made(
        in directory: String, besides store: KeyStoreSettings, like old: String?
    ) throws -> (id: String, isNew: Bool) {
        let used = Set(store.credentials.map(\.accessKeyID))
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        for name in names.sorted() where name.hasSuffix(".secret") {
            let id = String(name.dropLast(".secret".count))
            guard !used.contains(id), case .success(let secret) = read(.file("\(directory)/\(name)")),
                (try? Credential(accessKeyID: id, secret: secret)) != nil
            else { continue }
            return (id, false)
        }
        let credential = Credential.generate()
        try writeNew(credential.secret, to: "\(directory)/\(credential.accessKeyID).secret", like: old)
        return (credential.accessKeyID, true)
    }

    private func reload(_ store: KeyStoreSettings) async throws {
        let client = try node.client(timeout: .seconds(300))
        do throws(AdminClientError) {
            printLine(Terminal.shown(try await client.reloadTellingWarnings()))
        } catch {
            throw failure(AdminOptions.message(error), status: ExitStatus.notDone)
        }
        let file = store.credentials.map(\.accessKeyID)
        switch CredentialRotation.next(file: file, node: try await known(), now: Int64(time(nil))) {
        case .tellKMS(let new): try await tellKMS(new, store)
        case .make:
            printLine("Step 4 of 4 is done here: \(ReloadReport.shown(path)) has one credential, \(file.joined()).")
        case .wait(let new, let old, let until): wait(new, old, until: until)
        case .remove(let new, let old): remove(new, old, from: store)
        case .reload:
            throw failure(
                "the node works by other credentials of \(ReloadReport.shown(path)) than the file says: was it started "
                    + "with another --config?", status: ExitStatus.notDone)
        }
    }

    // MARK: Steps 2 to 4

    private func tellKMS(_ new: String, _ store: KeyStoreSettings) async throws {
        let others = try await differing()
        guard others.isEmpty else {
            throw failure(
                "Step 1 of 4 is not done everywhere: \(others.joined(separator: ", ")) works by another configuration than "
                    + "this node, and would refuse what KMS signs with \(new). Add the credential there, give this command "
                    + "there, then here again", status: ExitStatus.notDone)
        }
        let document = try document(of: new, store)
        printLine(
            """
            Step 2 of 4: every node takes \(new). Give it to KMS; the key store stays connected:

                \(CredentialRotation.command(keyStoreID: customKeyStoreID, file: document))

            \(document) holds the secret: remove it when KMS has taken it. KMS asks for the health of the key store \
            with the new credential first, and takes up to five minutes to sign with it everywhere. Then give this command \
            again.
            """)
    }

    /// Live nodes whose configuration differs from this one's.
    private func differing() async throws -> [String] {
        let client = try node.client()
        do throws(AdminClientError) {
            return try await client.clusterHealth().nodes.filter { $0.isLive && $0.drift.contains("configuration") }
                .map { Terminal.shown($0.name) }
        } catch {
            throw failure(AdminOptions.message(error), status: ExitStatus.notDone)
        }
    }

    /// The file for `--xks-proxy-authentication-credential`; made unless an earlier call has.
    private func document(of id: String, _ store: KeyStoreSettings) throws -> String {
        guard let source = store.credentials.first(where: { $0.accessKeyID == id })?.secret else { return "" }
        let secret: SecretBytes
        switch read(source) {
        case .success(let bytes): secret = bytes
        case .failure(let problem):
            throw failure("\(problem.message); \(problem.fix)", status: ExitStatus.configuration)
        }
        let credential: Credential
        do throws(CredentialError) {
            credential = try Credential(accessKeyID: id, secret: secret)
        } catch {
            throw failure(error.description, status: ExitStatus.configuration)
        }
        let beside: String? =
            if case .file(let path) = source { (path as NSString).deletingLastPathComponent } else { nil }
        let directory = directory.map(absolute) ?? beside ?? FileManager.default.currentDirectoryPath
        let file = "\(directory)/\(id).json"
        if !FileManager.default.fileExists(atPath: file) { try writeNew(credential.document(), to: file) }
        return file
    }

    private func wait(_ new: String, _ old: [CredentialRotation.Known], until: Int64) {
        let uses = old.map { "\($0.accessKeyID), last used at \(minute($0.lastUsed)) by \($0.lastUsedAt ?? "-")" }
        printLine(
            """
            Step 3 of 4: KMS signs with \(new). Within the last hour it has also signed with \
            \(uses.joined(separator: "; ")).

            Leave the old credential until \(minute(until)): a reload refuses a file without it until then. If it is \
            still used long after, another key store of KMS has it, or the update has failed: look at its state with \
            aws kms describe-custom-key-stores.
            """)
    }

    private func remove(_ new: String, _ old: [CredentialRotation.Known], from store: KeyStoreSettings) {
        let lines = old.map { known -> String in
            let file: String? =
                if case .file(let path)? = store.credentials.first(where: { $0.accessKeyID == known.accessKeyID })?
                    .secret
                {
                    path
                } else { nil }
            let use = known.lastUsed.map { "last used at \(minute($0)) by \(known.lastUsedAt ?? "-")" } ?? "never used"
            return "    \(known.accessKeyID), \(use)" + (file.map { ": \($0)" } ?? "")
        }
        printLine(
            """
            Step 4 of 4: KMS signs with \(new), and no node has seen another credential of \
            \(ReloadReport.shown(path)) in the last hour. These can go:

            \(lines.joined(separator: "\n"))

            On every node: take them out of the [[keystore]], give this command again (or claviger reload), then remove \
            their files.
            """)
    }

    // MARK: -

    private func read(_ source: SecretSource) -> Result<SecretBytes, SecretProblem> {
        Result { () throws(SecretProblem) in try SecretReader(taking: []).read(source) }
    }

    private func absolute(_ path: String) -> String { URL(fileURLWithPath: path).path }

    /// In UTC.
    private func minute(_ unixSeconds: Int64?) -> String {
        guard let unixSeconds else { return "-" }
        return Date(timeIntervalSince1970: TimeInterval(unixSeconds)).formatted(.iso8601)
    }
}

extension AdminOptions {
    /// What the running node says of its credentials.
    fileprivate func credentials() async throws -> [CredentialStatus] {
        let client = try client()
        do throws(AdminClientError) {
            guard let credentials = try await client.status().status.credentials else {
                throw AdminClientError.unusable(
                    "the node is of an earlier version, and does not say when credentials were used")
            }
            return credentials
        } catch {
            throw failure(AdminOptions.message(error), status: ExitStatus.notDone)
        }
    }
}
