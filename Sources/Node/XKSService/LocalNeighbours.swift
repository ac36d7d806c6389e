// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Routing

/// The rest of the node and the other nodes, as the service meets them.
package struct ServiceNeighbours: Sendable {
    package var blocks: any BlockSource
    /// `nil` where the node stands alone, or forwarding is switched off.
    package var forwarder: (any RequestForwarder)?
    package var fleet: any FleetSource
    package var formats: any FormatSource
    package var offers: any OfferSource

    package init(
        blocks: any BlockSource, forwarder: (any RequestForwarder)?, fleet: any FleetSource,
        formats: any FormatSource = FirstFormat(), offers: any OfferSource = NoOtherOffers()
    ) {
        self.blocks = blocks
        self.forwarder = forwarder
        self.fleet = fleet
        self.formats = formats
        self.offers = offers
    }
}

/// The fleet of a node that stands alone: its own HSMs.
package struct LocalFleet: FleetSource {
    private let pool: any KeyOperationPool

    package init(pool: any KeyOperationPool) { self.pool = pool }

    package func fleet() -> Fleet {
        let hsms = pool.status().sorted { severity($0.condition) > severity($1.condition) }
        return Fleet(
            nodes: 1,
            hsms: hsms.map { hsm in
                FleetHSM(
                    id: hsm.identity.map { "\(hsm.name) (\($0.serial))" } ?? hsm.name,
                    manufacturer: hsm.identity?.manufacturer,
                    model: hsm.identity.map { "\($0.manufacturer) \($0.model), firmware \($0.firmware)" },
                    health: health(hsm.condition))
            })
    }
}

private func health(_ condition: HSMCondition) -> FleetHSM.Health {
    switch condition {
    case .active: .active
    case .degraded: .degraded
    case .starting, .probing, .unavailable: .unavailable
    }
}

/// What a person must look at comes first: the API names ten HSMs at most.
private func severity(_ condition: HSMCondition) -> Int {
    switch condition {
    case .unavailable: 4
    case .probing: 3
    case .starting: 2
    case .degraded: 1
    case .active: 0
    }
}
