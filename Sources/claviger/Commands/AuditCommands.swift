// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import ArgumentParser
import Audit
import AuditChain
import Cluster
import Foundation
import Glibc
import NodeStore
import PrivateFiles

/// `claviger audit …`
struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Verify audit logs, and look things up in them.",
        subcommands: [AuditVerifyCommand.self, AuditFindCommand.self, AuditHeadsCommand.self])
}

/// Which files of an audit log are meant.
struct AuditFiles: ParsableArguments {
    @OptionGroup var node: AdminOptions

    @Argument(
        help: ArgumentHelp(
            "Directories with segments, or single segments. Default: the audit log of the node of this host.",
            valueName: "path"), completion: .file())
    var paths: [String] = []

    /// The segments by chain, and whether others may lie elsewhere.
    func chains() throws -> (chains: [AuditChainFiles], isPart: Bool) {
        try Self.chains(of: paths.isEmpty ? [directory()] : paths)
    }

    /// The segments that these name, directories or files.
    static func chains(of paths: [String]) throws -> (chains: [AuditChainFiles], isPart: Bool) {
        var files: [(name: SegmentName, path: String)] = []
        var isPart = false
        for path in paths {
            var facts = stat()
            guard stat(path, &facts) == 0 else {
                throw failure("\(path): \(String(cString: strerror(errno)))", status: ExitStatus.configuration)
            }
            if facts.st_mode & S_IFMT == S_IFDIR {
                let found = AuditDirectory(path)
                do throws(AuditFileError) {
                    files += try found.segments().map { ($0, found.file($0)) }
                } catch {
                    throw failure(error.description, status: ExitStatus.configuration)
                }
                continue
            }
            guard let name = SegmentName(file: path.split(separator: "/").last.map(String.init) ?? "") else {
                throw failure(
                    "\(path) is no segment of an audit log by its name (audit-CHAIN-FIRST.jsonl)",
                    status: ExitStatus.configuration)
            }
            isPart = true
            files.append((name, path))
        }
        guard !files.isEmpty else {
            throw failure("there are no segments of an audit log here", status: ExitStatus.configuration)
        }
        return (AuditChainFiles.chains(of: files), isPart)
    }

    private func directory() throws -> String {
        let settings = try node.settings()
        let state = node.stateDirectory(settings)
        return settings?.audit?.directory(under: state) ?? state + "/audit"
    }
}

/// `claviger audit verify`
struct AuditVerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Verify an audit log, and say where it does not hold.",
        discussion:
            "Finds records that were changed, removed, moved or added, segments that are missing, and, by heads that other "
            + "nodes keep, an end that was cut off and a chain that was rewritten as a whole. Heads come from the database "
            + "of --state-dir where it is the node's own, from files that `claviger audit heads` wrote on other nodes, and "
            + "from the admin sockets of nodes of this host. Status 0: all holds. Status 1: something does not; each line "
            + "says where. Status 2: the files cannot be read.")

    @OptionGroup var files: AuditFiles

    @Option(
        help: ArgumentHelp("A file that `claviger audit heads` wrote. May be repeated.", valueName: "file"),
        completion: .file(extensions: ["json"]))
    var heads: [String] = []

    @Option(
        help: ArgumentHelp(
            "State directory of another node that runs on this host: its admin socket is asked. May be repeated.",
            valueName: "dir"), completion: .directory)
    var headsFrom: [String] = []

    @Option(
        help: ArgumentHelp(
            "The cluster's CA (PEM): heads must be signed by certificates that it issued. Default: that of --config.",
            valueName: "file"), completion: .file())
    var ca: String?

    @Flag(help: "Print the report as JSON.")
    var json = false

    func run() async throws {
        let (chains, isPart) = try files.chains()
        let settings = try files.node.settings()
        let verification = AuditVerification(
            authorities: try (ca ?? settings?.cluster?.ca).map(AuditVerification.authorities))
        let known = try await verification.genuine(try await given())
        // A node that has got another name goes on with its log: heads are of it under each of its names.
        let ownName = files.paths.isEmpty ? settings?.node.id : nil
        var present = Set([ownName].compactMap(\.self))
        var reports: [AuditReport] = []
        for chain in chains {
            do throws(AuditFileError) {
                let nodes = try chain.nodes()
                let names = Set(nodes + [ownName].compactMap(\.self))
                if let name = nodes.last { present.insert(name) }
                reports.append(
                    try chain.verify(
                        node: nodes.last ?? ownName ?? "",
                        heads: known.heads.filter { names.contains($0.head.node) && $0.head.chain == chain.chain },
                        isPart: isPart, isGenuine: verification.isGenuine))
            } catch {
                throw failure(error.description, status: ExitStatus.configuration)
            }
        }
        let verdict = AuditVerdicts(
            reports: reports, missing: isPart ? [] : AuditVerification.missing(known.heads, of: present, reports),
            refused: known.refused)
        printLine(json ? try verdict.json() : Terminal.shown(verdict.text), isForPrograms: json)
        guard verdict.isGood else { throw ExitStatus.notDone }
    }

    /// Heads from everywhere: this host's database, files, and sockets.
    private func given() async throws -> [SignedAuditHead] {
        var given: [SignedAuditHead] = []
        let state = files.node.stateDirectory(try files.node.settings())
        // Where no node has run there is no database; the log of another host has its heads elsewhere.
        if let stored = try? StoreReader.open(directory: state).auditHeads(of: nil, limit: AuditHeadBook.mostHeads) {
            given += stored.compactMap { SignedAuditHead($0, keptBy: "") }.map { head in
                var head = head
                head.keptBy = nil
                return head
            }
        }
        for file in heads { given += try AuditVerification.heads(in: file) }
        for directory in headsFrom {
            if let flaw = DirectoryChain.flaw(of: directory) {
                throw failure("\(flaw.message). \(flaw.mend)", status: ExitStatus.configuration)
            }
            do throws(AdminClientError) {
                given += try await AdminClient(stateDirectory: directory).auditHeads(of: nil).heads
            } catch {
                throw failure(AdminOptions.message(error), status: ExitStatus.configuration)
            }
        }
        return given
    }
}

