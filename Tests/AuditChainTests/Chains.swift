// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import AuditChain
import Crypto
import XKSProtocol

/// A chain of a few segments, as a node writes it, for tests that change it.
struct TestChain {
    static let key = P256.Signing.PrivateKey()
    static var signer: AuditSigner { AuditSigner(publicKey: key.publicKey.rawRepresentation.digits) }

    /// Lines of each segment, without their line feeds.
    var segments: [(name: SegmentName, lines: [[UInt8]], torn: Int)] = []
    var link = ChainLink()
    /// After each record, by its number.
    var links: [ChainLink] = [ChainLink()]

    /// - Parameter sizes: how many requests each segment has.
    init(_ sizes: [Int]) {
        for (index, size) in sizes.enumerated() {
            open(index == 0 ? .start : .size)
            for _ in 0..<size { request() }
            close()
        }
    }

    static func sign(_ text: [UInt8]) -> String? { (try? key.signature(for: text))?.rawRepresentation.digits }

    static func isGenuine(_ signed: ChainVerifier.SignedText) -> Bool {
        guard signed.signer == signer, let bytes = bytes(signed.signature),
            let signature = try? P256.Signing.ECDSASignature(rawRepresentation: bytes)
        else { return false }
        return key.publicKey.isValidSignature(signature, for: signed.text)
    }

    private static func bytes(_ digits: String) -> [UInt8]? {
        let digits = Array(digits)
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(String(digits[$0...($0 + 1)]), radix: 16) ?? 0 }
    }

    static func trace(_ number: UInt64) -> RequestTrace {
        var trace = RequestTrace()
        trace.operation = .encrypt
        trace.keyStore = "/store"
        trace.externalKeyID = "foo"
        trace.metadata = RequestMetadata(
            awsPrincipalArn: "arn:aws:iam::123456789012:user/Alice", kmsKeyArn: "arn:aws:kms:eu:1:key/1",
            kmsOperation: "Encrypt", kmsRequestId: "request-\(number)")
        trace.status = number % 10 == 3 ? 500 : 200
        trace.error = number % 10 == 3 ? .internalFailure : nil
        trace.forwardedBy = number % 10 == 4 ? "node-2" : nil
        return trace
    }

    mutating func open(_ cause: SegmentCause, torn: Int = 0) {
        segments.append((SegmentName(chain: 1, first: link.seq + 1), [], 0))
        append(
            RecordText(
                SegmentBegin(
                    version: "1", chain: 1, run: 7, cause: cause, previousHash: link.hash, tornBytes: torn,
                    signer: Self.signer), at: AuditTime(seconds: 1_700_000_000), node: "fra-1"))
    }

    mutating func request() {
        let next = link.seq + 1
        let time = AuditTime(seconds: 1_700_000_000 + Int64(next))
        append(RecordText(Self.trace(next), at: time, node: "fra-1"))
    }

    mutating func close() {
        let count = UInt64(segments.last?.lines.count ?? 0) + 1
        let time = AuditTime(seconds: 1_700_000_000)
        append(RecordText(endOf: .size, records: count, at: time, node: "fra-1"), signed: true)
    }

    mutating func append(_ record: RecordText, signed: Bool = false) {
        var bytes: [UInt8] = []
        if signed {
            link.append(record, to: &bytes) { Self.sign($0) }
        } else {
            link.append(record, to: &bytes)
        }
        links.append(link)
        segments[segments.count - 1].lines.append(Array(bytes.dropLast()))
    }

    /// The head after a record, as a peer keeps it.
    func head(_ seq: Int, keptBy: String? = "node-2") -> SignedAuditHead {
        SignedAuditHead(
            head: AuditHead(
                node: "fra-1", chain: 1, run: 7, seq: UInt64(seq), hash: links[seq].hash, time: 1_700_000_000),
            signer: Self.signer, signature: "00", keptBy: keptBy)
    }

    func verify(heads: [SignedAuditHead] = [], isPart: Bool = false) -> AuditReport {
        var verifier = ChainVerifier(
            node: "fra-1", chain: 1, heads: heads, isPart: isPart, isGenuine: Self.isGenuine)
        for segment in segments {
            verifier.begin(segment.name)
            for line in segment.lines { verifier.read(line[...]) }
            verifier.end(torn: segment.torn)
        }
        return verifier.finish()
    }

    func text(_ segment: Int, _ line: Int) -> String { String(decoding: segments[segment].lines[line], as: UTF8.self) }
}

extension Sequence<UInt8> {
    var digits: String { map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
}
