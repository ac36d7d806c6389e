// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Conditions
import StatusVocabulary

/// Values for the template, by name. A section of the template finds a name that it lacks in what is around it, so that
/// each name is given or belongs to one section only.
typealias Fields = [String: Any]

/// The status in the words and numbers of the page. Everything that may be long is cut off here: the worst comes first.
struct PageView {
    static let mostConditions = 40
    static let mostNodes = 60
    static let mostHSMsOfNode = 16
    static let mostHSMs = 64
    static let mostChanges = 20
    static let mostBlocks = 20
    static let mostCertificates = 40

    let snapshot: StatusSnapshot
    var status: NodeStatus { snapshot.status }
    var cluster: ClusterHealth { snapshot.cluster }
    var now: Int64 { snapshot.nowUnixSeconds }

    var fields: Fields {
        var fields: Fields = [
            "title": "\(verdict.word) · \(status.node) · Claviger", "node": status.node, "version": status.version,
            "now": PageText.timestamp(now), "clock": PageText.clock(now),
            "verdict": [
                "kind": verdict.mark.rawValue, "word": verdict.word, "sentence": sentence,
            ] as Fields,
            "figures": figures, "charts": TrafficView(history: snapshot.traffic).charts, "sites": sites,
            "hsms": status.hsms.prefix(Self.mostHSMs).map(hsm),
        ]
        fields.merge(conditionFields) { $1 }
        fields.merge(rest) { $1 }
        if let keys = KeyView(status: status, showsKeys: snapshot.showsKeys).fields { fields["keys"] = keys }
        return fields
    }

    // MARK: The whole

    private var verdict: (mark: Mark, word: String) {
        switch cluster.verdict {
        case .active: (.good, "Active")
        case .degraded: (.warn, "Degraded")
        case .unavailable: (.bad, "Unavailable")
        }
    }

    private var sentence: String {
        let scope = cluster.isClustered ? "cluster" : "node"
        let wrong = conditions.count { $0.condition.severity != .note }
        let things = wrong == 1 ? "One thing needs" : "\(PageText.grouped(wrong)) things need"
        let ending = status.draining ? " This node ends: it takes no new requests." : ""
        let text =
            switch cluster.verdict {
            case .active: "The \(scope) serves, and nothing is wrong."
            case .degraded: "The \(scope) serves. \(things) attention."
            case .unavailable: "The \(scope) does not serve: requests fail. \(things) attention."
            }
        return text + ending
    }

    private var figures: [Fields] {
        let live = cluster.nodes.filter(\.isLive)
        let members = cluster.nodes.filter { $0.liveness != .left }
        let hsms = live.flatMap(\.hsms)
        let usable = hsms.count(where: \.canServe)
        let serving = live.count { $0.hasUsableHSM && !$0.draining }
        let spares = status.keys.map(status.spareHSMs(of:))
        let step = snapshot.traffic.current
        var figures = [
            share("Nodes serving", serving, members.count), share("HSMs serving", usable, hsms.count),
            share("Keys served here", spares.count { $0 >= 0 }, spares.count),
        ]
        if cluster.isClustered {
            figures.append(spare("Nodes to spare", cluster.spareNodes, none: "serves all keys"))
        } else if let least = spares.min() {
            figures.append(spare("HSMs to spare", least, none: "for some key"))
        }
        figures.append(["kind": "", "name": "Requests here", "value": PageText.rate(step?.rate ?? 0), "of": "a second"])
        figures.append(figure("Slowest 1 %", step?.p99))
        return figures
    }

    private func share(_ name: String, _ count: Int, _ all: Int) -> Fields {
        let kind = count == all ? "" : count == 0 ? Mark.bad.rawValue : Mark.warn.rawValue
        return [
            "kind": kind, "name": name, "value": PageText.grouped(count), "of": "of \(PageText.grouped(all))",
        ]
    }

    private func spare(_ name: String, _ count: Int, none: String) -> Fields {
        [
            "kind": count < 0 ? Mark.bad.rawValue : "", "name": name,
            "value": count < 0 ? "none" : PageText.grouped(count), "of": count < 0 ? none : "may be lost",
        ]
    }

    private func figure(_ name: String, _ milliseconds: Double?) -> Fields {
        var figure: Fields = ["kind": "", "name": name, "value": milliseconds.map(PageText.milliseconds) ?? "–"]
        if milliseconds != nil { figure["of"] = "ms" }
        return figure
    }

    // MARK: HSMs of this node

