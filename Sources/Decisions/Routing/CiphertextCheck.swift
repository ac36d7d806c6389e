// SPDX-License-Identifier: Apache-2.0
import Chance
import LaneProtocol

/// What a lane is asked for an operation.
package enum LaneQuestion: Sendable, Equatable {
    /// What the caller wants.
    case request
    /// To open the canary of the operation's key (a known answer of the token, where the key has none): a witness must
    /// show that it can open what it ought to.
    case canary
    /// What the caller wants, of an HSM that holds another key under the label. Under GCM a wrong key yields nothing, so
    /// what it opens is right.
    case excluded
}

/// What must be found out about a refused ciphertext before it is called invalid, which KMS takes as final: two lanes, of
/// two HSMs where there are two, each refuse it twice in direct succession on one session and open the key's canary, in
/// an order drawn at random. An HSM that is alone with one lane does the same with one canary more.
///
/// An HSM that is busy or sick refuses good ciphertext with the very codes that others have for a wrong tag. One that
/// fails every second call opens the ciphertext when it is asked twice in a row; one that fails every nth call cannot
/// know which of the calls in a random order are the canary's; one that fails all of them does not open the canary. And
/// whatever one HSM does by chance, a second one that is well opens what is good.
struct CiphertextCheck: Sendable {
    /// The rest of what each lane is to be asked, in order.
    private var tracks: [[LaneQuestion]]
    private var lanes: [LaneID?]
    /// HSMs that refuse the ciphertext or open the canary: their word is believed only while all of them are well.
    private(set) var witnesses: HSMSet = []
    /// HSMs that have refused the ciphertext. When it is opened after all, they have failed.
    private(set) var refusers: HSMSet
    /// The witnesses are done: these HSMs, which hold another key under the label, are tried one after the other.
    var excluded: HSMSet?

    /// - Parameters:
    ///   - lane: where the first refusal came from.
    ///   - follows: the next question goes down that lane before any other, so that the first refusal is one of two in
    ///     direct succession.
    ///   - lanes: 2 where another lane can be had, 1 otherwise.
    init(refusedOn lane: LaneID, follows: Bool, lanes: Int, random: inout RandomChoice) {
        tracks = Self.plan(follows: follows, lanes: lanes, random: &random)
        self.lanes = Array(repeating: nil, count: tracks.count)
        if follows { self.lanes[0] = lane }
        refusers = [lane.hsm]
        witnesses = [lane.hsm]
    }

    private static func plan(follows: Bool, lanes: Int, random: inout RandomChoice) -> [[LaneQuestion]] {
        let (ask, open) = (LaneQuestion.request, LaneQuestion.canary)
        func draw(_ tracks: [[LaneQuestion]]) -> [LaneQuestion] { tracks[random.below(tracks.count)] }
        guard lanes > 1 else {
            let following = [[ask, open, open, ask], [ask, open, ask, open], [ask, ask, open, open]]
            let anew = [[ask, ask, open, open], [open, ask, ask, open], [open, open, ask, ask]]
            return [draw(follows ? following + anew : anew)]
        }
        let whole = [[ask, ask, open], [open, ask, ask]]
        return [draw(follows ? [[ask, open], [open, ask, ask]] : whole), draw(whole)]
    }

    /// True when it has a lane.
    var hasBegun: Bool { lanes.contains { $0 != nil } }

    /// True while there is something to ask on a lane that it has not got yet.
    var wantsLane: Bool { excluded == nil && zip(lanes, tracks).contains { $0 == nil && !$1.isEmpty } }

    /// A lane is taken for the check. Returns what to ask it.
    mutating func begin(on lane: LaneID) -> LaneQuestion? {
        if excluded != nil { return .excluded }
        guard let track = lanes.indices.first(where: { lanes[$0] == nil && !tracks[$0].isEmpty }) else { return nil }
        lanes[track] = lane
        witnesses.insert(lane.hsm)
        return tracks[track].first
    }

    /// The first question to the lane that the refusal came from, where the check follows it.
    var firstQuestion: LaneQuestion? { lanes.first.flatMap { $0 } == nil ? nil : tracks.first?.first }

    /// A lane has answered as it would for a bad ciphertext. Returns what to ask it next; `nil` when it is done.
    mutating func confirmed(_ question: LaneQuestion, on lane: LaneID) -> LaneQuestion? {
        guard let track = lanes.firstIndex(of: lane), tracks[track].first == question else { return nil }
        tracks[track].removeFirst()
        if question == .request { refusers.insert(lane.hsm) }
        return tracks[track].first
    }

    /// True when all that is needed has been found out.
    var isComplete: Bool { tracks.allSatisfy(\.isEmpty) }
}
