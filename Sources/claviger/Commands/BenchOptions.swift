// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser
import LoadGenerator
import LoadPlan

/// What a load is like.
struct BenchOptions: ParsableArguments {
    @Option(help: ArgumentHelp("One rate, in an open loop: requests a second.", valueName: "number"))
    var rate: Double?

    @Flag(help: "A closed loop: each connection sends when its last request was answered.")
    var closed = false

    @Option(
        help: ArgumentHelp(
            "Connections of the closed loop (default: 16); in an open one, the most at a time (default: 128).",
            valueName: "number"))
    var connections: Int?

    @Option(
        name: .customLong("for"),
        help: ArgumentHelp(
            "How long each rate is measured: 500ms, 30s, 10m. A rate that was found is measured three times as long.",
            valueName: "duration"))
    var duration = "10s"

    @Option(help: ArgumentHelp("What comes before, and is not counted.", valueName: "duration"))
    var warmUp = "2s"

    @Option(help: ArgumentHelp("The first rate of the search.", valueName: "number"))
    var from = 100.0

    @Option(help: ArgumentHelp("The highest rate of the search.", valueName: "number"))
    var most = 100_000.0

    @Option(
        help: ArgumentHelp(
            "The round trip between KMS and here, which this measurement does not see: off the 250 ms. Three times that of the "
                + "network where KMS opens a connection.", valueName: "duration"))
    var roundTrip = "0ms"

    @Flag(help: "Requests as from many callers (a Poisson process), in place of even gaps.")
    var poisson = false

    @Option(
        name: .customLong("operations"),
        help: ArgumentHelp(
            "What is asked for, in turn: a list of encrypt, encrypt-integrity, decrypt, metadata, health. A word may stand "
                + "several times.", valueName: "list"))
    var operationList = "encrypt,decrypt"

    @Option(help: ArgumentHelp("Bytes of plaintext, 1 to 4096.", valueName: "number"))
    var size = 32

    @Option(
        help: ArgumentHelp(
            "After so many answers a connection is closed and another opened.", valueName: "number"))
    var requestsPerConnection: Int?

    @Option(help: ArgumentHelp("Threads of the generator, 1 to 64.", valueName: "number"))
    var threads = 1

    @Option(help: ArgumentHelp("The principal that the requests name; a policy has to allow it.", valueName: "arn"))
    var principal = "arn:aws:iam::000000000000:role/claviger-bench"

    func validate() throws {
        if closed, rate != nil {
            throw ValidationError("--rate is of an open loop, and --closed is none: give one of them.")
        }
        for (name, value) in [("--rate", rate), ("--from", from), ("--most", most)] {
            guard let value else { continue }
            guard ArrivalSchedule.rates.contains(value) else {
                throw ValidationError("\(name) takes 0.1 to 1000000 requests a second.")
            }
        }
        guard operations.count == operationList.split(separator: ",", omittingEmptySubsequences: false).count else {
            let names = BenchOperation.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--operations takes a list of \(names).")
        }
        guard (1...4_096).contains(size) else { throw ValidationError("--size takes 1 to 4096 bytes.") }
        guard (1...64).contains(threads) else { throw ValidationError("--threads takes 1 to 64.") }
        guard (1...65_536).contains(connections ?? 1) else { throw ValidationError("--connections takes 1 to 65536.") }
        guard (requestsPerConnection ?? 1) >= 1 else {
            throw ValidationError("--requests-per-connection takes 1 or more.")
        }
        guard (100...86_400_000).contains(CommandDuration.milliseconds(duration) ?? 0) else {
            throw ValidationError("--for takes 100ms to 24h: a whole number and ms, s, m or h.")
        }
        guard (0...3_600_000).contains(CommandDuration.milliseconds(warmUp) ?? -1) else {
            throw ValidationError("--warm-up takes 0ms to 1h: a whole number and ms, s, m or h.")
        }
        guard (0..<250).contains(CommandDuration.milliseconds(roundTrip) ?? -1) else {
            throw ValidationError("--round-trip takes 0ms to 249ms: KMS waits for 250.")
        }
    }

    var operations: [BenchOperation] {
        operationList.split(separator: ",", omittingEmptySubsequences: false).compactMap {
            BenchOperation(rawValue: String($0))
        }
    }
    var roundTripMilliseconds: Double { Double(CommandDuration.milliseconds(roundTrip) ?? 0) }
    var seconds: Double { Double(CommandDuration.milliseconds(duration) ?? 10_000) / 1_000 }
    var mode: BenchReport.Mode { closed ? .closed : rate != nil ? .open : .search }

    /// - Parameter rate: of an open loop.
    func settings(rate: Double, isLong: Bool = false) -> LoadSettings {
        settings(.open(rate: rate, poisson ? .poisson : .constant), isLong: isLong)
    }

    var closedSettings: LoadSettings { settings(.closed(connections: connections ?? 16), isLong: false) }

    private func settings(_ pace: LoadSettings.Pace, isLong: Bool) -> LoadSettings {
        LoadSettings(
            pace: pace, warmUp: Double(CommandDuration.milliseconds(warmUp) ?? 0) / 1_000,
            seconds: seconds * (isLong ? 3 : 1), mostConnections: connections ?? 128,
            requestsPerConnection: requestsPerConnection, threads: threads)
    }
}
