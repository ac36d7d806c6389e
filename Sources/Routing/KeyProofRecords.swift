// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// The tables of a key proof: one record for each label, in it one slot for each HSM.

/// What a slot is doing.
enum SlotWork: Sendable, Equatable {
    case idle
    /// In its HSM's line, under a stamp; an entry with another stamp is a leftover.
    case queued(stamp: UInt64, isUrgent: Bool)
    case outstanding(ticket: UInt64)
}

/// One key on one HSM.
struct KeySlot: Sendable {
    /// In the catalogue of a worker that lives.
    var isListed = false
    /// In the HSM's last catalogue, even if the worker that sent it has ended.
    var isRemembered = false
    /// The worker said that its number leads nowhere; true until the next catalogue.
    var isGone = false
    var reference: UInt32 = 0
    var usage: KeyUsage = []
    var verdict = KeyVerdict.unproven
    var work = SlotWork.idle
    /// Failed checks in a row.
    var failures = 0
    /// The last catalogue that it was in.
    var round: UInt64 = 0

    var isPresent: Bool { isListed && !isGone }
    var canMake: Bool { isPresent && usage.isSuperset(of: [.encrypt, .decrypt]) }

    var isUnprovable: Bool { if case .unprovable = verdict { true } else { false } }
    var isDifferent: Bool { if case .different = verdict { true } else { false } }

    /// True while an answer is still expected or wanted.
    var isUndecided: Bool { isPresent && verdict == .unproven }

    /// Nothing is known about the key any more.
    mutating func forget() {
        verdict = .unproven
        work = .idle
        failures = 0
        isGone = false
    }
}

/// How far a label has come.
enum KeyStage: Sendable, Equatable {
    /// No HSM lists it, and there is no canary.
    case unseen
    /// It waits for HSMs that have not told their keys. Timer: the end of the wait.
    case firstSight
    /// One HSM makes the first canary, and opens it.
    case making
    /// The others open it; nothing serves yet. Timer: the end of the wait for them.
    case agreeing
    /// It serves; one that disagrees makes a dispute. Timer: the end of that.
    case provisional
    /// The canary decides.
    case decided
    case disputed(String)
}

/// One label.
struct KeyRecord: Sendable {
    var label: KeyLabel
    var stage = KeyStage.unseen
    var canary: Canary?
    /// A canary whose maker has not opened it yet.
    var draft: Canary?
    /// The place of the draft's maker. Its name does not tell: two HSMs bear one while settings change.
    var draftedBy: Int?
    /// The HSM that shall make the canary that decides, by an operator's word.
    var trusting: Int?
    /// A peer's canary that is better than ours, to be tried by an HSM that holds the key.
    var offer: CanaryOffer?
    /// By the peer's name: its canary, which an HSM here does not open.
    var refused: [String: RefusedCanary] = [:]
    /// What peers were last told of it.
    var shared: SealedCanary?
    var slots: [KeySlot]
    /// HSMs that opened the canary.
    var proven = HSMSet()
    /// HSMs that may serve the key. All that a request reads.
    var served = HSMSet()

    init(label: KeyLabel, hsms: Int) {
        self.label = label
        slots = Array(repeating: KeySlot(), count: hsms)
    }

    var isListed: Bool { slots.contains { $0.isListed } }
    var isRemembered: Bool { slots.contains { $0.isRemembered } }

    /// The canary, where it decides and nobody disputes it: what peers may have.
    var shareable: Canary? { stage == .decided && trusting == nil ? canary : nil }

    /// Every HSM that lists it says that it may neither encrypt nor decrypt.
    var isOfNoUse: Bool {
        let listed = slots.filter(\.isPresent)
        return !listed.isEmpty
            && listed.allSatisfy { $0.isUnprovable && $0.usage.isDisjoint(with: [.encrypt, .decrypt]) }
    }

    /// What `served` should be.
    var mayServe: HSMSet {
        guard trusting == nil, stage == .provisional || stage == .decided else { return [] }
        return proven
    }

    /// True when the slot's next check is about a new canary, not about the one that is known.
    func makesCanary(_ hsm: Int) -> Bool { trusting == hsm || (trusting == nil && stage == .making) }
}

/// An entry of an HSM's line.
struct LineEntry: Sendable {
    var record: Int
    var stamp: UInt64
}

/// First in, first out.
struct LineOfChecks: Sendable {
    private var entries: [LineEntry] = []
    private var head = 0

    var count: Int { entries.count - head }

    mutating func append(_ entry: LineEntry) { entries.append(entry) }

    mutating func take() -> LineEntry? {
        guard head < entries.count else { return nil }
        defer {
            head += 1
            if head > 64, head * 2 > entries.count {
                entries.removeFirst(head)
                head = 0
            }
        }
        return entries[head]
    }

    mutating func keep(where isWanted: (LineEntry) -> Bool) {
        entries = entries[head...].filter(isWanted)
        head = 0
    }

    mutating func removeAll() { self = LineOfChecks() }
}

/// A peer's canary that is to be tried.
struct CanaryOffer: Sendable {
    var canary: Canary
    var node: String
    /// Who tries it; `nil` while there is nobody who could.
    var hsm: Int?
}

/// A peer's canary that was tried and not opened.
struct RefusedCanary: Sendable {
    var canary: Canary
    /// Name of the HSM that tried.
    var hsm: String
}

/// One HSM.
struct ProofHSM: Sendable {
    /// No HSM has this place.
    var isVacant = false
    /// Keys that a request waits for.
    var urgent = LineOfChecks()
    var ordinary = LineOfChecks()
    /// Tickets that its worker has not answered.
    var outstanding = 0
    /// Records that its last catalogue named.
    var catalogue: [Int] = []
    var round: UInt64 = 0
}

/// What an answer is for.
struct CheckTicket: Sendable {
    enum Purpose: Sendable {
        /// Make a canary.
        case make
        /// Open the one that it has made itself.
        case confirm
        /// Open the key's canary.
        case open
        /// Open a peer's.
        case trial
    }

    var record: Int
    var hsm: Int
    var purpose: Purpose
}
