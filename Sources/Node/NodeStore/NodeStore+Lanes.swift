// SPDX-License-Identifier: Apache-2.0
import Dispatch
import GRDB

// The ledger that keeps the processes of a host within a token's sessions.
extension NodeStore {
    /// Asks for sessions of a token, and reports how many this process holds. Blocks for one transaction, for a second
    /// at most: not for event loops. Ask again every few seconds, at once after having closed lanes that were not granted, and when the
    /// store's health is `.ok` again: each call is answered by what the others have said until then.
    ///
    /// - Parameters:
    ///   - token: what names the token on this host, such as its serial number.
    ///   - wanted: sessions that this process would use; 0 while it drains.
    ///   - floor: below which it should not have to go, where the limit allows that for all.
    ///   - limit: the token's limit, if known; stored for the others.
    ///   - holding: sessions that this process holds now. More than `granted` are to be closed as they fall idle.
    package func claimLanes(
        token: String, wanted: Int, floor: Int, limit: Int?, holding: Int, process: ProcessIdentity = .current
    ) -> LaneClaim {
        let claim = onQueue { [self] () -> LaneClaim? in
            guard health.isOK else { return nil }
            return attempt { () throws(StoreError) in
                try self.writer.write(durable: false) { db in
                    try LaneLedger(db).claim(
                        token: token, process: process, wanted: wanted, floor: floor, limit: limit, holding: holding)
                }
            }
        }
        return (claim ?? nil)
            ?? LaneClaim(granted: min(max(0, wanted), max(0, limit ?? .max)), limit: limit, isRecorded: false)
    }

    /// Gives all sessions of a token back. Blocks for one transaction.
    package func releaseLanes(token: String, process: ProcessIdentity = .current) {
        _ = onQueue { [self] in
            guard health.isOK else { return }
            _ = attempt { () throws(StoreError) in
                try self.writer.write(durable: false) { try LaneLedger($0).release(token: token, process: process) }
            }
        }
    }
}
