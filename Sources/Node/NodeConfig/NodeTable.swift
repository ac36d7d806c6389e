// SPDX-License-Identifier: Apache-2.0

/// How the lines of the log look.
package enum LogFormatSetting: String, Sendable, CaseIterable {
    /// For people where the log goes to a terminal, JSON elsewhere.
    case automatic = "auto"
    case json
    case text
}

/// `[node]`: who this node is and where it keeps its state.
package struct NodeIdentitySettings: Sendable, Equatable {
    /// `state_dir` where the file names none.
    package static let standardStateDirectory = "/var/lib/claviger"

    package var id: String
    package var site: String
    /// Absolute path.
    package var stateDirectory: String
    /// How long the node goes on accepting requests after it has turned unready: 0 s to 5 min.
    package var drainDelay: Duration
    /// Threads that serve requests, 1 to 64; `nil` leaves it to the number of processors.
    package var eventLoops: Int?
    /// Whose members may give orders besides root and the node's user; `nil`: nobody.
    package var adminGroup: String?
    /// One of `logLevels`.
    package var logLevel: String
    package var logFormat: LogFormatSetting
    /// What all that is not authenticated may make the node hold, bytes.
    package var maxUnauthenticatedBytes: Int

    /// From the one that says most to the one that says least. Orders are of the last.
    package static let logLevels = ["trace", "debug", "info", "notice"]

    package init(
        id: String, site: String, stateDirectory: String, drainDelay: Duration = .zero, eventLoops: Int? = nil,
        adminGroup: String? = nil, logLevel: String = "info", logFormat: LogFormatSetting = .automatic,
        maxUnauthenticatedBytes: Int = 67_108_864
    ) {
        self.adminGroup = adminGroup
        self.id = id
        self.site = site
        self.stateDirectory = stateDirectory
        self.drainDelay = drainDelay
        self.eventLoops = eventLoops
        self.logLevel = logLevel
        self.logFormat = logFormat
        self.maxUnauthenticatedBytes = maxUnauthenticatedBytes
    }
}

enum NodeKeys {
    static let id = ConfigurationKey(
        "id", "string, 1 to 64 of `A-Z a-z 0-9 . _ -`", standard: "required",
        "Name of this node, in logs and status, and in its certificate where there is a `[cluster]`. No two nodes may "
            + "share one.")
    static let site = ConfigurationKey(
        "site", "string, 1 to 64 of `A-Z a-z 0-9 . _ -`", standard: "\"default\"",
        "Name of the place where the node stands, in logs and status. Nodes of one site take one another for near: they "
            + "are sooner found dead, and are first asked for help.")
    static let stateDirectory = ConfigurationKey(
        "state_dir", "path", standard: "\"\(NodeIdentitySettings.standardStateDirectory)\"",
        "Directory for what the node keeps. It must be writable by the node, and by nobody else.")
    static let drainDelay = DurationKey(
        "drain_delay", .zero...(.seconds(300)), standard: .zero, standardText: "`\"0s\"`; with `[cluster]` `\"3s\"`",
        "How long the node goes on accepting requests after SIGTERM or `claviger drain`, while `/readyz` says 503: the time "
            + "that load balancers need to see it. Then it finishes what is in flight, and ends.",
        cost: "Each stop takes so much longer. Less than a load balancer's interval of checks, times the failures it "
            + "waits for, and it sends requests to a closed port.")
    static let clusterDrainDelay = Duration.seconds(3)
    static let eventLoopRange = 1...64
    static let eventLoops = ConfigurationKey(
        "event_loops", "integer, \(eventLoopRange.lowerBound) to \(eventLoopRange.upperBound)",
        standard: "one less than the processors that the node may use, at least 1",
        "Threads that read requests, check them and write the answers. The calls into the HSMs' libraries have threads of "
            + "their own, in other processes.",
        cost: "With as many as processors they displace those threads: measured on two, a request costs 6 % more.")
    static let adminGroup = ConfigurationKey(
        "admin_group", "string, 1 to 32 of `A-Z a-z 0-9 . _ -`", standard: "none",
        "A group of the host whose members may give orders to the node, besides root and the node's own user: the admin "
            + "socket is that group's too (0660), and the group may pass through `state_dir` (0710). The node's user must "
            + "be in it. Members who cannot read this file name the node by `--state-dir`.",
        cost: "Whoever is in it can do all that `claviger` commands can: lift blocks, trust keys, end the node.")
    static let logLevel = ConfigurationKey(
        "log_level", NodeIdentitySettings.logLevels.map { "`\"\($0)\"`" }.joined(separator: ", "), standard: "\"info\"",
        "What is less important than this is not logged. Each request is a line of level `info`. Until the next reload or "
            + "restart `claviger log level` sets another. Orders are of level `notice`, so that no setting hides them.",
        cost:
            "With `notice` only those requests have a line that failed by a fault of this side; `debug` and `trace` are for "
            + "the search for a fault.")
    static let logFormat = ConfigurationKey(
        "log_format", LogFormatSetting.allCases.map { "`\"\($0.rawValue)\"`" }.joined(separator: ", "),
        standard: "\"\(LogFormatSetting.automatic.rawValue)\"",
        "How the lines of the log look: `json`, one object a line; `text`, for people; `auto`, text where standard error is a "
            + "terminal and JSON elsewhere. Text escapes all that JSON escapes, and whatever is not ASCII unless `LC_ALL`, "
            + "`LC_CTYPE` or `LANG` names UTF-8.")
    static let maxUnauthenticatedBytes = IntegerKey(
        "max_unauthenticated_bytes", 4_194_304...4_294_967_296, standard: 67_108_864, unit: "bytes",
        "Memory that clients of all listeners may make the node hold before they have authenticated: connections, requests "
            + "that have begun, bodies. Beyond it the oldest connections are closed; `claviger status --json` shows how it "
            + "is divided, `limits`.",
        cost: "Anybody who reaches a port can make the node hold this much.")
    static let all = [
        id, site, stateDirectory, drainDelay.key, eventLoops, adminGroup, logLevel, logFormat,
        maxUnauthenticatedBytes.key,
    ]
}

