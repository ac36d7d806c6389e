// SPDX-License-Identifier: Apache-2.0
import AccessControl
import AdminClient
import Foundation
import Glibc
import HSMPool
import LaneProtocol
import Logging
import NIOPosix
import NodeConfig
import Routing

/// Starts a worker with one session for each HSM, logs in once, and judges what is found: whether a node could serve each
/// key store, and each key that one names.
struct HSMCheck {
    let plan: NodePlan
    let refused: RefusedPINs
    /// Names of HSMs that an operator has taken out of use.
    let drained: Set<String>
    /// Whether to log in with PINs that were refused before, too.
    let triesRefusedPINs: Bool

    /// - Returns: names of the HSMs that can serve.
    func run(_ diagnostics: inout Diagnostics) async -> Set<String> {
        var settings = plan.pool
        for index in settings.members.indices {
            settings.members[index].worker.lanes = 1
            // All keys are shown; those that are named are found however many there are.
            settings.members[index].offered = settings.members[index].offered.union(.all)
        }
        var refusals: [String: (unixSeconds: Int64, showsChanges: Bool)] = [:]
        if !triesRefusedPINs {
            for member in settings.members { refusals[member.name] = refused.refused(member.name) }
            settings.members.removeAll { refusals[$0.name] != nil }
        }
        let inventory = settings.members.isEmpty ? [] : await look(settings)
        if let trouble = refused.flush() {
            diagnostics.warn(
                "node.state_dir",
                "that a PIN was refused could not be kept (\(trouble)): the next check tries it again, and a "
                    + "few more tries would lock the token", isFatal: false, fix: "mend the state directory first")
        }
        let names = plan.settings.hsms.map(\.name)
        var troubles: [String: Trouble] = refusals.mapValues(Self.trouble)
        for hsm in inventory {
            guard let position = names.firstIndex(of: hsm.name) else { continue }
            report(hsm, path: "hsm[\(position)]", &diagnostics)
            if !hsm.state.canServe { troubles[hsm.name] = Self.trouble(hsm) }
        }
        reportTwins(inventory, names, &diagnostics)
        for name in names where drained.contains(name) && troubles[name] == nil { troubles[name] = Self.drained(name) }
        judge(inventory.filter { $0.state.canServe && !drained.contains($0.name) }, troubles, &diagnostics)
        return Set(inventory.filter(\.state.canServe).map(\.name))
    }

    private func look(_ settings: PoolSettings) async -> [HSMInventory] {
        let refused = refused
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let pool = HSMPool(
            settings: settings, journal: NoJournal { refused.note($0, isRefused: $1) }, group: group,
            logger: Logger(label: "check") { _ in LibraryOutputHandler() })
        pool.start()
        await pool.settled()
        let inventory = pool.inventory()
        await pool.stop()
        try? await group.shutdownGracefully()
        return inventory
    }

    // MARK: One HSM

    private struct Trouble {
        var message: String
        var fix: String
    }

    private static func trouble(_ hsm: HSMInventory) -> Trouble {
        let fix =
            switch hsm.failure {
            case .pinRefused, .pinUnusable: "correct the PIN, or have it reset, before anything logs in again"
            case .module: "install the library, or correct the path"
            case .token, .mechanism: "claviger hsm list \(hsm.module) shows what the library offers"
            case .profile: "leave `profile` out: the node finds out how the token is to be called"
            case .call, nil: "try the vendor's own tools on the same token, with the same environment"
            }
        return Trouble(message: sentence(hsm.reason), fix: fix)
    }

    private static func drained(_ name: String) -> Trouble {
        Trouble(
            message: "it was taken out of use by `claviger hsm drain`",
            fix: "claviger hsm undrain \(name) when the maintenance is over")
    }

    private static func trouble(_ refusal: (unixSeconds: Int64, showsChanges: Bool)) -> Trouble {
        let date = Date(timeIntervalSince1970: TimeInterval(refusal.unixSeconds)).formatted(.iso8601)
        let change =
            refusal.showsChanges
            ? "its file has not changed since" : "whether what its source gives has changed since cannot be seen"
        return Trouble(
            message:
                "its token refused this PIN on \(date), and \(change): no login was tried, as a few more would lock the "
                + "token",
            fix: refusal.showsChanges
                ? "correct the PIN; if it was changed on the token instead, claviger check --retry-refused-pins"
                : "when it is corrected, claviger check --retry-refused-pins")
    }

    /// Most labels that are shown of each HSM: `claviger hsm list` shows all.
    private static let mostLabels = 20

    private static func list(_ labels: [String]) -> String {
        let shown = labels.prefix(mostLabels).joined(separator: ", ")
        return labels.count > mostLabels ? "\(shown) and \(labels.count - mostLabels) more" : shown
    }

    private func report(_ hsm: HSMInventory, path: String, _ diagnostics: inout Diagnostics) {
        guard hsm.state.canServe else { return }
        if let complaint = hsm.compartment?.complaint {
            diagnostics.warn(
                "\(path).sandbox", "\(hsm.name): \(complaint)", isFatal: false,
                fix: "docs/guides/hsms.md says what is missing")
        }
        let identity = hsm.identity.map { "\($0.manufacturer) \($0.model), serial \($0.serial)" } ?? ""
        let keys = hsm.labels.count == 1 ? "1 key" : "\(hsm.labels.count) keys"
        diagnostics.found.append("hsm \(hsm.name): \(identity), \(keys): \(Self.list(hsm.labels.map(hsm.shown)))")
        let offered = plan.keyStores.offered(by: hsm.name)
        // That a key which is named one by one is none is reported with that name.
        let judged = offered.labels.subtracting(hsm.labels)
        for complaint in hsm.complaints where !judged.contains(complaint.label) {
            let message = sentence(complaint.reason)
            // What no key store offers is another application's.
            if complaint.label.isEmpty || offered.contains(complaint.label) {
                diagnostics.warn(path, "\(hsm.name): \(message)", isFatal: false, fix: "rename or remove it")
            } else {
                diagnostics.notes.append("\(path): \(hsm.name): \(message)")
            }
        }
    }

