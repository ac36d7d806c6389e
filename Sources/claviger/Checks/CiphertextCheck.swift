// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Crypto
import HSMPool
import LaneProtocol
import Logging
import NIOPosix
import NodeConfig
import QuotedText
import Routing
import SecureMemory
import XKSProtocol
import XKSService

/// Has each HSM open each ciphertext of a file, every HSM for itself: one that holds another key under a label is known by
/// name. What is opened is shown to nobody, and overwritten.
struct CiphertextCheck {
    /// How long an HSM may take until it serves a key, from the start of its worker, nanoseconds.
    private static let patience: UInt64 = 30_000_000_000
    /// Most lines that are named for each HSM.
    private static let mostShown = 20

    let plan: NodePlan
    /// Names of the HSMs that can serve: no other is logged in to.
    let serving: Set<String>
    let file: CiphertextFile

    /// An entry with what the configuration makes of it.
    private struct Trial {
        var line: Int
        var ciphertext: OldCiphertext
        var store: PlannedKeyStore
        var position: Int
        var label: KeyLabel
    }

    /// What there is to say.
    struct Report {
        /// How many each HSM opens.
        fileprivate(set) var counts: [String] = []
        /// What does not open, and why.
        fileprivate(set) var faults: [String] = []
    }

    func run() async -> Report {
        var report = Report()
        let (trials, unresolved) = resolve()
        add(unresolved, of: nil, to: &report)
        for member in plan.pool.members {
            let own = trials.filter { $0.store.hsms?.contains(member.name) ?? true }
            guard !own.isEmpty else { continue }
            guard serving.contains(member.name) else {
                report.faults.append("\(member.name) cannot be asked: it does not serve, as a warning above says")
                continue
            }
            let faults = await ask(member, own)
            report.counts.append("\(member.name) opens \(own.count - faults.count) of \(own.count)")
            add(faults, of: member.name, to: &report)
        }
        return report
    }

    private typealias Fault = (line: Int, reason: String)

    private func add(_ faults: [Fault], of hsm: String?, to report: inout Report) {
        for fault in faults.prefix(Self.mostShown) {
            report.faults.append("line \(fault.line): \(hsm.map { "\($0): " } ?? "")\(fault.reason)")
        }
        if faults.count > Self.mostShown {
            report.faults.append("and \(faults.count - Self.mostShown) more\(hsm.map { " at \($0)" } ?? "")")
        }
    }

    // MARK: What the configuration says

    private func resolve() -> (trials: [Trial], unresolved: [Fault]) {
        var (trials, unresolved) = ([Trial](), [Fault]())
        for entry in file.entries {
            switch trial(entry) {
            case .success(let trial): trials.append(trial)
            case .failure(let flaw): unresolved.append((entry.line, flaw.reason))
            }
        }
        return (trials, unresolved)
    }

    private struct Flaw: Error { var reason: String }

    private func trial(_ entry: CiphertextFile.Entry) -> Result<Trial, Flaw> {
        let stores = plan.keyStores
        let position: Int
        if let prefix = entry.ciphertext.keyStore {
            guard let found = stores.firstIndex(where: { $0.keyStore.pathPrefix == prefix }) else {
                return .failure(Flaw(reason: "there is no key store of path_prefix \(prefix.quoted)"))
            }
            position = found
        } else {
            guard stores.count == 1 else {
                return .failure(
                    Flaw(reason: "keyStore is missing, and the configuration has \(stores.count): name one"))
            }
            position = 0
        }
        let id = entry.ciphertext.externalKeyID
        let store = stores[position]
        guard let label = store.keyStore.resolve(externalKeyID: id) else {
            return .failure(
                Flaw(reason: "keystore[\(position)].keys has no key for the external key id \(id.quoted): add it"))
        }
        return .success(
            Trial(
                line: entry.line, ciphertext: entry.ciphertext, store: store, position: position,
                label: KeyLabel(label)))
    }

    // MARK: One HSM

    private func ask(_ member: PoolMember, _ trials: [Trial]) async -> [Fault] {
        var settings = plan.pool
        settings.members = [member]
        settings.members[0].worker.lanes = 1
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let pool = HSMPool(
            settings: settings, group: group, logger: Logger(label: "check") { _ in LibraryOutputHandler() })
        let end = claviger_monotonic_nanoseconds() &+ Self.patience
        pool.start()
        await pool.settled()
        var faults: [Fault] = []
        for trial in trials {
            if let reason = await fault(of: trial, in: pool, until: end) { faults.append((trial.line, reason)) }
        }
        await pool.stop()
        try? await group.shutdownGracefully()
        return faults
    }

    /// Why the HSM does not open it; `nil` where it does.
    private func fault(of trial: Trial, in pool: HSMPool, until end: UInt64) async -> String? {
        guard pool.inventory().first?.labels.contains(trial.label) == true else {
            return "it has no AES-256 key of label \(trial.label.text.quoted): replicate it"
        }
        let forms = trial.ciphertext.forms(foreign: trial.store.foreignForm)
        guard let configured = forms.first else {
            return "ciphertextMetadata names a format of a later version of Claviger: open it with that"
        }
        for form in forms {
            switch await open(trial, as: form, in: pool, until: end) {
            case .opened where form == configured: return nil
            case .opened:
                return "it opens with aad = \"\(form.rawValue)\" only: set that in keystore[\(trial.position)]"
            case .refused: continue
            case .failed(let reason): return reason
            }
        }
        return "key \(trial.label.text.quoted) does not open it: the HSM holds another key under that label, or the "
            + "entry's ciphertext, tag, vector, metadata or AAD is not what was made"
    }

    private enum Opening {
        case opened
        /// Not by this key, in this form.
        case refused
        case failed(String)
    }

    private func open(_ trial: Trial, as form: AADForm, in pool: HSMPool, until end: UInt64) async -> Opening {
        let old = trial.ciphertext
        let additionalData: SecretBytes
        do throws(XKSError) {
            additionalData = try HSMAdditionalData.make(
                form, aad: old.additionalAuthenticatedData, metadata: old.ciphertextMetadata,
                sha256: { SHA256.hash(data: $0) })
        } catch {
            return .failed(error.message)
        }
        let operation = KeyOperation(
            kind: .decrypt, label: trial.label, additionalData: additionalData,
            initializationVector: SecretBytes(old.initializationVector),
            data: ciphertextAndTag(old.ciphertext, old.authenticationTag))
        while true {
            let now = claviger_monotonic_nanoseconds()
            let outcome = await withCheckedContinuation { continuation in
                pool.submit(
                    operation, on: pool.hsmSet(nil), deadline: max(end, now &+ 5_000_000_000), terms: OperationTerms()
                ) { continuation.resume(returning: $0.outcome) }
            }
            switch outcome {
            case .done: return .opened
            case .callersFault(.ciphertextIsInvalid): return .refused
            case .callersFault(.usageNotPermitted): return .failed("the key may not decrypt (CKA_DECRYPT)")
            case .callersFault(.keyIsGone): return .failed("the key is gone")
            case .unavailable(let reason):
                // Before it serves a key, it proves it to itself.
                guard now < end else { return .failed("it did not answer: \(reason)") }
                try? await Task.sleep(for: .milliseconds(50))
            case .timedOut, .overloaded, .crowded, .abandoned:
                guard now < end else { return .failed("it did not answer in time") }
            }
        }
    }
}