    private func hsm(_ hsm: HSMStatus) -> Fields {
        let (mark, word) = Mark.of(hsm.state, isDrained: hsm.drained)
        var fields: Fields = [
            "name": hsm.name, "kind": mark.rawValue, "state": word,
            "age": PageText.age(since: hsm.drainedSinceUnixSeconds ?? hsm.sinceUnixSeconds, now: now),
            "p50": hsm.latencyMicroseconds.map { PageText.milliseconds(Double($0.p50) / 1_000) } ?? "",
            "p99": hsm.latencyMicroseconds.map { PageText.milliseconds(Double($0.p99) / 1_000) } ?? "",
            "rate": hsm.work.map { PageText.grouped($0.callsPerSecond) } ?? "",
            "capacity": hsm.learned?.callsPerSecond.map { PageText.grouped($0) } ?? "",
            "lanes": "\(hsm.lanes.inUse) of \(hsm.lanes.open)"
                + (hsm.lanes.overdue > 0 ? ", \(hsm.lanes.overdue) overdue" : ""),
            "keys": PageText.grouped(hsm.keys),
            "token": [hsm.model, hsm.serial, hsm.firmware.map { "firmware \($0)" }].compactMap(\.self)
                .filter { !$0.isEmpty }.joined(separator: ", "),
        ]
        let reasons = [hsm.reason, hsm.settingsRefused.map { "goes on by its former settings: \($0)" }]
            .compactMap(\.self).filter { !$0.isEmpty }
        if !reasons.isEmpty { fields["reason"] = reasons.joined(separator: "; ") }
        return fields
    }

    // MARK: Blocks, certificates, changes

    private var rest: Fields {
        var fields: Fields = [
            "noBlocks": cluster.blocks.unknown == nil ? "None is in force." : "",
            "blocksUnknown": cluster.blocks.unknown != nil,
        ]
        let blocks = cluster.withoutNames.blocks.blocks
        if !blocks.isEmpty {
            var list: Fields = ["list": blocks.prefix(Self.mostBlocks).map(block)]
            if blocks.count > Self.mostBlocks {
                list["moreBlocks"] = "… and \(PageText.grouped(blocks.count - Self.mostBlocks)) more."
            }
            fields["blocks"] = list
        }
        let certificates = certificates
        if !certificates.isEmpty { fields["certificates"] = ["list": certificates] as Fields }
        let changes = snapshot.transitions.prefix(Self.mostChanges).map(change)
        if !changes.isEmpty { fields["changes"] = ["list": changes] as Fields }
        return fields
    }

    private func block(_ block: BlockView) -> Fields {
        let targets = [
            "--all": "everything", "--keystore": "a key store", "--key": "a key", "--principal": "a principal",
        ]
        return [
            "target": targets[block.target] ?? block.target, "at": PageText.timestamp(block.madeAtUnixSeconds),
            "age": PageText.age(since: block.madeAtUnixSeconds, now: now),
            "left": block.expiresAtUnixSeconds.map { PageText.left(until: $0, now: now).text } ?? "no end",
        ]
    }

    private var certificates: [Fields] {
        let own = snapshot.certificateEnds.map { (name: "\($0.key) of this node", end: $0.value) }
        let others = cluster.nodes.filter { $0.isLive && $0.name != status.node }.compactMap { node in
            node.certificateEnd.map { (name: "the first to end of \(node.name)", end: $0) }
        }
        let flawed = Set(
            status.conditions.filter { [.certificateInvalid, .certificateEnding].contains($0.known) }.map(\.subject))
        return (own + others).sorted { ($0.end, $0.name) < ($1.end, $1.name) }.prefix(Self.mostCertificates).map {
            let left = PageText.left(until: $0.end, now: now)
            let setting = String($0.name.prefix { $0 != " " })
            return [
                "name": $0.name, "at": PageText.timestamp($0.end), "date": PageText.date($0.end), "left": left.text,
                "kind": left.isPast ? Mark.bad.rawValue : flawed.contains(setting) ? Mark.warn.rawValue : "",
            ]
        }
    }

    private func change(_ change: HSMTransition) -> Fields {
        let (mark, word) = Mark.of(change.to, isDrained: false)
        return [
            "at": PageText.timestamp(change.atUnixSeconds), "clock": moment(change.atUnixSeconds), "hsm": change.hsm,
            "from": change.from.rawValue,
            "kind": mark.rawValue, "to": word, "reason": change.reason ?? "",
        ]
    }

    /// Of today the time alone.
    func moment(_ unixSeconds: Int64) -> String {
        let date = PageText.date(unixSeconds)
        return (date == PageText.date(now) ? "" : date + " ") + PageText.clock(unixSeconds)
    }
}