    /// That the file names a token twice shows only when it is reached, as by its label and by its serial number.
    private func reportTwins(_ hsms: [HSMInventory], _ names: [String], _ diagnostics: inout Diagnostics) {
        var first: [String: String] = [:]
        for hsm in hsms {
            guard let identity = hsm.identity, !identity.serial.isEmpty, let position = names.firstIndex(of: hsm.name)
            else { continue }
            let token = "\(identity.serial) \(identity.label) \(identity.model)"
            if let other = first[token] {
                diagnostics.warn(
                    "hsm[\(position)].token",
                    "\(hsm.name) is the token of hsm \"\(other)\": a token counted twice makes no second HSM",
                    isFatal: false, fix: "remove one, and raise sessions of the other")
            } else {
                first[token] = hsm.name
            }
        }
    }

    // MARK: What can be served

    /// An HSM that cannot serve is an error where a key store has no other, and a warning elsewhere.
    private func judge(_ serving: [HSMInventory], _ troubles: [String: Trouble], _ diagnostics: inout Diagnostics) {
        let names = Set(serving.map(\.name))
        let lost = plan.keyStores.filter { store in names.isDisjoint(with: store.hsms ?? plan.hsmNames) }
        for (index, name) in plan.hsmNames.enumerated() {
            guard let trouble = troubles[name] else { continue }
            if lost.contains(where: { $0.hsms?.contains(name) ?? true }) {
                diagnostics.report("hsm[\(index)]", "\(name): \(trouble.message)", fix: trouble.fix)
            } else {
                diagnostics.warn(
                    "hsm[\(index)]", "\(name): \(trouble.message)", isFatal: false, fix: trouble.fix)
            }
        }
        for (index, store) in plan.keyStores.enumerated() {
            let able = serving.filter { store.hsms?.contains($0.name) ?? true }
            guard !able.isEmpty else { continue }
            judgeKeys(of: store, "keystore[\(index)]", able, &diagnostics)
            judgeCopies(of: store, able, &diagnostics)
        }
    }

    /// Keys that patterns offer, and that only some of the HSMs hold.
    private func judgeCopies(of store: PlannedKeyStore, _ hsms: [HSMInventory], _ diagnostics: inout Diagnostics) {
        let patterns = store.keyStore.keys.compactMap { key -> Glob? in
            if case .glob(let glob) = key { glob } else { nil }
        }
        let offered = Set(hsms.flatMap(\.labels)).filter { label in patterns.contains { $0.matches(label.text) } }
        for hsm in hsms {
            let lacking = offered.subtracting(hsm.labels).sorted().map(\.text)
            guard !lacking.isEmpty, let position = plan.hsmNames.firstIndex(of: hsm.name) else { continue }
            diagnostics.warn(
                "hsm[\(position)]",
                "\(hsm.name) lacks \(lacking.count == 1 ? "a key" : "\(lacking.count) keys") that key store "
                    + "\(store.keyStore.pathPrefix) offers and others hold: \(Self.list(lacking))",
                isFatal: false, fix: "replicate the same keys to it")
        }
    }

    private func judgeKeys(
        of store: PlannedKeyStore, _ path: String, _ hsms: [HSMInventory], _ diagnostics: inout Diagnostics
    ) {
        for (position, key) in store.keyStore.keys.enumerated() {
            let location = "\(path).keys[\(position)]"
            guard let label = key.singleLabel else {
                judge(key, location, hsms, &diagnostics)
                continue
            }
            let lacking = hsms.filter { !$0.labels.contains(KeyLabel(label)) }
            guard !lacking.isEmpty else { continue }
            // What it is instead.
            let reasons = lacking.compactMap { hsm in
                hsm.complaints.first { $0.label == KeyLabel(label) }.map { "\(hsm.name): \($0.reason)" }
            }
            let names = lacking.map(\.name).joined(separator: " and ")
            let message = (["there is no AES-256 key of label \"\(label)\" on \(names)"] + reasons)
                .joined(separator: "; ")
            let fix = "put the same key on it, or name the HSMs that hold it in the key store's hsms"
            if lacking.count == hsms.count {
                diagnostics.report(location, message, fix: fix)
            } else {
                diagnostics.warn(location, message, isFatal: false, fix: fix)
            }
        }
    }

    /// Keys may be made later.
    private func judge(
        _ pattern: KeyPattern, _ location: String, _ hsms: [HSMInventory], _ diagnostics: inout Diagnostics
    ) {
        guard case .glob(let glob) = pattern, !hsms.contains(where: { $0.labels.contains { glob.matches($0.text) } })
        else { return }
        diagnostics.warn(
            location, "no AES-256 key on \(hsms.map(\.name).joined(separator: " and ")) fits \"\(glob.pattern)\" yet",
            isFatal: false, fix: "make one, or correct the pattern")
    }
}

extension HSMInventory {
    /// A key's label, with what the key may not do: its owner may mean it so.
    fileprivate func shown(_ label: KeyLabel) -> String {
        let usage = usages[label] ?? []
        return switch (usage.contains(.encrypt), usage.contains(.decrypt)) {
        case (true, true): label.text
        case (true, false): "\(label.text) (may not decrypt)"
        case (false, true): "\(label.text) (may not encrypt)"
        case (false, false): "\(label.text) (may neither encrypt nor decrypt)"
        }
    }
}

extension NodePlan {
    fileprivate var hsmNames: [String] { settings.hsms.map(\.name) }
}
