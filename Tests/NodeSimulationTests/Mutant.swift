// SPDX-License-Identifier: Apache-2.0
import AccessControl
import KeyProof
import LaneProtocol
import Routing

/// A decision that is broken on purpose, to see that a check finds it.
struct Mutant {
    enum Break {
        /// Whatever the HSMs of this node do not open is invalid.
        case wordIsAlwaysInvalid
        /// What is not known is absent.
        case unknownIsAbsent
        /// Nodes do not look at what others prove keys by.
        case canariesAreIgnored
        /// Blocks count only where nothing is doubted: a node enforces none of them.
        case blocksAreIgnored
        /// Nobody is asked for help.
        case nobodyIsAsked
        /// Nothing that the HSMs do not open is invalid.
        case wordIsNeverInvalid
        /// What one call gave is handed out for the next one.
        case answersAreMixed
        /// A worker that has ended is not started again.
        case nothingIsStarted
        /// What cannot be opened on a full disk is not read at all.
        case fullDisksAreNotRead
        /// No peer's list of blocks is taken for a whole one.
        case listsStayUnknown
    }

    var broken: Break?

    init(_ broken: Break? = nil) { self.broken = broken }

    var isAlone: Bool { broken == .nobodyIsAsked }

    func decision(_ decision: KeyDecision) -> KeyDecision {
        switch decision {
        case .unknown where broken == .unknownIsAbsent: .absent(nil)
        default: decision
        }
    }

    func word(_ word: CiphertextWord) -> CiphertextWord {
        switch broken {
        case .wordIsAlwaysInvalid: .invalid
        case .wordIsNeverInvalid: .unknown("so the mutant says")
        default: word
        }
    }

    func blocks(_ list: BlockList) -> BlockList { broken == .blocksAreIgnored ? BlockList() : list }
}
