// SPDX-License-Identifier: Apache-2.0

/// What will happen, in the order of time; of what happens at one time, in the order in which it was put in.
///
/// The heap holds small entries only, and the events stay where they are: that makes it several times faster in a debug
/// build, which is what thousands of seeds need.
package struct EventQueue<Event> {
    private struct Entry {
        var at: UInt64
        var order: UInt64
        var slot: Int

        func isBefore(_ other: Entry) -> Bool { at == other.at ? order < other.order : at < other.at }
    }

    private var heap: [Entry] = []
    private var events: [Event] = []
    private var freeSlots: [Int] = []
    private var lastOrder: UInt64 = 0

    package init() {}

    package mutating func add(_ event: Event, at time: UInt64) {
        lastOrder += 1
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
            events[slot] = event
        } else {
            slot = events.count
            events.append(event)
        }
        let entry = Entry(at: time, order: lastOrder, slot: slot)
        heap.append(entry)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entry.isBefore(heap[parent]) else { break }
            heap[child] = heap[parent]
            child = parent
        }
        heap[child] = entry
    }

    /// Takes out the next event, if there is one that happens no later than `end`.
    package mutating func next(until end: UInt64) -> (at: UInt64, event: Event)? {
        guard let first = heap.first, first.at <= end else { return nil }
        let last = heap.removeLast()
        freeSlots.append(first.slot)
        guard !heap.isEmpty else { return (first.at, events[first.slot]) }
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1].isBefore(heap[child]) { child += 1 }
            guard heap[child].isBefore(last) else { break }
            heap[parent] = heap[child]
            parent = child
        }
        heap[parent] = last
        return (first.at, events[first.slot])
    }
}
