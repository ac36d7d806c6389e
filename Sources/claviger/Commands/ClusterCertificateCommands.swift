// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ClusterCertificates
import Foundation
import TLSFacts

/// `claviger cluster new-ca`
struct ClusterNewCACommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new-ca",
        abstract: "Make a CA for the nodes of a cluster: ca.pem and ca-key.pem, for ten years.",
        discussion: "Whoever has a certificate from it is a node. Keep ca-key.pem off the nodes, and a copy of it.")

    @Argument(help: "Directory for the two files. Neither may be there yet.", completion: .directory)
    var directory: String

    func run() throws {
        let authority = try certificateFailure { try ClusterAuthority.create(in: directory, now: Date()) }
        printLine(
            """
            \(authority.files.certificate)  for every node: [cluster] ca
            \(authority.files.key)  signs nodes' certificates: keep it where no node is

            Next: claviger cluster issue NODE --ca \(directory) --out DIR
            """)
    }
}

/// `claviger cluster issue`
struct ClusterIssueCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "issue",
        abstract: "Make a node's certificate and key for the cluster: NODE.pem and NODE-key.pem.",
        discussion: "A running node takes new files over with `claviger reload`.")

    @Argument(help: "The node's name: node.id of its configuration.")
    var node: String

    @Option(help: "Directory of the CA that `claviger cluster new-ca` made.", completion: .directory)
    var ca: String

    @Option(
        name: .customLong("host"),
        help: ArgumentHelp(
            "Host name or address for the certificate to carry as well; may be repeated. Nodes do not look at it.",
            valueName: "host"))
    var hosts: [String] = []

    @Option(help: "Directory for the two files.", completion: .directory)
    var out: String

    @Option(help: "How many days the certificate lasts, 1 to 3650.")
    var days = ClusterAuthority.standardDays

    @Flag(help: "Replace files of the same name.")
    var force = false

    func run() throws {
        let now = Date()
        let pair = try certificateFailure {
            try ClusterAuthority.load(from: ca, now: now).issue(
                ClusterAuthority.Order(node: node, hosts: hosts, days: days), into: out, replacing: force, now: now)
        }
        let serial = try certificateFailure { try ClusterAuthority.serial(of: pair.certificate) }
        printLine(
            """
            \(pair.certificate)  [cluster] certificate, for \(days) days
            \(pair.key)  [cluster] key
            \(serial)  its serial number: [cluster] refused of the other nodes, if the key is ever lost
            """)
    }
}

/// `claviger cluster serial`
struct ClusterSerialCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serial",
        abstract: "Print the serial number of a certificate, as [cluster] refused takes it.",
        discussion:
            "Of the first certificate of the file. Where the file is gone with its host, `claviger cluster status "
            + "--json` of another node shows the serial numbers of all that it is connected with.")

    @Argument(help: "PEM file with the certificate.", completion: .file(extensions: ["pem", "crt"]))
    var file: String

    func run() throws { printLine("\(try certificateFailure { try ClusterAuthority.serial(of: file) })") }
}

/// Says what `body` throws, in a sentence.
private func certificateFailure<Result>(_ body: () throws -> Result) throws -> Result {
    do {
        return try body()
    } catch {
        throw failure("\(error)", status: ExitStatus.notDone)
    }
}
