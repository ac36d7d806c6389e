// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import StatusVocabulary

// The tables of a key proof: one record for each label, in it one slot for each HSM.

/// How soon a check is made. Those of one kind are made in turn.
enum CheckUrgency: Sendable, Equatable {
    /// Once more, of a key that is proven: within a share of one lane's time.
    case routine
    case ordinary
    /// A request waits for it.
    case urgent
}

/// What a slot is doing.
enum SlotWork: Sendable, Equatable {
    case idle
    /// In its HSM's line, under a stamp; an entry with another stamp is a leftover.
    case queued(stamp: UInt64, CheckUrgency)
    case outstanding(ticket: UInt64)
}

/// One object on a token, as its worker describes it.
struct KeyObject: Sendable, Equatable {
    var reference: UInt32
    var usage: KeyUsage
    var validity: KeyValidity
    var identity: KeyIdentity?

    init(
        reference: UInt32 = 0, usage: KeyUsage = [], validity: KeyValidity = KeyValidity(),
        identity: KeyIdentity? = nil
    ) {
        self.reference = reference
        self.usage = usage
        self.validity = validity
        self.identity = identity
    }

    init(_ entry: CatalogueEntry) {
        self.init(
            reference: entry.reference, usage: entry.usage, validity: entry.validity, identity: entry.identity)
    }

    /// True where nothing speaks against both being the same key with the same usage.
    func isUnchanged(in other: KeyObject) -> Bool {
        reference == other.reference && usage == other.usage && !hasOtherIdentity(than: other)
    }

    /// True where the attributes that distinguish keys can be read, and differ.
    func hasOtherIdentity(than other: KeyObject) -> Bool {
        guard let mine = identity, let others = other.identity else { return false }
        return mine.contradicts(others)
    }
}

/// One key on one HSM.
struct KeySlot: Sendable {
    /// In the catalogue of a worker that lives.
    var isListed = false
    /// In the HSM's last catalogue, even if the worker that sent it has ended.
    var isRemembered = false
    /// The worker said that its number leads nowhere; true until the next catalogue.
    var isGone = false
    /// The object that is taken for the key, until a canary shows that it is not.
    var object = KeyObject()
    /// Further objects of the same label on the same token.
    var others: [KeyObject] = []
    /// Numbers of objects that do not open the canary.
    var refuted: [UInt32] = []
    var verdict = KeyVerdict.unproven
    var work = SlotWork.idle
    /// Failed checks in a row.
    var failures = 0
    /// Of them, those that another key may have caused, and when they began.
    var unclear = 0
    var unclearSince: UInt64 = 0
    /// When it last opened the canary; `nil` where that says nothing about the object of now.
    var lastOpened: UInt64?
    /// The last catalogue that it was in.
    var round: UInt64 = 0

    var isPresent: Bool { isListed && !isGone }
    var isAmbiguous: Bool { isPresent && !others.isEmpty && verdict != .proven }
    var canMake: Bool { isPresent && others.isEmpty && object.usage.isSuperset(of: [.encrypt, .decrypt]) }
    var canOpen: Bool { isPresent && object.usage.contains(.decrypt) }

    var isUnprovable: Bool { if case .unprovable = verdict { true } else { false } }
    var isDifferent: Bool { if case .different = verdict { true } else { false } }

    /// True while an answer is still expected or wanted.
    var isUndecided: Bool { isPresent && verdict == .unproven }

    /// Nothing is known about the key any more.
    mutating func forget() {
        verdict = .unproven
        work = .idle
        failures = 0
        unclear = 0
        isGone = false
        refuted = []
        lastOpened = nil
    }
}

/// How far a label has come.
enum KeyStage: Sendable, Equatable {
    /// No HSM lists it, and there is no canary. To `firstSight`, or to `decided` by a peer's canary.
    case unseen
    /// It waits for HSMs that have not listed their keys. Timer: the end of the wait. To `making`.
    case firstSight
    /// One HSM makes the first canary, and opens it. To `agreeing`.
    case making
    /// The others open it; nothing serves yet. Timer: the end of the wait for them. To `announced`, or `provisional`
    /// where there is no other node; to `disputed`, or back to `making` where a majority may hold another key.
    case agreeing
    /// The HSMs of this node agree, and other nodes are informed; nothing serves yet. Timer: the end of the wait for
    /// them. To `provisional`.
    case announced
    /// It serves. Timer: the end of this. To `decided` or `disputed`.
    case provisional
    /// The canary decides. While it is young, to `disputed`.
    case decided
    /// Refused until an operator's order.
    case disputed(String)
}

/// One label.
struct KeyRecord: Sendable {
    var label: KeyLabel
    var stage = KeyStage.unseen
    var canary: Canary?
    /// Serial numbers of this node's HSMs that have opened the canary, in this life or before.
    var provers: Set<String> = []
    /// A canary whose maker has not opened it yet.
    var draft: Canary?
    /// The position of the draft's maker. Its name does not say: two HSMs bear one while settings change.
    var draftedBy: Int?
    /// HSMs whose canary was thrown away at first sight because they were outnumbered.
    var outvoted = HSMSet()
    /// The HSM that shall make the canary that decides, by an operator's word.
    var trusting: Int?
    /// What peers say, by the node's name.
    var claims: [String: CanaryClaim] = [:]
    /// What this node's HSMs do with canaries of peers that are not ours.
    var trials: [CanaryTrial] = []
    /// The trial that is to be made next, by whom.
    var trying: (canary: Canary, hsm: Int)?
    /// Where nodes hold different keys: who encrypts. Worked out by `weigh`.
    var contest: KeyContest?
    /// What peers were last sent of it.
    var announced: Canary?
    /// `KeyProof.sharedVersion` since which this canary is sent to them.
    var announcedSince: UInt64 = 0
    var slots: [KeySlot]
    /// HSMs that opened the canary.
    var proven = HSMSet()
    /// HSMs that may serve the key: all that most requests read.
    var served = HSMSet()
    /// Those of them that may encrypt with it.
    var encrypting = HSMSet()

