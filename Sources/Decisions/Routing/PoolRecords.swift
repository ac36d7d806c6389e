// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// An operation that is not finished.
struct OperationRecord: Sendable {
    let kind: LaneOperation
    /// The HSMs that hold the key.
    var holders: HSMSet
    /// Those that may turn out to hold it in a moment.
    var hopeful: HSMSet
    let deadline: UInt64
    let terms: OperationTerms
    /// The group whose lanes are preferred.
    let group: Int
    /// Asked already: asked again only when no other is left.
    var asked: HSMSet = []
    /// Said that they no longer have the key: not asked again.
    var missing: HSMSet = []
    var attempts = 0
    /// The lanes that are at it: none, one, or a few at once.
    var flights = Flights()
    /// Stands in the line.
    var isWaiting = false
    /// A second call has been made for it because the first was slower than usual.
    var isHedged = false
    /// How long it has stood in the line, all in all, nanoseconds.
    var waited: UInt64 = 0
    /// Most operations have none. Behind a pointer, because a record is copied several times on the way of each request.
    private var boxed: BoxedSetbacks?

    var setbacks: Setbacks {
        get {
            guard case .some(.setbacks(let setbacks)) = boxed else { return Setbacks() }
            return setbacks
        }
        set { boxed = .setbacks(newValue) }
    }

    var hasSetbacks: Bool { boxed != nil }

    init(
        kind: LaneOperation, holders: HSMSet, hopeful: HSMSet, deadline: UInt64, terms: OperationTerms, group: Int
    ) {
        self.terms = terms
        self.kind = kind
        self.holders = holders
        self.hopeful = hopeful
        self.deadline = deadline
        self.group = group
    }

    /// How often what was lost with its lane, or in a check that the HSM failed, counts as no attempt.
    static let freeLosses = 8

    /// Attempts that count. With all workers killed in one moment an operation is given to one dead worker after
    /// another, and none of them had a part in it; and an HSM that does not open its own canary has said nothing of the
    /// operation.
    var spentAttempts: Int {
        hasSetbacks ? attempts - min(setbacks.lost.count + setbacks.refusedCanaries, Self.freeLosses) : attempts
    }

    /// What the HSM said that failed last.
    var lastFailure: (hsm: Int, text: String)? {
        get { hasSetbacks ? setbacks.lastFailure : nil }
        set { setbacks.lastFailure = newValue }
    }
    var lost: [LostCall] {
        get { hasSetbacks ? setbacks.lost : [] }
        set { setbacks.lost = newValue }
    }
    var check: CiphertextCheck? {
        get { hasSetbacks ? setbacks.check : nil }
        set { if hasSetbacks || newValue != nil { setbacks.check = newValue } }
    }

    /// The HSMs that may still be asked.
    var willing: HSMSet { holders.subtracting(missing) }

    /// What it lacks when its time is over.
    var shortage: Shortage {
        if attempts == 0 || isWaiting && flights.isEmpty { return .lane }
        return hasSetbacks && setbacks.lacksBudget ? .budget : .answer
    }
}

/// What has gone wrong with an operation, and what is done about it.
struct Setbacks: Sendable {
    var lastFailure: (hsm: Int, text: String)?
    /// It was to be tried once more, and the budget did not allow it.
    var lacksBudget = false
    /// What it had on lanes that were lost.
    var lost: [LostCall] = []
    /// How many checks of its ciphertext have ended because an HSM did not open the key's canary.
    var refusedCanaries = 0
    /// A worker ended while it was at it: what was sent after this generation was sent after that.
    var suspectSince: UInt64?
    /// Its ciphertext has been refused, and that is being looked into.
    var check: CiphertextCheck?
    /// Where else than on the lane that refused first the check may ask.
    var checkedOn: HSMSet = []
}

private indirect enum BoxedSetbacks: Sendable {
    case setbacks(Setbacks)
}

/// Work that was lost with its lane.
struct LostCall: Sendable {
    let generation: UInt64
    let hsm: Int
    /// The last generation that had been given when it was lost.
    let last: UInt64
}

/// The lanes that an operation is on. Nearly always one: so that one costs no allocation.
struct Flights: Sendable {
    private var first: LaneID?
    private var others: [LaneID]?

    var isEmpty: Bool { first == nil && others?.isEmpty ?? true }
    var count: Int { (first == nil ? 0 : 1) + (others?.count ?? 0) }

    mutating func add(_ lane: LaneID) {
        if first == nil { first = lane } else { others = (others ?? []) + [lane] }
    }

    mutating func remove(_ lane: LaneID) {
        if first == lane { first = nil } else { others?.removeAll { $0 == lane } }
    }

    func forEach(_ body: (LaneID) -> Void) {
        if let first { body(first) }
        if let others { others.forEach(body) }
    }

    /// The HSMs that these lanes belong to.
    var hsms: HSMSet {
        var result: HSMSet = []
        forEach { result.insert($0.hsm) }
        return result
    }
}
