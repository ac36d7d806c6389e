// SPDX-License-Identifier: Apache-2.0

/// The reference of the records (`docs/reference/audit.md`), made of what is written.
package enum AuditReference {
    package static func markdown() -> String {
        AuditRecordKind.allCases.reduce(preamble) { $0 + section($1) }
    }

    private static func section(_ kind: AuditRecordKind) -> String {
        let rows = kind.fields.map { "| `\($0.rawValue)` | \($0.meaning) |" }.joined(separator: "\n")
        return "\n## `\(kind.rawValue)`\n\n\(kind.meaning)\n\n| member | meaning |\n|---|---|\n\(rows)\n"
    }

    private static let ofAll: [AuditField] = [.kind, .time, .node, .seq, .signature, .hash]

    private static let preamble = """
        # Records of the audit log

        A line is one JSON object (RFC 8259), UTF-8. Members that say nothing are left out; new ones may be added in later
        versions, before `seq`. Control characters, and those that change how a line reads, are escaped. The
        [guide](../guides/audit.md) says how the log is used, [configuration.md](configuration.md) how it is set up.

        Files are `audit-CHAIN-FIRST.jsonl`, where FIRST, 15 digits or more, is the number of the first record.

        ## The chain

        `hash` is SHA-256 over the 64 hexadecimal digits of the record before it (64 zeros before the first one), followed
        by the bytes of the line up to and without `,"hash"`. `signature`, in `gap` and `end`, is over
        `claviger audit record, 1`, a line feed, those 64 digits, a line feed, and the bytes of the line up to and without
        `,"signature"`; with ECDSA or RSA and SHA-256 (or SHA-384, SHA-512, Ed25519, whichever the key asks for), by the key
        of the last `begin`.

        A head, as `claviger audit heads` prints it, has the members `node`, `chain`, `run`, `seq`, `hash` and `time` (Unix
        seconds). Its `signature` is over `claviger audit head, 1` and these six, in this order, each followed by a line
        feed; `signer` has the certificates or the public key; `keptBy` is the node that keeps it, where that is another.

        ## Of every record

        | member | meaning |
        |---|---|
        \(ofAll.map { "| `\($0.rawValue)` | \($0.meaning) |" }.joined(separator: "\n"))

        """
}
