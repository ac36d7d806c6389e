// SPDX-License-Identifier: Apache-2.0

/// `[[hsm]]`: one PKCS#11 token, served by a worker process of its own.
package struct HSMSettings: Sendable, Equatable {
    /// How the token is chosen among the library's slots.
    package enum Token: Sendable, Hashable {
        /// CK_TOKEN_INFO.label without its trailing blanks (PKCS#11 2.40, 3.2).
        case label(String)
        /// CK_TOKEN_INFO.serialNumber without its trailing blanks.
        case serial(String)
        /// The slot's ID.
        case slot(UInt64)
    }

    package var name: String
    /// Absolute path of the PKCS#11 library.
    package var module: String
    package var token: Token
    /// The user PIN; `nil` for a token that wants no login.
    package var pin: SecretSource?
    /// 1 to 1024.
    package var sessions: Int
    /// Added to the worker's environment.
    package var environment: [String: String]
    package var stuckAfter: Duration
    package var catalogueInterval: Duration
    package var probeInterval: Duration

    package init(
        name: String, module: String, token: Token, pin: SecretSource?, sessions: Int = 16,
        environment: [String: String] = [:], stuckAfter: Duration = .seconds(2),
        catalogueInterval: Duration = .seconds(5), probeInterval: Duration = .seconds(5)
    ) {
        self.name = name
        self.module = module
        self.token = token
        self.pin = pin
        self.sessions = sessions
        self.environment = environment
        self.stuckAfter = stuckAfter
        self.catalogueInterval = catalogueInterval
        self.probeInterval = probeInterval
    }
}

enum HSMKeys {
    static let name = ConfigurationKey(
        "name", "string, 1 to 64 of `A-Z a-z 0-9 . _ -`", standard: "required",
        "Name of the HSM, in logs, status and `keystore.hsms`. No two may share one.")
    static let module = ConfigurationKey(
        "module", "path", standard: "required", "The vendor's PKCS#11 library. Only the HSM's worker process loads it.")
    static let token = ConfigurationKey(
        "token", "table", standard: "required", "Which token of the library, see below.")
    static let pin = ConfigurationKey(
        "pin", "secret", standard: "none: no login", "Where the user PIN is to be had, see \"Secrets\" below.")
    static let sessions = IntegerKey(
        "sessions", 1...1024, standard: 16,
        "Sessions with the token, and so requests that it serves at a time: each is a lane (a thread of the worker, a "
            + "socket pair, a PKCS#11 session).",
        cost: "A session of the token's limit, which all nodes together share; a thread and two descriptors each. More "
            + "than the HSM works on at once only lengthens its own queue.")
    static let environment = ConfigurationKey(
        "env", "table of strings", standard: "none",
        "Environment variables for the worker, such as vendors' libraries read when they are loaded "
            + "(`SOFTHSM2_CONF`, `CKNFAST_LOADSHARING`). No place for secrets.")
    static let stuckAfter = DurationKey(
        "stuck_after", .milliseconds(200)...(.seconds(600)), standard: .seconds(2),
        "How long calls may overstay before the worker is killed and started anew.",
        cost: "A library that hangs holds its sessions so much longer. Below the longest call of a healthy HSM, "
            + "workers are killed without need.")
    static let catalogueInterval = DurationKey(
        "catalogue_interval", .seconds(1)...(.seconds(3600)), standard: .seconds(5),
        "How often the token is searched for new and deleted keys.",
        cost: "A new key is found so much later. A short interval costs a search of all keys each time, which is slow "
            + "on tokens with thousands.")
    static let probeInterval = DurationKey(
        "probe_interval", .milliseconds(500)...(.seconds(60)), standard: .seconds(5),
        "How often a test key encrypts and decrypts, which is what health is told from.",
        cost: "A fault of an idle HSM is noticed so much later. XKS 1.0.3 allows health at most 60 s old.")
    static let all = [
        name, module, token, pin, sessions.key, environment, stuckAfter.key, catalogueInterval.key, probeInterval.key,
    ]
}

