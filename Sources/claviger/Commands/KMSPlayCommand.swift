// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import KMSPlay
import KMSWords
import NIOPosix
import PrivateFiles
import XKSClient

/// `claviger kms-play`
struct KMSPlayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kms-play",
        abstract: "Play AWS KMS: send a proxy what KMS would, and tell what KMS's callers would have seen.",
        discussion:
            "CreateKey, GenerateDataKey, Decrypt and ReEncrypt, and the health poll, at a constant rate whatever comes of "
            + "them. Each request has KMS's 250 ms, connecting included, and a network time-out is tried again once. Failures are "
            + "told in KMS's own names and sentences; claviger explain says more of each. Ciphertext is made and opened with the "
            + "key; nothing else is changed. Status 0: every caller got what it asked for. Status 1: one did not. Status 2: what "
            + "was given is wrong. Guide: docs/guides/certify.md.")

    @OptionGroup var proxy: ProxyOptions

    @Option(help: "Calls a second, 0.1 to 5000.")
    var rate = 10.0

    @Option(help: "For how many seconds calls begin, 1 to 86400.")
    var seconds = 10.0

    @Option(
        help: ArgumentHelp(
            "How often each is called: create-key, generate-data-key, decrypt, re-encrypt.", valueName: "name=share,…"))
    var mix = "generate-data-key=45,decrypt=45,re-encrypt=8,create-key=2"

    @Option(help: "Seconds between two health polls, 1 to 3600; the first comes at once.")
    var poll = 60.0

    @Option(
        help: ArgumentHelp(
            "Write the ciphertexts that were made (the last 1,024) into a new file, for claviger check --against.",
            valueName: "file"), completion: .file())
    var keep: String?

    @Flag(help: "Print JSON, on one line (docs/reference/commands.md).")
    var json = false

    func validate() throws {
        guard (0.1...5_000).contains(rate) else { throw ValidationError("--rate is 0.1 to 5000 calls a second.") }
        guard (1...86_400).contains(seconds) else { throw ValidationError("--seconds is 1 to 86400.") }
        guard (1...3_600).contains(poll) else { throw ValidationError("--poll is 1 to 3600 seconds.") }
        guard PlayPlan.Mix(mix) != nil else {
            throw ValidationError("--mix is of the form generate-data-key=45,decrypt=55: shares, one above 0.")
        }
    }

    func run() async throws {
        if let keep, PrivateFiles.exists(keep) {
            throw failure("--keep \(keep): is there already; name a new file", status: ExitStatus.start)
        }
        let signer = try proxy.signer()
        let tls = try proxy.tls()
        let connector: XKSConnector
        do { connector = try XKSConnector(signer.endpoint, tls: tls) } catch {
            throw failure("--ca cannot be used: \(error)", status: ExitStatus.configuration)
        }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let plan = PlayPlan(
            mix: PlayPlan.Mix(mix) ?? .standard, rate: rate, seconds: seconds, pollSeconds: poll,
            seed: UInt64.random(in: .min ... .max))
        let run = KMSPlayRun(
            connector: connector, signer: signer, key: proxy.key, region: proxy.region, loop: group.next(),
            report: PlayReport(
                url: signer.endpoint.description, key: proxy.key, rate: rate, seconds: seconds))
        let report = await run.play(plan)
        try? await group.shutdownGracefully()
        if let keep, run.kept.isEmpty {
            printError("--keep \(keep): not written, for nothing was encrypted")
        } else if let keep {
            let lines = run.kept.map { $0.entry(key: proxy.key, keyStore: signer.endpoint.prefix) + "\n" }
            do { try PrivateFiles.write(lines.joined(), to: keep) } catch {
                throw failure("--keep: \(error)", status: ExitStatus.start)
            }
        }
        if json {
            printLine(try JSONLine.text(report), isForPrograms: true)
        } else {
            printLine(report.text { id in KMSWord.all.first { $0.id == id }?.sentences.first })
        }
        guard report.isGood else { throw ExitStatus.notDone }
    }
}