/// `claviger audit find`
struct AuditFindCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "find",
        abstract: "Print the records of an audit log that fit, a JSON line each, as they stand there.",
        discussion:
            "All that is given must fit. Only lines are looked at: whether the log holds, `claviger audit verify` says. "
            + "Status 0: something was found. Status 1: nothing was. Status 2: the files cannot be read.")

    @OptionGroup var files: AuditFiles

    @Option(help: ArgumentHelp("KMS's request id, as CloudTrail has it.", valueName: "id"))
    var requestID: String?

    @Option(help: ArgumentHelp("External key id.", valueName: "id"))
    var key: String?

    @Option(help: ArgumentHelp("Path prefix of the key store.", valueName: "path"))
    var keystore: String?

    @Option(help: ArgumentHelp("The principal's ARN, whole.", valueName: "arn"))
    var principal: String?

    @Option(help: ArgumentHelp("Outcome: ok, or an exception's name.", valueName: "word"))
    var outcome: String?

    @Option(help: ArgumentHelp("Kind of record: request, order, gap, begin, end, expired.", valueName: "kind"))
    var kind: String?

    @Option(help: ArgumentHelp("Not before this time, UTC: 2026-01-31 or 2026-01-31T23:59.", valueName: "time"))
    var since: String?

    @Option(help: ArgumentHelp("Before this time, UTC.", valueName: "time"))
    var until: String?

    func validate() throws {
        for time in [since, until].compactMap(\.self) where AuditTime.lowerBound(time) == nil {
            throw ValidationError("\(time) is no time: write 2026-01-31 or 2026-01-31T23:59:59, in UTC.")
        }
        if let kind, AuditRecordKind(rawValue: kind) == nil {
            let known = AuditRecordKind.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("there is no kind \(kind): it may be \(known).")
        }
    }

    func run() throws {
        let filter = AuditFilter(
            texts: [
                .kmsRequestID: requestID, .externalKeyID: key, .keyStore: keystore, .principal: principal,
                .outcome: outcome, .kind: kind,
            ].compactMapValues(\.self), since: since.flatMap(AuditTime.lowerBound),
            until: until.flatMap(AuditTime.lowerBound))
        var count = 0
        for chain in try files.chains().chains {
            for file in chain.files {
                do throws(AuditFileError) {
                    _ = try AuditFileReader.read(file.path) { line in
                        guard let record = AuditLine(line), filter.fits(record) else { return true }
                        count += 1
                        printLine(String(decoding: line, as: UTF8.self), isForPrograms: true)
                        return !Output.isOver
                    }
                } catch {
                    throw failure(error.description, status: ExitStatus.configuration)
                }
            }
        }
        guard count > 0 else { throw ExitStatus.notDone }
    }
}

/// `claviger audit heads`
struct AuditHeadsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "heads",
        abstract: "Print the heads of audit logs that the running node keeps: its own, and those of other nodes.",
        discussion:
            "JSON, for `claviger audit verify --heads` on another host: what a node's own log must agree with. A node that "
            + "stands alone has nobody who keeps its heads: write them elsewhere now and then. Status 0: done. Status 1: no "
            + "node runs.")

    @OptionGroup var node: AdminOptions

    @Option(name: .customLong("node"), help: ArgumentHelp("Only those of the node of this name.", valueName: "name"))
    var name: String?

    func run() async throws {
        let client = try node.client()
        do throws(AdminClientError) {
            let heads = try await client.auditHeads(of: name)
            printLine(AuditVerification.json(heads), isForPrograms: true)
        } catch {
            throw failure(AdminOptions.message(error), status: ExitStatus.notDone)
        }
    }
}
