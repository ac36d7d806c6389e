// SPDX-License-Identifier: Apache-2.0

/// Times at which numbered things are due: at most one time for each, so that it never grows beyond their count.
/// A binary heap that knows where each thing is.
struct KeyProofDueQueue: Sendable {
    private struct Entry {
        var at: UInt64
        var thing: Int
    }

    private var heap: [Entry] = []
    /// Place in the heap of each thing; -1: it is not due.
    private var places: [Int] = []

    /// The earliest time.
    var next: UInt64? { heap.first?.at }

    subscript(thing: Int) -> UInt64? {
        guard places.indices.contains(thing), places[thing] >= 0 else { return nil }
        return heap[places[thing]].at
    }

    /// `thing` is due at `at`, whatever was said before.
    mutating func set(_ thing: Int, at: UInt64) {
        guard thing >= 0 else { return }
        if thing >= places.count {
            places.append(contentsOf: repeatElement(-1, count: thing + 1 - places.count))
        }
        if places[thing] < 0 {
            places[thing] = heap.count
            heap.append(Entry(at: at, thing: thing))
            rise(heap.count - 1)
        } else {
            heap[places[thing]].at = at
            rise(places[thing])
            sink(places[thing])
        }
    }

    mutating func clear(_ thing: Int) {
        guard places.indices.contains(thing), places[thing] >= 0 else { return }
        let place = places[thing]
        swap(place, heap.count - 1)
        heap.removeLast()
        places[thing] = -1
        guard place < heap.count else { return }
        let moved = heap[place].thing
        rise(place)
        sink(places[moved])
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
        places = Array(repeating: -1, count: (heap.map(\.thing).max() ?? -1) + 1)
        for (place, entry) in heap.enumerated() { places[entry.thing] = place }
    }

    private mutating func rise(_ start: Int) {
        var place = start
        while place > 0 {
            let parent = (place - 1) / 2
            guard heap[place].at < heap[parent].at else { return }
            swap(place, parent)
            place = parent
        }
    }

    private mutating func sink(_ start: Int) {
        var place = start
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2] where child < heap.count && heap[child].at < heap[least].at {
                least = child
            }
            guard least != place else { return }
            swap(place, least)
            place = least
        }
    }

    private mutating func swap(_ one: Int, _ other: Int) {
        guard one != other else { return }
        heap.swapAt(one, other)
        places[heap[one].thing] = one
        places[heap[other].thing] = other
    }
}
