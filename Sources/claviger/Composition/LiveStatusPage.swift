// SPDX-License-Identifier: Apache-2.0
import CPlatform
import ControlPlane
import StatusPage
import Synchronization

/// The status page of a running node, made at most once a second, however many look at it.
final class LiveStatusPage: PageSource {
    private struct Made {
        /// CLOCK_MONOTONIC, nanoseconds.
        var at: UInt64
        var body: [UInt8]
    }

    /// How long a page is given again, nanoseconds.
    private static let lifetime: UInt64 = 1_000_000_000
    private static let paths: Set = ["/", "/status"]

    private let page: StatusPage
    private let look: @Sendable () -> StatusSnapshot
    private let last = Mutex<Made?>(nil)

    /// - Parameter look: never waits.
    init(look: @escaping @Sendable () -> StatusSnapshot) throws {
        page = try StatusPage()
        self.look = look
    }

    func file(at path: String) -> PageFile? {
        if Self.paths.contains(path) {
            return PageFile(
                contentType: "text/html; charset=utf-8", body: body(now: claviger_monotonic_nanoseconds()), digest: nil,
                policy: StatusPage.contentSecurityPolicy)
        }
        return page.asset(path).map {
            PageFile(
                contentType: $0.contentType, body: $0.body, digest: $0.digest,
                policy: StatusPage.contentSecurityPolicy)
        }
    }

    private func body(now: UInt64) -> [UInt8] {
        last.withLock { last in
            if let made = last, now &- made.at < Self.lifetime { return made.body }
            let made = Made(at: now, body: page.html(look()))
            last = made
            return made.body
        }
    }
}