    init(label: KeyLabel, hsms: Int) {
        self.label = label
        slots = Array(repeating: KeySlot(), count: hsms)
    }

    var isListed: Bool { slots.contains { $0.isListed } }
    var isRemembered: Bool { slots.contains { $0.isRemembered } }

    /// The canary as peers are sent it; `nil` while HSMs dispute it, or have not agreed on it. An order is sent in
    /// any case: of two that contradict each other all nodes have to know.
    var shareable: Canary? {
        guard trusting == nil, var announced = canary else { return nil }
        switch stage {
        case .announced, .provisional, .decided: break
        case .disputed where announced.isTrusted: announced.dispute = nil
        case .unseen, .firstSight, .making, .agreeing, .disputed: return nil
        }
        announced.history.provers = isLost ? [] : Array(provers.sorted().prefix(CanaryHistory.mostEntries))
        announced.history.isProvisional = stage == .announced || stage == .provisional
        (announced.history.servingSince, announced.history.isUnconfirmed, announced.history.wasContested) = (
            nil, false, false
        )
        announced.history.rivals = []
        announced.history.excludes = slots.contains { $0.isPresent && $0.isDifferent }
        return announced
    }

    /// HSMs list the label, and every one of them holds another key than the canary's: this node proves nothing by it
    /// any more, whatever its HSMs have opened before.
    var isLost: Bool {
        proven.isEmpty && slots.contains { $0.isPresent && $0.isDifferent }
            && slots.allSatisfy { !$0.isRemembered || $0.isDifferent || $0.isUnprovable }
    }

    /// The canary as it is stored.
    var storable: Canary? {
        guard var stored = canary else { return nil }
        stored.history.provers = Array(provers.sorted().prefix(CanaryHistory.mostEntries))
        return stored
    }

    /// Every HSM that lists it says that it may neither encrypt nor decrypt.
    var isOfNoUse: Bool {
        let listed = slots.filter(\.isPresent)
        return !listed.isEmpty
            && listed.allSatisfy { $0.isUnprovable && $0.object.usage.isDisjoint(with: [.encrypt, .decrypt]) }
    }

    /// What `served` should be.
    var mayServe: HSMSet {
        guard trusting == nil, stage == .provisional || stage == .decided else { return [] }
        return proven
    }

    /// What `encrypting` should be.
    var mayEncrypt: HSMSet {
        guard contest?.isOurs ?? true else { return [] }
        var result = HSMSet()
        mayServe.forEach { if slots[$0].object.usage.contains(.encrypt) { result.insert($0) } }
        return result
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
    var isEmpty: Bool { head >= entries.count }

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

/// What a peer proves a key by.
struct CanaryClaim: Sendable {
    var canary: Canary
    /// The exchange with the peer in which it was last said.
    var round: UInt64
    /// People have been informed that it is another key than ours.
    var isAlarmed = false

    /// An HSM of the peer has opened it.
    var isProven: Bool { !canary.history.provers.isEmpty }

    /// True where nothing that counts between nodes differs.
    func weighs(asMuchAs other: CanaryClaim) -> Bool {
        canary.isSame(as: other.canary) && isProven == other.isProven
            && canary.history.isProvisional == other.canary.history.isProvisional
            && canary.isTrusted == other.canary.isTrusted
            && canary.history.excludes == other.canary.history.excludes
    }
}

/// Nodes hold different keys under one label.
struct KeyContest: Sendable, Equatable {
    /// This node's side encrypts.
    var isOurs: Bool
    /// Names of the nodes that prove the key by another canary, sorted.
    var nodes: [String]
}

/// What HSMs here do with a canary that is not ours.
struct CanaryTrial: Sendable {
    var canary: Canary
    var opened = HSMSet()
    var refuted = HSMSet()
}

/// One HSM.
struct ProofHSM: Sendable {
    /// No HSM has this position.
    var isVacant = false
    /// Its token's serial number; its name until that is known.
    var serial = ""
    /// Keys that a request waits for.
    var urgent = LineOfChecks()
    var ordinary = LineOfChecks()
    /// Keys that are proven already.
    var routine = LineOfChecks()
    /// Tickets that its worker has not answered.
    var outstanding = 0
    /// Of them, routine ones: one at a time.
    var outstandingRoutine = 0
    /// When it last opened a canary, of whatever key.
    var lastOpened: UInt64?
    /// When the next routine check may begin.
    var routineFrom: UInt64 = 0
    /// Records that its last catalogue named.
    var catalogue: [Int] = []
    /// Catalogues that it has sent.
    var round: UInt64 = 0
    /// It has listed its keys since it came to its position.
    var hasListed = false
}

/// What an answer is for.
struct CheckTicket: Sendable {
    enum Purpose: Sendable, Equatable {
        /// Make a canary.
        case make
        /// Open the one that it has made itself.
        case confirm
        /// Open the key's canary.
        case open
        /// Open a peer's.
        case trial(Canary)
    }

    var record: Int
    var hsm: Int
    var purpose: Purpose
    var issuedAt: UInt64
    var isRoutine: Bool
}
