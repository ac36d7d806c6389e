// SPDX-License-Identifier: Apache-2.0

/// What will happen, in the order of time; of what happens at one time, in the order in which it was put in.
///
/// The heap holds small entries only, and the events stay where they are: that makes it several times faster in a debug
/// build, which is what thousands of seeds need.
package struct EventQueue<Event> {
    private var heap = EntryHeap()
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
        heap.add(Entry(at: time, order: lastOrder, slot: slot))
    }

    /// Takes out the next event, if there is one that happens no later than `end`.
    package mutating func next(until end: UInt64) -> (at: UInt64, event: Event)? {
        guard let first = heap.take(until: end) else { return nil }
        freeSlots.append(first.slot)
        return (first.at, events[first.slot])
    }
}

private struct Entry {
    var at: UInt64
    var order: UInt64
    var slot: Int

    func isBefore(_ other: Entry) -> Bool { at == other.at ? order < other.order : at < other.at }
}

/// The entries, the earliest first. Apart from `EventQueue`: within a generic type each access looks the entry's type up.
private struct EntryHeap {
    private var entries: [Entry] = []

    mutating func add(_ entry: Entry) {
        entries.append(entry)
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entry.isBefore(entries[parent]) else { break }
            entries[child] = entries[parent]
            child = parent
        }
        entries[child] = entry
    }

    mutating func take(until end: UInt64) -> Entry? {
        guard let first = entries.first, first.at <= end else { return nil }
        let last = entries.removeLast()
        guard !entries.isEmpty else { return first }
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < entries.count else { break }
            if child + 1 < entries.count, entries[child + 1].isBefore(entries[child]) { child += 1 }
            guard entries[child].isBefore(last) else { break }
            entries[parent] = entries[child]
            parent = child
        }
        entries[parent] = last
        return first
    }
}