extension TableReader {
    func nodeIdentity(isClustered: Bool, resolve: (String) -> String) -> NodeIdentitySettings {
        let id = name(NodeKeys.id, example: "fra-1")
        let site = has(NodeKeys.site) ? name(NodeKeys.site, example: "fra") : nil
        let directory = filePath(NodeKeys.stateDirectory, resolve: resolve)
        return NodeIdentitySettings(
            id: id ?? "", site: site ?? "default",
            stateDirectory: directory ?? NodeIdentitySettings.standardStateDirectory,
            drainDelay: isClustered && !has(NodeKeys.drainDelay.key)
                ? NodeKeys.clusterDrainDelay : duration(NodeKeys.drainDelay),
            eventLoops: integer(NodeKeys.eventLoops, range: NodeKeys.eventLoopRange),
            adminGroup: text(
                NodeKeys.adminGroup, required: nil, "must be 1 to 32 of A-Z a-z 0-9 . _ -",
                fix: "write the name of a group, such as \"claviger-admin\""
            ) { (1...32).contains($0.utf8.count) && SettingName.isIdentifier($0) },
            logLevel: logLevel(), logFormat: logFormat(),
            maxUnauthenticatedBytes: integer(NodeKeys.maxUnauthenticatedBytes))
    }

    private func logLevel() -> String {
        let levels = NodeIdentitySettings.logLevels
        let level = text(
            NodeKeys.logLevel, required: nil, "must be one of \(levels.joined(separator: ", "))",
            fix: "take \"info\", or leave it out",
            accepts: levels.contains)
        return level ?? "info"
    }

    private func logFormat() -> LogFormatSetting {
        let formats = LogFormatSetting.allCases.map(\.rawValue)
        let format = text(
            NodeKeys.logFormat, required: nil, "must be one of \(formats.joined(separator: ", "))",
            fix: "take \"auto\", or leave it out", accepts: formats.contains)
        return format.flatMap(LogFormatSetting.init) ?? .automatic
    }

    /// A name that people give to a thing and that appears in logs, paths and status.
    func name(_ key: ConfigurationKey, example: String) -> String? {
        text(
            key, required: example, "must be 1 to 64 of A-Z a-z 0-9 . _ -",
            fix: "choose a name such as \"\(example)\"", accepts: SettingName.isValid)
    }
}

enum SettingName {
    static func isValid(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count) && isIdentifier(name)
    }

    /// Only `A-Z a-z 0-9 . _ -`: also what an external key id is made of (XKS 1.0.3, "URI path").
    static func isIdentifier(_ name: String) -> Bool {
        name.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0)
                || $0 == 0x2E || $0 == 0x5F || $0 == 0x2D
        }
    }
}
