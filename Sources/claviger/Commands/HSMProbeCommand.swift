// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser
import Foundation
import HSMWorker
import LaneProtocol
import NodeConfig
import PKCS11
import SecureMemory

/// `claviger hsm probe MODULE --token LABEL`
struct HSMProbeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "probe",
        abstract: "Find out how a token wants AES-GCM to be called, and what it can do.",
        discussion: "Logs in, makes an AES-256 key that ends with the session, and tries it. No key on the token is "
            + "touched. Claviger does the same, shorter, whenever it connects to an HSM; so this is for people who "
            + "want to know, and for the `profile` setting. Status 2 when the token cannot serve, or cannot be reached."
    )

    @Argument(
        help: "Path of the PKCS#11 library, for example /usr/lib/softhsm/libsofthsm2.so.",
        completion: .file(extensions: ["so"]))
    var module: String

    @Option(help: "Label of the token.")
    var token: String?

    @Option(help: "Serial number of the token, instead of its label.")
    var serial: String?

    @Option(help: "Slot of the token, instead of its label.")
    var slot: UInt64?

    @Option(help: "File that holds the user PIN. Without it there is no login.", completion: .file())
    var pinFile: String?

    @Option(help: "Text for C_Initialize (pReserved), as NSS softoken wants it.")
    var initializeArguments: String?

    @Option(
        help: "Try this profile instead of finding one (\(HSMProbeCommand.profileNames)).",
        completion: .list(GCMProfile.names.map(\.name)))
    var profile: String?

    @Flag(help: "Print JSON, on one line.")
    var json = false

    private static var profileNames: String { GCMProfile.names.map(\.name).joined(separator: ", ") }

    func validate() throws {
        guard [token != nil, serial != nil, slot != nil].filter({ $0 }).count == 1 else {
            throw ValidationError("Name the token by one of --token, --serial and --slot.")
        }
        if let profile, GCMProfile(named: profile) == nil {
            throw ValidationError("There is no profile \"\(profile)\"; there are: \(Self.profileNames).")
        }
    }

    private var selector: TokenSelector {
        if let serial { return .serial(serial) }
        if let slot { return .slot(slot) }
        return .label(token ?? "")
    }

    func run() throws { try LibraryProcess.run(hiding: try? pin(), isForPrograms: json) { try probe() } }

    private func pin() throws -> SecretBytes? { try pinFile.map { try SecretReader(taking: []).read(.file($0)) } }

    private func probe() throws -> String {
        do {
            let pin = try pin()
            let report = try CapabilityReport.read(
                module: module, initializeArguments: initializeArguments, token: selector, pin: pin,
                profile: profile.flatMap { GCMProfile(named: $0) })
            return json ? try Self.encode(report) + "\n" : Terminal.shown(report.text)
        } catch let error as WorkerFailure {
            throw failure(error.message, status: ExitStatus.configuration)
        } catch let problem as SecretProblem {
            throw failure("\(problem.message); \(problem.fix)", status: ExitStatus.configuration)
        }
    }

    private static func encode(_ report: CapabilityReport) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(ProbeDocument(report)), as: UTF8.self)
    }
}

/// The report as JSON: names as in PKCS#11 and in the configuration.
private struct ProbeDocument: Encodable {
    struct Limit: Encodable {
        var accepted: Int
        var refusal: String?

        init(_ limit: CapabilityReport.Limit) {
            accepted = limit.accepted
            refusal = limit.refusal.map { "\($0)" }
        }
    }

    struct Way: Encodable {
        var parameter: String
        var ivSource: String?
        var refusal: String?
    }

    var module: String
    var library: String
    var cryptokiVersion: String
    var threads: Bool
    var label: String
    var serial: String
    var model: String
    var firmware: String
    var slot: UInt64
    /// 0 when the token reports none.
    var sessionLimit: UInt64
    var generatorRefusal: String?
    var listsGCM: Bool
    var takesMessages: Bool
    var keyRefusal: String?
    var profile: String?
    var profileWasGiven: Bool?
    var ivSource: String?
    var wrongTag: String?
    var parameters: [Way]?
    var largestData: Limit?
    var largestAAD: Limit?
    var ivLengths: [String: String]?
    var readableAttributes: [String]?
    var hiddenAttributes: [String]?

    init(_ report: CapabilityReport) {
        let identity = report.token.identity
        module = report.module
        library = "\(report.library.description) \(report.library.version)"
        cryptokiVersion = report.library.cryptokiVersion
        threads = report.allowsThreads
        label = identity.label
        serial = identity.serial
        model = identity.model
        firmware = identity.firmware
        slot = identity.slot
        sessionLimit = identity.sessionLimit
        generatorRefusal = report.generatorRefusal.map { "\($0)" }
        listsGCM = report.listsGCM
        takesMessages = report.takesMessages
        keyRefusal = report.keyRefusal.map { "\($0)" }
        guard let trials = report.trials else { return }
        let capabilities = trials.capabilities
        profile = capabilities.profile.name
        profileWasGiven = trials.profileWasGiven
        ivSource = "\(capabilities.profile.ivSource)"
        let code = ReturnCode(rawValue: UInt(truncatingIfNeeded: capabilities.wrongTagCode))
        wrongTag = code.isOK ? nil : code.name
        parameters = trials.ways.map { way in
            Way(
                parameter: "\(way.layout)", ivSource: way.ivSource.map { "\($0)" },
                refusal: way.refusal.map { "\($0)" })
        }
        largestData = Limit(trials.largestData)
        largestAAD = Limit(trials.largestAAD)
        ivLengths = Dictionary(uniqueKeysWithValues: trials.ivLengths.map { ("\($0)", $1.rawValue) })
        readableAttributes = trials.attributes.filter(\.isReadable).map(\.name)
        hiddenAttributes = trials.attributes.filter { !$0.isReadable }.map(\.name)
    }
}
