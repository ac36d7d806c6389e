// SPDX-License-Identifier: Apache-2.0
import Gossip

// How messages travel.

extension ClusterSimulation {
    private func isFar(_ one: Int, _ other: Int) -> Bool { nodes[one].site != nodes[other].site }

    private func isSilenced(_ one: Int, _ other: Int) -> Bool {
        switch sabotage {
        case .silencesNodeZero: now > ClusterScenario.start + 5 * second && (one == 0 || other == 0)
        case .neverHeals: now > ClusterScenario.start + 8 * second && (one == 0) != (other == 0)
        default: false
        }
    }

    mutating func send(_ send: GossipSend, from client: Int) {
        let life = nodes[client].life
        guard let server = indices[send.destination.address] else { return }
        let flight = Flight(client: client, clientLife: life, server: server, ticket: send.ticket, sentAt: now)
        nodes[client].open.insert(send.ticket)
        meter?.count(send.message, by: client)
        queue.add(.failure(flight), at: now + send.timeout)
        guard !isSilenced(client, server),
            let delay = network.request(from: client, to: server, isFar: isFar(client, server), &dice)
        else { return }
        switch nodes[server].state {
        case .up, .frozen: queue.add(.request(flight, send.message), at: now + delay)
        case .killed, .left: queue.add(.failure(flight), at: now + delay)
        case .gone: break
        }
    }

    mutating func arrive(_ flight: Flight, _ message: GossipMessage) {
        let server = flight.server
        switch nodes[server].state {
        case .up: break
        case .frozen: return nodes[server].inbox.append(.request(flight, message))
        case .killed, .left:
            return queue.add(.failure(flight), at: now + network.leg(isFar(server, flight.client), &dice))
        case .gone: return
        }
        lastIncoming += 1
        let ticket = lastIncoming
        incoming[ticket] = flight
        let from = nodes[flight.client].name
        let time = now &+ nodes[server].clock
        switch nodes[server].machine.received(message, from: from, ticket: ticket, now: time) {
        case .success(let actions): perform(actions, of: server)
        case .failure(let refusal):
            check.refusals[refusal, default: 0] += 1
            incoming[ticket] = nil
            queue.add(.failure(flight), at: now + network.leg(isFar(server, flight.client), &dice))
        }
    }

    mutating func answer(_ reply: GossipReply, from server: Int) {
        guard let flight = incoming.removeValue(forKey: reply.ticket) else { return }
        meter?.count(reply.message, by: server)
        guard network.passes(from: server, to: flight.client), !isSilenced(server, flight.client) else { return }
        let slowness = nodes[server].slowness
        let delay = (slowness > 0 ? dice.next() % slowness : 0) + network.leg(isFar(server, flight.client), &dice)
        queue.add(.answer(flight, reply.message), at: now + delay)
    }

    mutating func comeBack(_ flight: Flight, _ message: GossipMessage) {
        let client = flight.client
        guard nodes[client].life == flight.clientLife, nodes[client].open.contains(flight.ticket) else { return }
        if nodes[client].state == .frozen { return nodes[client].inbox.append(.answer(flight, message)) }
        guard nodes[client].isUp else { return }
        nodes[client].open.remove(flight.ticket)
        if nodes[flight.server].isUp { network.keep(from: client, to: flight.server) }
        let from = nodes[flight.server].name
        let roundTrip = now - flight.sentAt
        step(client) {
            $0.answered(ticket: flight.ticket, message: message, from: from, roundTrip: roundTrip, now: $1)
        }
    }

    mutating func giveUp(_ flight: Flight) {
        let client = flight.client
        guard nodes[client].life == flight.clientLife, nodes[client].open.contains(flight.ticket) else { return }
        if nodes[client].state == .frozen { return nodes[client].inbox.append(.failure(flight)) }
        guard nodes[client].isUp else { return }
        nodes[client].open.remove(flight.ticket)
        step(client) { $0.failed(ticket: flight.ticket, now: $1) }
    }
}
