// SPDX-License-Identifier: Apache-2.0

/// A state that is told by a word: in JSON, between nodes, in the store and in the log.
package protocol WordedState: RawRepresentable<String>, CaseIterable, Codable, Hashable, Sendable {
    /// What a word counts as that this version does not know.
    static var ofUnknownWord: Self { get }
}

/// A state as another process has told or stored it. One of a later version may use a word that this version does not
/// know: the word is kept, and told on as it came.
package struct StateWord<State: WordedState>: Sendable, Hashable {
    package let word: String
    /// What it means to this version. Asked more often than read.
    package let state: State

    package init(word: String) {
        self.word = word
        state = State(rawValue: word) ?? .ofUnknownWord
    }

    package init(_ state: State) {
        word = state.rawValue
        self.state = state
    }
}

/// A string.
extension StateWord: Codable {
    package init(from decoder: any Decoder) throws {
        self.init(word: try decoder.singleValueContainer().decode(String.self))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(word)
    }
}
