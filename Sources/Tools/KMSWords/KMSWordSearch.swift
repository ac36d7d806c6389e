// SPDX-License-Identifier: Apache-2.0

/// Finds what a text from AWS means: an exception, a code, a sentence, or JSON of CloudTrail, as somebody has pasted it.
package enum KMSWordSearch {
    package enum Result: Sendable, Equatable {
        /// The entries that it names; more than one only where a name has several meanings.
        case found([KMSWord])
        /// Nothing fits; those that are nearest, the best first, at most three.
        case unknown(nearest: [KMSWord])
    }

    /// Most bytes of a text that are looked at.
    package static let mostBytes = 1 << 20
    /// Most words of one text that are compared.
    static let mostWords = 400

    /// The texts that are in an input: the errors of each CloudTrail event in it, each once, at most ten; else the input itself.
    package static func texts(in input: String) -> [String] {
        let plain = String(decoding: input.utf8.prefix(mostBytes), as: UTF8.self)
        let errors = CloudTrailErrors.found(in: plain)
        return errors.isEmpty ? [plain] : Array(errors.prefix(10))
    }

    package static func find(_ text: String) -> Result {
        let words = KMSText.words(of: text, atMost: mostWords)
        let scores = KMSWord.all.map { word in (word: word, score: score(of: word, for: words)) }
        // A sentence says more than a name that stands beside it.
        if let said = said(words, scores) { return .found([said]) }
        let named = Self.named(words)
        guard !named.isEmpty else { return .unknown(nearest: nearest(to: words, scores)) }
        return .found(Array(named.prefix(3)))
    }

    /// The entries whose names stand in a text, as AWS writes them; else in another way. A connection error code counts more
    /// than the exception or the metric beside which it stands.
    private static func named(_ words: [String]) -> [KMSWord] {
        func all(_ isMeant: (String, String) -> Bool) -> [KMSWord] {
            KMSWord.all.filter { entry in entry.names.contains { name in words.contains { isMeant($0, name) } } }
        }
        let exact = all { $0 == $1.lowercased() || $0 + "exception" == $1.lowercased() }
        let named = exact.isEmpty ? all(KMSText.isSame) : exact
        let codes = named.filter { $0.place == .connection }
        return codes.isEmpty ? named : codes
    }

    /// The entry of which a text has a sentence, or so much of one that it is no other's.
    private static func said(_ words: [String], _ scores: [(word: KMSWord, score: Double)]) -> KMSWord? {
        let best = scores.map(\.score).max() ?? 0
        let all = scores.filter { $0.score >= best - 0.001 }
        if best >= enough, all.count == 1 { return all[0].word }
        let runs = zip(KMSWord.all, sentences).map { word, sentences in
            (word: word, weight: sentences.map { weightOfRun(in: $0, sharedWith: words) }.max() ?? 0)
        }.sorted { $0.weight > $1.weight }
        guard runs.count > 1, runs[0].weight > 0, runs[0].weight >= 1.5 * runs[1].weight else { return nil }
        return runs[0].word
    }

    /// Fewest words of a sentence, one behind the other, by which it is known.
    static let shortestRun = 4

    /// From here on a sentence counts as said.
    static let enough = 0.62

    private static func nearest(to words: [String], _ scores: [(word: KMSWord, score: Double)]) -> [KMSWord] {
        let named = scores.map { entry in
            let closest =
                entry.word.names.map { name in words.map { KMSText.likeness($0, name) }.max() ?? 0 }.max() ?? 0
            return (word: entry.word, score: max(entry.score, closest >= 0.6 ? closest : 0))
        }
        return named.filter { $0.score > 0.35 }.sorted { $0.score > $1.score }.prefix(3).map(\.word)
    }

    // MARK: How much of a sentence is in a text

    /// In how many entries each word of the sentences stands.
    private static let entriesOfWord: [String: Int] = {
        var count: [String: Int] = [:]
        for entry in sentences {
            for word in Set(entry.joined()) { count[word, default: 0] += 1 }
        }
        return count
    }()

    /// The words of each entry's sentences, in the order of the table.
    private static let sentences: [[[String]]] = KMSWord.all.map { entry in
        (entry.sentences + entry.nodeSays).map { KMSText.words(of: $0, atMost: mostWords) }
    }
    private static let places = Dictionary(
        uniqueKeysWithValues: KMSWord.all.enumerated().map { ($0.element.id, $0.offset) })

    private static func weight(_ word: String) -> Double { entriesOfWord[word].map { 1 / Double($0) } ?? 0.1 }

    private static func score(of entry: KMSWord, for words: [String]) -> Double {
        guard let place = places[entry.id] else { return 0 }
        return sentences[place].map { score(of: $0, in: words) }.max() ?? 0
    }

    /// The weight of the words that stand in a sentence and in a text, one behind the other; 0 where they are too few.
    private static func weightOfRun(in sentence: [String], sharedWith words: [String]) -> Double {
        var best = 0.0
        // The runs that end at the word before, by place in the sentence.
        var before = [(length: Int, weight: Double)](repeating: (0, 0), count: sentence.count + 1)
        for said in words {
            var now = before.map { _ in (length: 0, weight: 0.0) }
            for (place, word) in sentence.enumerated() where word == said {
                now[place + 1] = (before[place].length + 1, before[place].weight + weight(word))
                if now[place + 1].length >= shortestRun { best = max(best, now[place + 1].weight) }
            }
            before = now
        }
        return best
    }

    /// From 0 to 1: 1 where one holds the other whole, in the same order; else by the words that both have, rare ones first.
    private static func score(of sentence: [String], in words: [String]) -> Double {
        guard !sentence.isEmpty, !words.isEmpty else { return 0 }
        if sentence == words { return 1 }
        // A part of a sentence, or a sentence within more; the longer the run, the surer.
        if sentence.count >= 2, words.holds(sentence) { return 0.9 + min(0.09, Double(sentence.count) / 1_000) }
        if words.count >= 3, sentence.holds(words) { return 0.9 }
        let (said, meant) = (Set(words), Set(sentence))
        let common = said.intersection(meant).reduce(0) { $0 + weight($1) }
        let whole = said.reduce(0) { $0 + weight($1) } + meant.reduce(0) { $0 + weight($1) }
        return whole > 0 ? 2 * common / whole * 0.89 : 0
    }
}

extension [String] {
    /// Whether the other words stand in these, one behind the other.
    fileprivate func holds(_ others: [String]) -> Bool {
        guard others.count <= count, let first = others.first else { return false }
        return indices.dropLast(others.count - 1).contains { start in
            self[start] == first && self[start..<start + others.count].elementsEqual(others)
        }
    }
}
