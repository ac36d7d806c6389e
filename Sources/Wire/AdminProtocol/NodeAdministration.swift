// SPDX-License-Identifier: Apache-2.0

/// What became of an operator's command. Each text is for people, and names what it speaks of.
package enum AdminAnswer: Sendable, Equatable {
    /// It is done. `warnings`: what is so all the same, and should be mended; a line each.
    case done(String, warnings: [String] = [])
    /// What the command names does not exist: `name`, which may be left out where it names one thing only. `known` are
    /// the names that do.
    case unknown(String, name: String? = nil, known: [String])
    /// It cannot be done as things stand: the text says what stands in the way.
    case refused(String)
    /// It should have been possible: the text says what went wrong.
    case failed(String)
}

/// A reload that came to nothing, or only half way: what is checked beforehand may still fail when it is done.
package struct ReloadFailure: Error, Sendable, Equatable {
    /// What is in use as the file says now.
    package var changed: [String]
    package var cause: String

    package init(changed: [String], cause: String) {
        self.changed = changed
        self.cause = cause
    }

    /// Says that nothing has changed only where that is so.
    package var answer: AdminAnswer {
        guard !changed.isEmpty else { return .refused("Nothing has changed. \(cause)") }
        let names = changed.joined(separator: ", ")
        return .failed("Of the file these are in use now: \(names); everything else is as before. \(cause)")
    }
}

/// What an operator can ask of a running node. Called on any thread, by several at a time.
package protocol NodeAdministration: Sendable {
    /// What is known at the moment. Never asks an HSM, and never waits.
    func status() -> AdminStatus
    /// What the node is at for KMS at the moment. Never waits.
    func requests() -> RequestsReport
    /// Counters and gauges in the text format of Prometheus, as the control listener shows them.
    func metrics() -> String
    /// Takes an HSM out of service. Requests that it is at work on end in the ordinary way.
    func drain(_ hsm: String) async -> AdminAnswer
    /// Takes an HSM out of service for so many seconds, 1 to 300: the node puts it back by itself when they are over and
    /// nobody has prolonged them. Refused where no other HSM serves what it serves.
    func drain(_ hsm: String, seconds: Int) async -> AdminAnswer
    /// From now on so many seconds, where the HSM is drained for a time that is not over.
    func prolongDrain(of hsm: String, seconds: Int) async -> AdminAnswer
    /// Puts a drained HSM back.
    func undrain(_ hsm: String) async -> AdminAnswer
    /// Declares that what `hsm` holds under the label `key` is the key: its canary is made anew there, and the others
    /// have to open it.
    func trust(key: String, hsm: String) async -> AdminAnswer
    /// Declares that a key is gone for good: its canaries are forgotten here and at the peers, and requests for it are
    /// reported that there is no such key.
    func forget(key: String) async -> AdminAnswer

    /// Refuses requests from now on. Returns when it is on this node's disk, or is known not to be, or the disk takes its
    /// time.
    func block(_ order: BlockOrder) async -> AdminResult<BlockReceipt>
    /// What is to be known of an order to block before it is given. Nothing is done.
    func outlook(on order: BlockOrder) -> AdminResult<BlockOutlook>
    func lift(_ order: LiftOrder) async -> AdminResult<BlockReceipt>
    /// Has the cluster begin with the list that this node has, where no peer has one. Returns when that is decided.
    func bootstrap(user: String) async -> AdminAnswer
    /// `nil` for a number that was not given out.
    func progress(ofOrder number: UInt64) -> BlockProgress?
    func blocks() -> BlockListing
    func clusterHealth() -> ClusterHealth
    /// No longer counts on a node of the cluster that does not answer, until it speaks.
    func forget(node: String, user: String) async -> AdminAnswer

    /// Reads the configuration anew and works by it; on any error nothing changes. The text says what changed.
    ///
    /// - Parameter isForced: also where it loses a key store that has just been used.
    func reload(isForced: Bool) async -> AdminAnswer
    /// Logs nothing below this level until the next reload or restart. Refused where that would hide orders.
    func setLogLevel(_ level: String) async -> AdminAnswer
    /// The last lines of the log, the oldest first.
    func logTail() -> [String]
    /// The heads of audit logs that this node keeps: of the node of this name, or of all. Reads a file: blocks.
    func auditHeads(of node: String?) -> AuditHeads
    /// The `kmsRequestId` for requests by which a command looks whether this node answers: for some minutes, those that bear
    /// it count for nothing.
    func beginDiagnosis() -> String
    /// Ends the node as SIGTERM does. Answers before it has ended.
    func drainNode() async -> AdminAnswer
}

/// A value, or why there is none.
package enum AdminResult<Value: Sendable>: Sendable {
    case done(Value)
    /// The order itself is wrong: the text names the thing, the value and the mend.
    case malformed(String)
    /// What it names does not exist.
    case unknown(String)
}

/// The last lines of a node's log.
package struct LogTail: Sendable, Equatable, Codable {
    /// The oldest first.
    package var lines: [String]

    package init(lines: [String]) { self.lines = lines }
}

/// The body of an answer to a command: exactly one of `message` and `error`.
package struct AdminReply: Sendable, Equatable, Codable {
    package var message: String?
    package var error: String?
    /// Beside a message: what was done all the same, and should be mended.
    package var warnings: [String]?
    /// Beside an error: the name that is not known, and those that would have been.
    package var name: String?
    package var known: [String]?

    package init(
        message: String? = nil, error: String? = nil, name: String? = nil, known: [String]? = nil,
        warnings: [String]? = nil
    ) {
        self.warnings = warnings
        self.message = message
        self.error = error
        self.name = name
        self.known = known
    }
}
