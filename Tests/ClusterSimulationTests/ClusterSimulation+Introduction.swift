// SPDX-License-Identifier: Apache-2.0
import Gossip

// How a large cluster begins without the storm of a thousand nodes that join at once: each is given all others before
// anything happens, page by page, as a newcomer is.

extension ClusterSimulation {
    mutating func introduceAll() {
        let everybody = nodes.map {
            MemberUpdate(identity: $0.machine.identity, liveness: .alive, facts: $0.machine.facts)
        }
        for index in nodes.indices {
            var first = 0
            while first < everybody.count {
                let page = everybody[first..<min(first + GossipMessage.mostExchanged, everybody.count)]
                send(index, Array(page), number: first)
                first += GossipMessage.mostExchanged
            }
            discoverSeeds(index)
        }
    }

    /// The node finds an address that answers with the page, and with the name of the next node.
    private mutating func send(_ index: Int, _ page: [MemberUpdate], number: Int) {
        let guide = nodes[(index + 1) % nodes.count]
        let address = "page-\(number):1"
        var rest = nodes[index].machine.discovered(addresses: [address], now: now)
        let request = rest.sends.first { $0.destination.address == address }
        rest.sends.removeAll { $0.destination.address == address }
        perform(rest, of: index)
        guard let request else { return }
        let answer = GossipMessage(
            kind: .exchange, sender: guide.machine.identity, receiver: nodes[index].name,
            sequence: request.message.sequence, facts: guide.machine.facts,
            updates: page.filter { $0.identity.name != guide.name && $0.identity.name != nodes[index].name })
        let actions = nodes[index].machine.answered(
            ticket: request.ticket, message: answer, from: guide.name, roundTrip: 0, now: now)
        perform(actions, of: index)
    }
}
