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
    /// 1 to 8; how many requests may be on a lane at a time, the call included.
    package var depth: Int
    /// Added to the worker's environment.
    package var environment: [String: String]
    package var stuckAfter: Duration
    package var catalogueInterval: Duration
    /// 500 ms to 20 s.
    package var probeInterval: Duration
    /// 0 to 9; HSMs of a higher tier are asked when none of the lower ones can serve.
    package var tier: Int
    /// 1 to 1000; the share of the requests among the HSMs of a tier.
    package var weight: Int
    /// How the HSM does AES-GCM: one of the names that the reference lists; `auto` when it is to be found out.
    package var profile: String
    /// Text for C_Initialize (pReserved), 1 to 4096 bytes; `nil` where the library wants none.
    package var initializeArguments: String?
    /// Most sessions of all node processes of this host together, 0 to 65535; 0 for what the token reports.
    package var sessionLimit: Int
    package var sandbox: Sandbox

    package init(
        name: String, module: String, token: Token, pin: SecretSource?, sessions: Int = 16, depth: Int = 1,
        environment: [String: String] = [:], stuckAfter: Duration = .seconds(2),
        catalogueInterval: Duration = .seconds(5), probeInterval: Duration = .seconds(5), tier: Int = 0,
        weight: Int = 100, profile: String = "auto", initializeArguments: String? = nil, sessionLimit: Int = 0,
        sandbox: Sandbox = Sandbox()
    ) {
        self.name = name
        self.module = module
        self.token = token
        self.pin = pin
        self.sessions = sessions
        self.depth = depth
        self.environment = environment
        self.stuckAfter = stuckAfter
        self.catalogueInterval = catalogueInterval
        self.probeInterval = probeInterval
        self.tier = tier
        self.weight = weight
        self.profile = profile
        self.initializeArguments = initializeArguments
        self.sessionLimit = sessionLimit
        self.sandbox = sandbox
    }
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
            depth: integer(HSMKeys.depth),
            environment: environment(),
            stuckAfter: duration(HSMKeys.stuckAfter),
            catalogueInterval: duration(HSMKeys.catalogueInterval),
            probeInterval: duration(HSMKeys.probeInterval),
            tier: integer(HSMKeys.tier),
            weight: integer(HSMKeys.weight),
            profile: profile(),
            initializeArguments: initializeArguments(),
            sessionLimit: sessionLimit(),
            sandbox: sandbox(resolve: resolve))
    }

    private func profile() -> String {
        guard let name = text(HSMKeys.profile) else { return HSMProfileName.standard }
        if HSMProfileName.all.contains(name) { return name }
        let nearest = NearestName.find(name, among: HSMProfileName.all)
        report(
            HSMKeys.profile, "is no known profile",
            fix: nearest.map { "did you mean \"\($0)\"?" }
                ?? "leave it out, or choose one of " + HSMProfileName.all.joined(separator: ", "))
        return HSMProfileName.standard
    }

    /// Login, probe and a lane take a session each.
    private static let fewestSessions = 3

    private func sessionLimit() -> Int {
        let limit = integer(HSMKeys.sessionLimit)
        if (1..<Self.fewestSessions).contains(limit) {
            report(
                HSMKeys.sessionLimit.key, "leaves no session for requests: login and probes hold two",
                fix: "give at least \(Self.fewestSessions), or 0 for what the token tells")
        }
        return limit
    }

    private func initializeArguments() -> String? {
        text(
            HSMKeys.initializeArguments, required: nil,
            "must be 1 to \(HSMKeys.initializeArgumentsLimit) bytes",
            fix: "leave it out, or write what the library's manual asks for"
        ) { (1...HSMKeys.initializeArgumentsLimit).contains($0.utf8.count) }
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
            let location = path(of: HSMKeys.environment.name) + "." + Shown.key(name)
            guard EnvironmentName.isValid(name) else {
                problems.add(location, "is not a name of an environment variable", fix: "use A-Z a-z 0-9 and _")
                continue
            }
            guard case .string(let text) = value, text.utf8.count <= 4096 else {
                problems.add(
                    location, "must be a string of at most 4096 bytes",
                    fix: "write \(name) = \"value\", with the quotes")
                continue
            }
            environment[name] = text
        }
        return environment
    }
}
