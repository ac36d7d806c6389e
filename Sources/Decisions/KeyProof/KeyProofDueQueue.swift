// SPDX-License-Identifier: Apache-2.0

/// Times at which numbered things are due: at most one time for each, so that it never grows beyond their count.
/// A binary heap that knows where each thing is.
struct KeyProofDueQueue: Sendable {
    private struct Entry {
        var at: UInt64
        var thing: Int
    }

    private var heap: [Entry] = []
    /// Position in the heap of each thing; -1: it is not due.
    private var positions: [Int] = []

    /// The earliest time.
    var next: UInt64? { heap.first?.at }

    subscript(thing: Int) -> UInt64? {
        guard positions.indices.contains(thing), positions[thing] >= 0 else { return nil }
        return heap[positions[thing]].at
    }

    /// `thing` is due at `at`, whatever was said before.
    mutating func set(_ thing: Int, at: UInt64) {
        guard thing >= 0 else { return }
        if thing >= positions.count {
            positions.append(contentsOf: repeatElement(-1, count: thing + 1 - positions.count))
        }
        if positions[thing] < 0 {
            positions[thing] = heap.count
            heap.append(Entry(at: at, thing: thing))
            rise(heap.count - 1)
        } else {
            heap[positions[thing]].at = at
            rise(positions[thing])
            sink(positions[thing])
        }
    }

    mutating func clear(_ thing: Int) {
        guard positions.indices.contains(thing), positions[thing] >= 0 else { return }
        let position = positions[thing]
        swap(position, heap.count - 1)
        heap.removeLast()
        positions[thing] = -1
        guard position < heap.count else { return }
        let moved = heap[position].thing
        rise(position)
        sink(positions[moved])
    }

    /// The earliest thing that is due by `now`; it is not due any more.
    mutating func take(by now: UInt64) -> Int? {
        guard let first = heap.first, first.at <= now else { return nil }
        clear(first.thing)
        return first.thing
    }

    /// Gives every thing another number. No two may get the same.
    mutating func renumber(_ number: (Int) -> Int) {
        for entry in heap.indices { heap[entry].thing = number(heap[entry].thing) }
        positions = Array(repeating: -1, count: (heap.map(\.thing).max() ?? -1) + 1)
        for (position, entry) in heap.enumerated() { positions[entry.thing] = position }
    }

    private mutating func rise(_ start: Int) {
        var position = start
        while position > 0 {
            let parent = (position - 1) / 2
            guard heap[position].at < heap[parent].at else { return }
            swap(position, parent)
            position = parent
        }
    }

    private mutating func sink(_ start: Int) {
        var position = start
        while true {
            var least = position
            for child in [2 * position + 1, 2 * position + 2]
            where child < heap.count && heap[child].at < heap[least].at {
                least = child
            }
            guard least != position else { return }
            swap(position, least)
            position = least
        }
    }

    private mutating func swap(_ one: Int, _ other: Int) {
        guard one != other else { return }
        heap.swapAt(one, other)
        positions[heap[one].thing] = one
        positions[heap[other].thing] = other
    }
}
