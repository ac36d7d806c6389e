// SPDX-License-Identifier: Apache-2.0
import StatusVocabulary

/// An HSM as the node last saw it. Times are Unix seconds, latencies microseconds.
package struct StoredHSM: Sendable, Equatable, Codable {
    /// The name in the configuration; one row for each.
    package var name: String
    package var module: String
    package var tokenLabel: String
    package var serial: String
    package var vendor: String
    package var model: String
    package var firmware: String
    /// Sessions that the token allows; `nil` when it sets no limit or does not report.
    package var sessionLimit: Int?
    package var state: StateWord<HSMState>
    /// Why it is in this state, in words.
    package var reason: String
    package var sinceUnixSeconds: Int
    package var p50Microseconds: Int
    package var p95Microseconds: Int
    package var p99Microseconds: Int
    /// Failures since the node started.
    package var failures: Int
    package var lanesOpen: Int
    package var lanesBusy: Int
    package var lanesOverdue: Int
    /// `nil` while no worker runs.
    package var workerPID: Int?
    package var updatedUnixSeconds: Int

    package init(
        name: String, module: String = "", tokenLabel: String = "", serial: String = "", vendor: String = "",
        model: String = "", firmware: String = "", sessionLimit: Int? = nil, state: HSMState, reason: String = "",
        sinceUnixSeconds: Int, p50Microseconds: Int = 0, p95Microseconds: Int = 0, p99Microseconds: Int = 0,
        failures: Int = 0, lanesOpen: Int = 0, lanesBusy: Int = 0, lanesOverdue: Int = 0, workerPID: Int? = nil,
        updatedUnixSeconds: Int
    ) {
        self.name = name
        self.module = module
        self.tokenLabel = tokenLabel
        self.serial = serial
        self.vendor = vendor
        self.model = model
        self.firmware = firmware
        self.sessionLimit = sessionLimit
        self.state = StateWord(state)
        self.reason = reason
        self.sinceUnixSeconds = sinceUnixSeconds
        self.p50Microseconds = p50Microseconds
        self.p95Microseconds = p95Microseconds
        self.p99Microseconds = p99Microseconds
        self.failures = failures
        self.lanesOpen = lanesOpen
        self.lanesBusy = lanesBusy
        self.lanesOverdue = lanesOverdue
        self.workerPID = workerPID
        self.updatedUnixSeconds = updatedUnixSeconds
    }

    enum CodingKeys: String, CodingKey {
        case name, module, serial, vendor, model, firmware, state, reason, failures
        case tokenLabel = "token_label"
        case sessionLimit = "session_limit"
        case sinceUnixSeconds = "since_unix_seconds"
        case p50Microseconds = "p50_microseconds"
        case p95Microseconds = "p95_microseconds"
        case p99Microseconds = "p99_microseconds"
        case lanesOpen = "lanes_open"
        case lanesBusy = "lanes_busy"
        case lanesOverdue = "lanes_overdue"
        case workerPID = "worker_pid"
        case updatedUnixSeconds = "updated_unix_seconds"
    }
}

/// A change of an HSM's state, and its cause.
package struct StoredTransition: Sendable, Hashable, Codable {
    package var hsm: String
    package var from: StateWord<HSMState>
    package var to: StateWord<HSMState>
    package var reason: String
    package var atUnixMilliseconds: Int

    package init(hsm: String, from: HSMState, to: HSMState, reason: String, atUnixMilliseconds: Int) {
        self.hsm = hsm
        self.from = StateWord(from)
        self.to = StateWord(to)
        self.reason = reason
        self.atUnixMilliseconds = atUnixMilliseconds
    }

    enum CodingKeys: String, CodingKey {
        case hsm, reason
        case from = "from_state"
        case to = "to_state"
        case atUnixMilliseconds = "at_unix_milliseconds"
    }
}

/// One field of the matrix key × HSM.
package struct StoredKey: Sendable, Equatable, Codable {
    package var label: String
    package var hsm: String
    package var verdict: StateWord<KeyState>
    /// What led to the verdict, in words.
    package var detail: String
    /// What the key's attributes allow, in words.
    package var usage: String
    package var checkedUnixSeconds: Int
    /// Totals as the node that recorded them counts.
    package var encrypts: Int
    package var decrypts: Int

    package init(
        label: String, hsm: String, verdict: KeyState, detail: String = "", usage: String = "", checkedUnixSeconds: Int,
        encrypts: Int = 0, decrypts: Int = 0
    ) {
        self.label = label
        self.hsm = hsm
        self.verdict = StateWord(verdict)
        self.detail = detail
        self.usage = usage
        self.checkedUnixSeconds = checkedUnixSeconds
        self.encrypts = encrypts
        self.decrypts = decrypts
    }

    enum CodingKeys: String, CodingKey {
        case label, hsm, verdict, detail, usage, encrypts, decrypts
        case checkedUnixSeconds = "checked_unix_seconds"
    }
}

/// A random block encrypted once under a key, and the digest of the block: an HSM that opens it holds the same key.
/// Nothing in it is secret.
package struct StoredCanary: Sendable, Equatable {
    package var label: String
    package var iv: [UInt8]
    /// Ciphertext and tag.
    package var ciphertext: [UInt8]
    /// SHA-256 of the block.
    package var digest: [UInt8]
    /// The HSM that made it.
    package var hsm: String
    package var madeUnixSeconds: Int
    /// An operator said that the HSM that made it holds the right key.
    package var trustedByOperator: Bool
    /// Why the key is refused everywhere, in words, while HSMs disagree on it and no operator has decided.
    package var dispute: String?
    package var history: StoredCanaryHistory

    package init(
        label: String, iv: [UInt8], ciphertext: [UInt8], digest: [UInt8], hsm: String, madeUnixSeconds: Int,
        trustedByOperator: Bool = false, dispute: String? = nil, history: StoredCanaryHistory = StoredCanaryHistory()
    ) {
        self.label = label
        self.iv = iv
        self.ciphertext = ciphertext
        self.digest = digest
        self.hsm = hsm
        self.madeUnixSeconds = madeUnixSeconds
        self.trustedByOperator = trustedByOperator
        self.dispute = dispute
        self.history = history
    }
}

/// A node that has run from this state directory.
package struct StoredNode: Sendable, Equatable, Codable {
    package var id: String
    /// Grows with each start.
    package var incarnation: Int
    package var pid: Int
    /// When the process started, in clock ticks since boot (proc_pid_stat(5), field 22): distinguishes it from a later
    /// process of the same number.
    package var processStart: Int
    package var startedUnixSeconds: Int
    package var version: String

    package init(
        id: String, incarnation: Int, pid: Int, processStart: Int, startedUnixSeconds: Int, version: String
    ) {
        self.id = id
        self.incarnation = incarnation
        self.pid = pid
        self.processStart = processStart
        self.startedUnixSeconds = startedUnixSeconds
        self.version = version
    }

    enum CodingKeys: String, CodingKey {
        case id, incarnation, pid, version
        case processStart = "process_start"
        case startedUnixSeconds = "started_unix_seconds"
    }
}
