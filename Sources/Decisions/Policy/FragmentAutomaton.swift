// SPDX-License-Identifier: Apache-2.0

/// Texts with numbers, found wherever they stand in another text by reading that once (Aho and Corasick 1975).
///
/// Each text is told of once, however often it occurs, so that a reading takes time linear in the text and in what is found.
final class FragmentAutomaton: Sendable {
    private struct Node: Sendable {
        /// Range in the arrays below, sorted by byte.
        var children: Range<Int>
        /// Of the longest end of the way here that is the beginning of some text.
        var fallback: Int
        /// The first node on the way of fallbacks, from this one on, where a text ends; 0 for none.
        var ending: Int
        /// The next one after it.
        var nextEnding: Int
        /// Which one of those where a text ends; of others without meaning.
        var number: Int
        var entries: Range<Int>
    }

    private let nodes: [Node]
    private let childBytes: [UInt8]
    private let childNodes: [Int]
    private let entries: [Int]
    /// How many different texts there are.
    private let texts: Int

    init(_ builder: FragmentBuilder) {
        var nodes: [Node] = []
        var childBytes: [UInt8] = []
        var childNodes: [Int] = []
        var entries: [Int] = []
        var texts = 0
        for node in builder.nodes {
            let children = childBytes.count..<(childBytes.count + node.children.count)
            childBytes += node.children.map(\.byte)
            childNodes += node.children.map(\.node)
            let own = entries.count..<(entries.count + node.entries.count)
            entries += node.entries
            nodes.append(
                Node(children: children, fallback: 0, ending: 0, nextEnding: 0, number: texts, entries: own))
            if !own.isEmpty { texts += 1 }
        }
        self.childBytes = childBytes
        self.childNodes = childNodes
        self.entries = entries
        self.texts = texts
        // Level by level: a fallback leads to a node nearer to the beginning.
        var order = [0]
        var next = 0
        while next < order.count {
            let index = order[next]
            next += 1
            for position in nodes[index].children {
                let child = childNodes[position]
                order.append(child)
                if index != 0 {
                    nodes[child].fallback = Self.step(
                        nodes[index].fallback, childBytes[position], nodes, childBytes, childNodes)
                }
                let fallback = nodes[child].fallback
                nodes[child].nextEnding = nodes[fallback].ending
                nodes[child].ending = nodes[child].entries.isEmpty ? nodes[fallback].ending : child
            }
        }
        self.nodes = nodes
    }

    /// Calls `body` with the numbers of the texts that stand in `text`.
    func forEachEntry(in text: UnsafeBufferPointer<UInt8>, _ body: (Int) -> Void) {
        withUnsafeTemporaryAllocation(of: Bool.self, capacity: texts) { told in
            told.initialize(repeating: false)
            var node = 0
            for byte in text {
                node = Self.step(node, byte, nodes, childBytes, childNodes)
                var ending = nodes[node].ending
                // Where one has been told of, so have those that come after it.
                while ending != 0, !told[nodes[ending].number] {
                    told[nodes[ending].number] = true
                    for index in nodes[ending].entries { body(entries[index]) }
                    ending = nodes[ending].nextEnding
                }
            }
        }
    }

    private static func step(
        _ start: Int, _ byte: UInt8, _ nodes: [Node], _ childBytes: [UInt8], _ childNodes: [Int]
    ) -> Int {
        var node = start
        while true {
            let children = nodes[node].children
            var (low, high) = (children.lowerBound, children.upperBound)
            while low < high {
                let middle = (low + high) / 2
                if childBytes[middle] < byte { low = middle + 1 } else { high = middle }
            }
            if low < children.upperBound, childBytes[low] == byte { return childNodes[low] }
            guard node != 0 else { return 0 }
            node = nodes[node].fallback
        }
    }
}

/// Texts are put into it one by one.
struct FragmentBuilder {
    fileprivate struct Node {
        var children: [(byte: UInt8, node: Int)] = []
        var entries: [Int] = []
    }

    /// So many bytes of a text are looked for, its last ones: whoever has the whole has these.
    static let longest = 32

    fileprivate var nodes = [Node()]

    /// - Parameter text: not empty.
    mutating func insert(_ text: [UInt8], _ entry: Int) {
        var current = 0
        for byte in text.suffix(Self.longest) {
            let place = nodes[current].children.firstIndex { $0.byte >= byte } ?? nodes[current].children.count
            if place < nodes[current].children.count, nodes[current].children[place].byte == byte {
                current = nodes[current].children[place].node
            } else {
                nodes.append(Node())
                nodes[current].children.insert((byte, nodes.count - 1), at: place)
                current = nodes.count - 1
            }
        }
        if nodes[current].entries.last != entry { nodes[current].entries.append(entry) }
    }
}
