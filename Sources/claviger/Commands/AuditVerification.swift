// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import ArgumentParser
import Audit
import AuditChain
import Cluster
import Foundation
import PrivateFiles

/// What `claviger audit verify` goes by besides the log itself: heads, and whose signatures count.
struct AuditVerification {
    /// CA certificates, PEM; `nil`: whose certificate it is is not judged, only that it has signed.
    let authorities: ClusterAuthorities?

    static func authorities(_ file: String) throws -> ClusterAuthorities {
        do {
            return try ClusterAuthorities(file: file)
        } catch {
            throw failure("\(error)", status: ExitStatus.configuration)
        }
    }

    /// The heads of a file that `claviger audit heads` wrote.
    static func heads(in file: String) throws -> [SignedAuditHead] {
        let bytes: [UInt8]
        do throws(FileReading.Failure) {
            bytes = try FileReading.read(file, as: .plain, atMost: 64 << 20).withUnsafeBytes(Array.init)
        } catch {
            throw failure("\(file) \(error.message); \(error.fix)", status: ExitStatus.configuration)
        }
        guard let heads = try? JSONDecoder().decode(AuditHeads.self, from: Data(bytes)) else {
            throw failure(
                "\(file) holds no heads: write it with `claviger audit heads > FILE`", status: ExitStatus.configuration)
        }
        return heads.heads
    }

    static func json(_ heads: AuditHeads) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(heads)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }

    /// Those that their node has signed, and how many others there are.
    func genuine(_ given: [SignedAuditHead]) async throws -> (heads: [SignedAuditHead], refused: Int) {
        var judged: [[String]: Bool] = [:]
        var seen: Set<String> = []
        var heads: [SignedAuditHead] = []
        var refused = 0
        for head in given {
            // One head from two sources counts once; which other node has it is told of the first that names one.
            guard head.isWithinBounds, isSigned(Array(head.head.signedText.utf8), head.signature, by: head.signer)
            else {
                refused += 1
                continue
            }
            let certificates = head.signer.certificates
            if !certificates.isEmpty {
                // The certificate may have ended since: it must have been valid in the hour of the head.
                let mark = certificates + ["\(head.head.node) \(head.head.time / 3_600)"]
                if judged[mark] == nil { judged[mark] = await isIssued(certificates, to: head.head) }
                guard judged[mark] == true else {
                    refused += 1
                    continue
                }
            }
            let mark = "\(head.head.node) \(head.head.chain) \(head.head.seq) \(head.head.hash) \(head.keptBy ?? "")"
            if seen.insert(mark).inserted { heads.append(head) }
        }
        return (heads, refused)
    }

    private func isIssued(_ certificates: [String], to head: AuditHead) async -> Bool {
        guard NodeSignature.node(of: certificates) == head.node else { return false }
        guard let authorities else { return true }
        return await authorities.haveIssued(certificates, at: head.time)
    }

    private func isSigned(_ text: [UInt8], _ signature: String, by signer: AuditSigner) -> Bool {
        if let key = signer.publicKey { return OwnAuditKey.isGenuine(signature, of: text, publicKey: key) }
        return NodeSignature.isSigned(text, signature, by: signer.certificates)
    }

    /// Whether a record's signature is that of the key that its segment names.
    var isGenuine: (ChainVerifier.SignedText) -> Bool {
        { signed in isSigned(signed.text, signed.signature, by: signed.signer) }
    }

    /// Chains of which there are heads and no file: dropped whole.
    ///
    /// - Parameter names: of the node whose log it is.
    static func missing(
        _ heads: [SignedAuditHead], of names: Set<String>, _ reports: [AuditReport]
    ) -> [AuditFinding] {
        let there = Set(reports.map(\.chain))
        let lost = Dictionary(
            grouping: heads.filter { names.contains($0.head.node) && !there.contains($0.head.chain) }, by: \.head.chain)
        return lost.sorted { $0.key < $1.key }.compactMap { _, heads in
            heads.max { $0.head.seq < $1.head.seq }.map { head in
                AuditFinding(
                    .cut,
                    "chain \(head.head.chain) of node \(head.head.node) is missing: "
                        + "\(head.keptBy ?? "a head that the node signed") has it up to record \(head.head.seq)")
            }
        }
    }
}

/// What `claviger audit verify` says.
struct AuditVerdicts {
    var reports: [AuditReport]
    var missing: [AuditFinding]
    /// Heads that no node has signed.
    var refused: Int

    var isGood: Bool { missing.isEmpty && refused == 0 && reports.allSatisfy(\.isGood) }

    var text: String {
        var lines: [String] = []
        for report in reports {
            lines += report.findings.map { "\(report.node), chain \(report.chain): \($0)" }
            if report.findingCount > report.findings.count {
                lines.append(
                    "\(report.node), chain \(report.chain): \(report.findingCount - report.findings.count) more faults")
            }
        }
        lines += missing.map(\.description)
        if refused > 0 {
            lines.append("\(refused) of the given heads were signed by nobody who may: they are not used")
        }
        lines += reports.map(summary)
        lines.append(isGood ? "All of it holds." : "IT DOES NOT HOLD.")
        return lines.joined(separator: "\n")
    }

    private func summary(_ report: AuditReport) -> String {
        let counts = report.counts
        var words =
            "\(report.node), chain \(report.chain): records \(report.first) to \(report.last.seq), \(report.firstTime) to "
            + "\(report.lastTime): \(counts.requests) requests (\(counts.failures) failed), \(counts.forwarded) of other "
            + "nodes, \(counts.orders) orders"
        if counts.gaps > 0 {
            words +=
                ", \(counts.gaps) gaps (\(counts.late) records late, \(counts.lost) lost, \(counts.refused) requests refused)"
        }
        words +=
            report.provenUpTo > 0
            ? "; \(report.agreeing) heads agree, the last with record \(report.provenUpTo)"
            : "; no head is known: a rewritten or a cut chain would not show"
        return words
    }

    func json() throws -> String {
        struct Finding: Encodable {
            var kind, file, text: String
            var line: Int
            var seq: UInt64
        }
        struct Chain: Encodable {
            var node: String
            var chain: Int
            var first, last, records, requests, failures, forwarded, orders, gaps, late, lost, refused: UInt64
            var headsAgreeing: Int
            var provenUpTo: UInt64
            var findings: [Finding]
            var findingCount: Int
        }
        struct Whole: Encodable {
            var holds: Bool
            var chains: [Chain]
            var missing: [Finding]
            var headsRefused: Int
        }
        func shown(_ finding: AuditFinding) -> Finding {
            Finding(
                kind: finding.kind.rawValue, file: finding.file, text: finding.text, line: finding.line,
                seq: finding.seq)
        }
        let whole = Whole(
            holds: isGood,
            chains: reports.map { report in
                let counts = report.counts
                return Chain(
                    node: report.node, chain: report.chain, first: report.first, last: report.last.seq,
                    records: counts.records, requests: counts.requests, failures: counts.failures,
                    forwarded: counts.forwarded, orders: counts.orders, gaps: counts.gaps, late: counts.late,
                    lost: counts.lost, refused: counts.refused, headsAgreeing: report.agreeing,
                    provenUpTo: report.provenUpTo, findings: report.findings.map(shown),
                    findingCount: report.findingCount)
            }, missing: missing.map(shown), headsRefused: refused)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(whole), as: UTF8.self)
    }
}