/// The keys of `hsm.token`; exactly one is given.
enum TokenKeys {
    static let label = ConfigurationKey(
        "label", "string, 1 to 32 bytes", standard: "none", "The token's label.")
    static let serial = ConfigurationKey(
        "serial", "string, 1 to 16 bytes", standard: "none", "The token's serial number.")
    static let slot = ConfigurationKey(
        "slot", "integer, 0 or more", standard: "none",
        "The slot's ID. Some libraries number their slots anew when tokens come and go: prefer label or serial.")
    static let all = [label, serial, slot]
}

extension TableReader {
    func hsm(resolve: (String) -> String) -> HSMSettings {
        if !has(HSMKeys.module) {
            reportMissing(HSMKeys.module, fix: "write module = \"/usr/lib/softhsm/libsofthsm2.so\", or your vendor's")
        }
        return HSMSettings(
            name: name(HSMKeys.name, example: "hsm-a") ?? "",
            module: filePath(HSMKeys.module, resolve: resolve) ?? "",
            token: token() ?? .label(""),
            pin: secret(HSMKeys.pin, resolve: resolve),
            sessions: integer(HSMKeys.sessions),
            environment: environment(),
            stuckAfter: duration(HSMKeys.stuckAfter),
            catalogueInterval: duration(HSMKeys.catalogueInterval),
            probeInterval: duration(HSMKeys.probeInterval))
    }

    private func token() -> HSMSettings.Token? {
        guard has(HSMKeys.token) else {
            reportMissing(HSMKeys.token, fix: "write token = { label = \"…\" }, { serial = \"…\" } or { slot = 0 }")
            return nil
        }
        guard let reader = table(HSMKeys.token, keys: TokenKeys.all) else { return nil }
        let given = TokenKeys.all.filter(reader.has)
        guard given.count == 1, let only = given.first else {
            problems.add(
                reader.path, given.isEmpty ? "names no token" : "names the token in more than one way",
                fix: "give exactly one of label, serial, slot")
            return nil
        }
        switch only.name {
        case TokenKeys.label.name: return reader.tokenText(TokenKeys.label, limit: 32).map(HSMSettings.Token.label)
        case TokenKeys.serial.name: return reader.tokenText(TokenKeys.serial, limit: 16).map(HSMSettings.Token.serial)
        default:
            let slot = reader.integer(TokenKeys.slot, range: 0...Int.max)
            return slot.map { .slot(UInt64($0)) }
        }
    }

    /// The fields of CK_TOKEN_INFO are padded with blanks to their length (PKCS#11 2.40, 3.2).
    private func tokenText(_ key: ConfigurationKey, limit: Int) -> String? {
        let text = text(
            key, required: nil, "must be 1 to \(limit) bytes, without blanks at the end",
            fix: "copy it from the output of `claviger hsm list MODULE`"
        ) { (1...limit).contains($0.utf8.count) && $0.utf8.last != UInt8(ascii: " ") }
        return text
    }

    private func environment() -> [String: String] {
        guard let node = node(HSMKeys.environment) else { return [:] }
        guard case .table(let values) = node else {
            report(HSMKeys.environment, "must be a table, and is \(node.kind)", fix: "write env = { NAME = \"value\" }")
            return [:]
        }
        var environment: [String: String] = [:]
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            let place = path(of: HSMKeys.environment.name) + "." + Shown.key(name)
            guard EnvironmentName.isValid(name) else {
                problems.add(place, "is not a name of an environment variable", fix: "use A-Z a-z 0-9 and _")
                continue
            }
            guard case .string(let text) = value, text.utf8.count <= 4096 else {
                problems.add(
                    place, "must be a string of at most 4096 bytes", fix: "write \(name) = \"value\", with the quotes")
                continue
            }
            environment[name] = text
        }
        return environment
    }
}
