// SPDX-License-Identifier: Apache-2.0

/// Texts with numbers, found by walking once along another text: those that it begins with, and those that it is. A walk takes as many steps as the other text has bytes, at most, however many texts there are.
///
/// All nodes lie in a few flat arrays, so that a walk counts no references. A class, so that handing it on is one.
final class PrefixTree: Sendable {
    /// Ranges in the arrays below.
    private struct Node: Sendable {
        /// Of the way that leads here from the parent.
        var label: Range<Int>
        /// Sorted by the first byte of their labels.
        var children: Range<Int>
        /// Found where a text goes on from here, and where it ends here.
        var prefixes: Range<Int>
        /// Found only where a text ends here.
        var wholes: Range<Int>
    }

    private let nodes: [Node]
    private let labels: [UInt8]
    private let childBytes: [UInt8]
    private let childNodes: [Int]
    private let entries: [Int]

    init(_ builder: PrefixTreeBuilder) {
        var nodes: [Node] = []
        var labels: [UInt8] = []
        var childBytes: [UInt8] = []
        var childNodes: [Int] = []
        var entries: [Int] = []
        for node in builder.nodes {
            let label = labels.count..<(labels.count + node.label.count)
            labels += node.label
            let children = childBytes.count..<(childBytes.count + node.children.count)
            childBytes += node.children.map(\.first)
            childNodes += node.children.map(\.node)
            let prefixes = entries.count..<(entries.count + node.prefixes.count)
            let wholes = prefixes.upperBound..<(prefixes.upperBound + node.wholes.count)
            entries += node.prefixes + node.wholes
            nodes.append(Node(label: label, children: children, prefixes: prefixes, wholes: wholes))
        }
        self.nodes = nodes
        self.labels = labels
        self.childBytes = childBytes
        self.childNodes = childNodes
        self.entries = entries
    }

    /// Calls `body` with the numbers of the texts that `text` begins with, and of those that it is.
    func forEachEntry(of text: UnsafeBufferPointer<UInt8>, _ body: (Int) -> Void) {
        var node = nodes[0]
        var position = 0
        let count = text.count
        while true {
            for index in node.prefixes { body(entries[index]) }
            guard position < count else {
                for index in node.wholes { body(entries[index]) }
                return
            }
            guard let child = child(of: node, by: text[position]) else { return }
            node = nodes[child]
            guard node.label.count <= count - position else { return }
            for index in node.label {
                guard text[position] == labels[index] else { return }
                position += 1
            }
        }
    }

    private func child(of node: Node, by byte: UInt8) -> Int? {
        var (low, high) = (node.children.lowerBound, node.children.upperBound)
        while low < high {
            let middle = (low + high) / 2
            if childBytes[middle] < byte { low = middle + 1 } else { high = middle }
        }
        guard low < node.children.upperBound, childBytes[low] == byte else { return nil }
        return childNodes[low]
    }
}

/// Texts are put into it one by one, each in time linear in its length.
struct PrefixTreeBuilder {
    fileprivate struct Node {
        var label: ArraySlice<UInt8>
        var children: [(first: UInt8, node: Int)] = []
        var prefixes: [Int] = []
        var wholes: [Int] = []
    }

    fileprivate var nodes = [Node(label: [])]

    /// - Parameter whole: it is found only by itself, else by whatever begins with it.
    mutating func insert(_ text: [UInt8], _ entry: Int, whole: Bool) {
        var rest = text[...]
        var current = 0
        while let first = rest.first {
            let place = nodes[current].children.firstIndex { $0.first >= first } ?? nodes[current].children.count
            guard place < nodes[current].children.count, nodes[current].children[place].first == first else {
                let new = nodes.count
                nodes.append(Node(label: rest))
                nodes[current].children.insert((first, new), at: place)
                current = new
                break
            }
            let child = nodes[current].children[place].node
            let label = nodes[child].label
            let common = zip(label, rest).prefix { $0 == $1 }.count
            if common < label.count { divide(child, after: common) }
            rest = rest.dropFirst(common)
            current = child
        }
        if whole { nodes[current].wholes.append(entry) } else { nodes[current].prefixes.append(entry) }
    }

    /// Puts a node in the way to one: the first bytes of its label lead to it, and the rest on to a new one below.
    private mutating func divide(_ index: Int, after common: Int) {
        var lower = nodes[index]
        nodes[index] = Node(label: lower.label.prefix(common))
        lower.label = lower.label.dropFirst(common)
        if let first = lower.label.first { nodes[index].children = [(first, nodes.count)] }
        nodes.append(lower)
    }
}
