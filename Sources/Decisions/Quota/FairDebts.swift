// SPDX-License-Identifier: Apache-2.0

/// What the principals of a key store owe of its rate: each request adds to its principal's debt, and the rate pays the
/// debts off, all of them at the same speed.
///
/// That is generalized processor sharing (A. Parekh, R. Gallager, 1993) without a queue: whoever asks for less than an
/// equal part is always paid off soon, and what it leaves goes to the others in equal parts, so each gets its max-min
/// share. All debts shrink by the advance of one *virtual time*; a debt is kept as the virtual time at which it ends, and
/// a heap has the one that ends first on top. A payment ends no more debts than requests have begun.
struct FairDebts {
    /// The sum of all debts, less what has been paid in and is too little to be divided.
    private(set) var total: UInt64 = 0
    private var virtualTime: UInt64 = 0
    /// Paid in and not yet divided: less than the number of debts.
    private var undivided: UInt64 = 0
    /// By slot, the virtual time at which the debt ends; means nothing where there is no debt.
    private var ends: [UInt64] = []
    /// By slot, its place in the heap; -1 where there is no debt.
    private var places: [Int] = []
    /// Slots with debts, as a binary heap.
    private var heap: [Int] = []

    /// How many have debts.
    var count: Int { heap.count }

    /// One slot more, without debt.
    mutating func addSlot() {
        ends.append(0)
        places.append(-1)
    }

    func debt(of slot: Int) -> UInt64 { places[slot] < 0 ? 0 : ends[slot] - virtualTime }

    /// - Parameter amount: at most 2^50, which the sum of all debts must not pass either.
    mutating func add(_ amount: UInt64, to slot: Int) {
        if virtualTime > 1 << 60 { restart() }
        total += amount
        if places[slot] < 0 {
            ends[slot] = virtualTime + amount
            places[slot] = heap.count
            heap.append(slot)
            rise(from: heap.count - 1)
        } else {
            ends[slot] += amount
            sink(from: places[slot])
        }
    }

    /// Pays off so much of all debts together.
    mutating func pay(_ amount: UInt64) {
        guard amount < total else { return clear() }
        total -= amount
        var left = amount + undivided
        undivided = 0
        while let first = heap.first {
            let (debt, number) = (ends[first] - virtualTime, UInt64(heap.count))
            let (all, overflows) = debt.multipliedReportingOverflow(by: number)
            guard !overflows, all <= left else {
                virtualTime += left / number
                undivided = left % number
                return
            }
            virtualTime += debt
            left -= all
            removeFirst()
        }
    }

    private mutating func clear() {
        for slot in heap { places[slot] = -1 }
        heap.removeAll(keepingCapacity: true)
        (total, virtualTime, undivided) = (0, 0, 0)
    }

    /// Counts the virtual time from 0 again, long before it would pass what its integer holds.
    private mutating func restart() {
        for slot in heap { ends[slot] -= virtualTime }
        virtualTime = 0
    }

    // MARK: The heap

    private mutating func removeFirst() {
        places[heap[0]] = -1
        let last = heap.removeLast()
        guard !heap.isEmpty else { return }
        put(last, at: 0)
        sink(from: 0)
    }

    private mutating func put(_ slot: Int, at place: Int) {
        heap[place] = slot
        places[slot] = place
    }

    private mutating func rise(from start: Int) {
        var place = start
        let slot = heap[place]
        while place > 0 {
            let parent = (place - 1) / 2
            guard ends[slot] < ends[heap[parent]] else { break }
            put(heap[parent], at: place)
            place = parent
        }
        put(slot, at: place)
    }

    private mutating func sink(from start: Int) {
        var place = start
        let slot = heap[place]
        while true {
            var child = 2 * place + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, ends[heap[child + 1]] < ends[heap[child]] { child += 1 }
            guard ends[heap[child]] < ends[slot] else { break }
            put(heap[child], at: place)
            place = child
        }
        put(slot, at: place)
    }
}
