// SPDX-License-Identifier: Apache-2.0

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
        cost: "A session of the token's limit, which all nodes together share; a thread and two descriptors each. How "
            + "many of them help at a time is learned, and no more than that are used.")
    static let depth = IntegerKey(
        "depth", 1...8, standard: 1,
        "Requests that a lane may have at a time: the one that the HSM is at, and those that wait behind it in the "
            + "worker's socket. They are sent there only when no lane is free. Above 1 for a library that computes on "
            + "this host (SoftHSM), or where throughput counts more than the slowest request: a lane then goes from one "
            + "request to the next without waiting for the node.",
        cost: "A request behind a slow call waits for it, though another lane may come free sooner. It is sent to "
            + "another HSM when the lane's patience ends, as it would be if it were called.")
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
        "How often the token is searched for new and deleted keys, and known ones are read again. On a slow token with "
            + "very many keys it is done less often: it takes a tenth of one session's time at most.",
        cost: "A new key, and one that was exchanged, is found so much later.")
    static let probeInterval = DurationKey(
        "probe_interval", .milliseconds(500)...(.seconds(20)), standard: .seconds(5),
        "How often a test key encrypts and decrypts, which is what health is told from.",
        cost: "A fault of an idle HSM is noticed so much later. XKS 1.0.3 allows health at most 60 s old; "
            + "20 s leave room for probes that are late.")
    static let tier = IntegerKey(
        "tier", 0...9, standard: 0,
        "Which HSMs are asked first: those of tier 0 until none of them can serve, then those of tier 1, and so on. "
            + "For HSMs that are slower or far away.",
        cost: "The HSM stands idle, but for its probes, while one of a lower tier serves.")
    static let weight = IntegerKey(
        "weight", 1...1000, standard: 100,
        "Share of the requests among the HSMs of a tier: of two that are equally fast, one of weight 200 is given twice "
            + "as many as one of 100.",
        cost: "More than the HSM is worth in truth fills its lanes while others have room; its latency then counts "
            + "against it.")
    static let profile = ConfigurationKey(
        "profile", HSMProfileName.all.map { "`\"\($0)\"`" }.joined(separator: ", "), standard: "\"auto\"",
        "How the HSM does AES-GCM. `auto` finds it out at each start; `claviger hsm probe` shows what it finds. The "
            + "others say who makes the IV: `caller`: Claviger; `buffer`: the HSM, into the zeroed buffer that it is "
            + "given; `appended`: the HSM, 16 bytes after the tag; each with `-40` for a library whose CK_GCM_PARAMS "
            + "has no ulIvBits (40 bytes in place of 48). `message` is the message encryption of PKCS#11 3.0. A "
            + "product's name stands for what is known of it.",
        cost: "A profile that does not fit makes every encryption fail, and the HSM is out until the file is mended.")
    static let initializeArguments = ConfigurationKey(
        "initialize_arguments", "string, 1 to \(initializeArgumentsLimit) bytes", standard: "none",
        "Text for the library's C_Initialize, as pReserved. NSS softoken wants it: "
            + "`initialize_arguments = \"configdir='sql:/etc/claviger/nss'\"`. No place for secrets.")
    static let sessionLimit = IntegerKey(
        "session_limit", 0...65535, standard: 0,
        "Most sessions that all node processes of this host together may hold with the token, lanes and the one that "
            + "holds the login alike. 0: what the token tells (CK_TOKEN_INFO.ulMaxSessionCount). For tokens that tell "
            + "nothing, or whose sessions other hosts share. At least 3: login, probe, and one for requests.",
        cost: "Beyond what the token gives, sessions are refused in the midst of work, and to others who use it.")
    static let initializeArgumentsLimit = 4096
    static let all =
        [
            name, module, token, pin, tier.key, weight.key, sessions.key, depth.key, sessionLimit.key, environment,
            initializeArguments, profile, stuckAfter.key, catalogueInterval.key, probeInterval.key,
        ] + SandboxKeys.all
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

/// What `hsm.profile` may say.
package enum HSMProfileName {
    static let standard = "auto"
    package static let all = [
        standard, "caller", "caller-40", "buffer", "buffer-40", "appended", "appended-40", "message", "softhsm", "luna",
        "luna-fips", "nshield", "cloudhsm", "protectserver", "nss",
    ]
}
