// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11

extension HSMListing {
    /// The listing for a terminal: a block for each slot, its keys as a table.
    package var table: String {
        var lines = [
            "\(module)",
            "  \(library.description), \(library.manufacturer), version \(library.version), "
                + "PKCS#11 \(library.cryptokiVersion)",
        ]
        if slots.isEmpty { lines += ["", "The library shows no slot. Is its own configuration right?"] }
        for slot in slots { lines += [""] + slot.lines }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension HSMListing.Slot {
    fileprivate var lines: [String] {
        guard let token else { return ["slot \(slot): \(description) (no token)"] }
        guard token.flags.contains(.initialized) else {
            return ["slot \(slot): \(description) (token not initialised)"]
        }
        let identity = token.identity
        var lines = ["slot \(slot): token \"\(identity.label)\""]
        lines.append("  serial      \(identity.serial)")
        lines.append("  model       \(identity.model), \(identity.manufacturer), firmware \(identity.firmware)")
        lines.append("  flags       \(token.flags.names.joined(separator: ", "))")
        let limit = identity.sessionLimit == 0 ? "no limit told" : "at most \(identity.sessionLimit)"
        lines.append("  sessions    \(limit)")
        lines.append("  mechanisms  \(mechanismText)")
        if !problem.isEmpty { lines.append("  problem     \(problem)") }
        return lines + keyLines
    }

    private var mechanismText: String {
        guard let hasGCM, let generatesKeys else { return "cannot be listed" }
        return "AES-GCM \(hasGCM ? "yes" : "NO"), AES key generation \(generatesKeys ? "yes" : "no"), "
            + "\(mechanismCount) in all"
    }

    private var keyLines: [String] {
        guard !keys.isEmpty else {
            return [
                "  AES keys    none to be seen" + (isLoggedIn ? "" : " without login (give a PIN to see private ones)")
            ]
        }
        var rows = [["LABEL", "BITS", "CKA_ID", "USAGE"]]
        for key in keys.sorted(by: { ($0.label ?? "") < ($1.label ?? "") }) {
            rows.append([
                key.label.map(\.text) ?? "(unreadable)", key.bits.map(String.init) ?? "?",
                key.id.isEmpty ? "-" : key.id,
                key.problem.isEmpty ? key.usage.words.joined(separator: ",") : "(\(key.problem))",
            ])
        }
        let widths = (0..<3).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return ["  AES keys" + (isLoggedIn ? ":" : " (those that need no login):")]
            + rows.map { row in
                let cells = zip(row, widths).map { cell, width in
                    cell + String(repeating: " ", count: max(width - cell.count, 0))
                }
                return "    " + (cells + [row[3]]).joined(separator: "  ")
            }
    }
}
