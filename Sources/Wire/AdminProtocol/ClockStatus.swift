// SPDX-License-Identifier: Apache-2.0

/// What others say of a node's clock.
package struct ClockStatus: Sendable, Equatable, Codable {
    /// By name of a live peer, its clock minus this node's, milliseconds.
    package var peersMilliseconds: [String: Int64]
    /// This node's clock minus that of KMS, seconds, by its last valid signature in time; `nil` where none came in the last
    /// minute.
    package var kmsSeconds: Int64?

    package init(peersMilliseconds: [String: Int64] = [:], kmsSeconds: Int64? = nil) {
        self.peersMilliseconds = peersMilliseconds
        self.kmsSeconds = kmsSeconds
    }
}
