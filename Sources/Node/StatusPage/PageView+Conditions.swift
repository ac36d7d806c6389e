// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Conditions
import StatusVocabulary

extension PageView {
    /// A condition, and what the other nodes say of the same thing, where they do.
    struct Shown {
        var condition: Condition
        var elsewhere: String?
    }

    private struct Identity: Hashable {
        var code, node, subject: String

        init(_ condition: Condition) { (code, node, subject) = (condition.code, condition.node, condition.subject) }
    }

    /// What this node knows of itself, in its own words, and what it sees of the others, the gravest first.
    var conditions: [Shown] {
        var own = status.conditions
        var elsewhere: [Identity: String] = [:]
        var others: [Condition] = []
        for condition in cluster.conditions ?? [] {
            guard let index = own.firstIndex(where: { isSame($0, as: condition) }) else {
                others.append(condition)
                continue
            }
            // Where other nodes serve, nothing of this one stops the cluster.
            own[index].severity = condition.severity
            let isOfHSM = condition.known.map(ConditionCode.ofHSMState.contains) == true
            if isOfHSM, !condition.text.hasSuffix(" on \(status.node)") {
                elsewhere[Identity(own[index])] = condition.text
            }
        }
        return (own + others).byGravity.map { Shown(condition: $0, elsewhere: elsewhere[Identity($0)]) }
    }

    /// The cluster's view names an HSM with its serial number, as it may be seen by several nodes.
    private func isSame(_ own: Condition, as seen: Condition) -> Bool {
        guard own.code == seen.code else { return false }
        if own.subject == seen.subject { return own.node == seen.node }
        guard own.known.map(ConditionCode.ofHSMState.contains) == true,
            let hsm = status.hsms.first(where: { "hsm \($0.name)" == own.subject }), let serial = hsm.serial
        else { return false }
        return !serial.isEmpty && seen.subject.hasSuffix("(serial \(serial))")
    }

    var conditionFields: Fields {
        let all = conditions
        let shown = all.prefix(Self.mostConditions).map(condition)
        var fields: Fields = [
            "wrong": all.contains { $0.condition.severity != .note },
            "hasNotes": all.contains { $0.condition.severity == .note },
        ]
        guard !shown.isEmpty else { return fields }
        var list: Fields = ["list": shown]
        if all.count > shown.count {
            list["more"] = "… and \(PageText.grouped(all.count - shown.count)) more: claviger cluster status has all."
        }
        fields["conditions"] = list
        return fields
    }

    private func condition(_ shown: Shown) -> Fields {
        let condition = shown.condition
        let details = [shown.elsewhere].compactMap(\.self) + (snapshot.showsKeys ? condition.details ?? [] : [])
        var fields: Fields = [
            "kind": Mark(condition.severity).rawValue, "severity": Self.word(condition.severity),
            "text": Self.words(condition.text), "details": details,
        ]
        if let since = condition.sinceUnixSeconds {
            fields["since"] =
                [
                    "at": PageText.timestamp(since), "clock": moment(since),
                    "age": PageText.age(since: since, now: now),
                ] as Fields
        }
        if condition.severity != .note, let mend = condition.known?.mend { fields["mend"] = Self.words(mend) }
        return fields
    }

    private static func word(_ severity: Condition.Severity) -> String {
        switch severity {
        case .critical: "Critical"
        case .warning: "Warning"
        case .note: "Note"
        }
    }

    /// A sentence as pieces of plain text and, between back-quotes, what is typed.
    static func words(_ sentence: String) -> [Fields] {
        let pieces = sentence.split(separator: "`", omittingEmptySubsequences: false)
        // A back-quote without a second one is none.
        guard pieces.count % 2 == 1 else { return [["plain": sentence]] }
        return pieces.enumerated().filter { !$0.element.isEmpty }.map { index, piece in
            [index % 2 == 1 ? "code" : "plain": String(piece)]
        }
    }
}
