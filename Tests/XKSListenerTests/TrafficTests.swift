// SPDX-License-Identifier: Apache-2.0
import Synchronization
import Testing
import XKSListener
import XKSProtocol

@Suite struct TrafficTests {
    private final class Trips: Sendable {
        let all = Mutex<[UInt64]>([])
    }

    @Test func everyByteOfEveryConnectionCounts() async throws {
        try await withListener { listener, port async throws in
            var (sent, received) = (0, 0)
            for length in [1, 500, 20_000] {
                // What it has counted stays when it is closed.
                let client = try RawClient(port: port)
                for _ in 0..<3 {
                    let request = post(String(repeating: "x", count: length))
                    client.send(request)
                    sent += request.utf8.count
                    #expect(try client.answer()?.status == 200)
                }
                received += client.receivedBytes
            }
            let (total, answers) = (sent, received)
            #expect(try await eventually { listener.traffic.received == UInt64(total) })
            #expect(listener.traffic.sent == UInt64(answers) && answers > 60_000)
        }
    }

    @Test func roundTripsAreThoseToClientsThatHaveAuthenticated() async throws {
        try await withListener(handler: authenticating) { listener, port async throws in
            let (known, stranger) = (try RawClient(port: port), try RawClient(port: port))
            known.send(post("1", path: "/signed"))
            stranger.send(post("1", path: "/unsigned"))
            #expect(try known.answer()?.status == 200)
            #expect(try stranger.answer()?.status == 401)
            let trips = Trips()
            listener.measureRoundTrips { nanoseconds in trips.all.withLock { $0.append(nanoseconds) } }
            #expect(try await eventually { trips.all.withLock { !$0.isEmpty } })
            listener.measureRoundTrips { nanoseconds in trips.all.withLock { $0.append(nanoseconds) } }
            #expect(try await eventually { trips.all.withLock { $0.count >= 2 } })
            let all = trips.all.withLock { $0 }
            #expect(all.count == 2 && all.allSatisfy { $0 > 0 && $0 < 1_000_000_000 }, "\(all)")
            withExtendedLifetime((known, stranger)) {}
        }
    }
}
