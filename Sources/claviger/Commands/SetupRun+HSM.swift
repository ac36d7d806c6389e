// SPDX-License-Identifier: Apache-2.0
import Foundation
import HSMPool
import NodeConfig
import PrivateFiles
import SecureMemory
import SetupPlan

/// What of an HSM is tried: by a process of its own each time, with the environment of a worker, as the node's user.
extension SetupRun {
    /// How long the library may take, seconds: a first connection to a network HSM takes some.
    private static let patience: UInt64 = 120
    /// How often a person may type a PIN that the token refuses: the third or tenth locks it.
    private static let mostRefusals = 2

    private func look(_ request: LookRequest, pin: SecretBytes?) throws -> LookReport {
        let json = String(decoding: try JSONEncoder().encode(request), as: UTF8.self)
        let user = owner.map { ["run-as", $0.name] } ?? []
        let answer = try LibraryProcess.ask(
            ["claviger"] + user + ["hsm-look", json],
            environment: WorkerEnvironment.variables(configured: environment), input: pin, within: Self.patience)
        return try JSONDecoder().decode(LookReport.self, from: Data(answer.utf8))
    }

    private var request: LookRequest {
        LookRequest(
            module: plan.answers.module ?? "", initializeArguments: command.initializeArguments,
            token: plan.answers.token.map { LookRequest.Token($0) })
    }

    func lookAtLibrary() throws -> [SetupToken] {
        var request = request
        request.token = nil
        let report = try look(request, pin: nil)
        if let failure = report.failure {
            throw SetupProblem("--module", value: request.module, failure, fix: "correct the path, or --env")
        }
        guard !report.tokens.isEmpty else {
            throw SetupProblem(
                "--module", value: request.module, "the library shows no token",
                fix: "look at its own configuration; what it wants in its environment is given by --env NAME=VALUE")
        }
        return report.tokens
    }

    func proveToken() throws {
        if let problem = plan.flawOfLogin(retriesRefused: command.retryRefusedPins) { throw problem }
    }

    // MARK: PIN

    mutating func takePIN() throws {
        do {
            if let file = command.pinFile {
                try takePIN(ofFile: absolute(file))
            } else {
                try askForPIN()
            }
        } catch let problem as SetupProblem {
            throw Self.end([problem])
        }
    }

    private mutating func takePIN(ofFile path: String) throws {
        let secret: SecretBytes
        do throws(SecretProblem) {
            secret = try SecretReader(taking: []).read(.file(path))
        } catch {
            throw SetupProblem("--pin-file", value: path, error.message, fix: error.fix)
        }
        let refused = refusedPINs(source(ofPIN: path))
        if !command.retryRefusedPins, let last = refused.refused(command.hsmName) {
            let date = Date(timeIntervalSince1970: TimeInterval(last.unixSeconds)).formatted(.iso8601)
            throw SetupProblem(
                "--pin-file", value: path,
                "the token refused this PIN on \(date): no login was tried, as a few more would lock the token",
                fix: "correct the PIN; if it was changed on the token instead, give --retry-refused-pins")
        }
        let report = try look(request, pin: secret)
        try note(refused, isRefused: report.isPINRefused)
        if let failure = report.failure {
            throw SetupProblem(
                report.isPINRefused ? "--pin-file" : "--token", value: report.isPINRefused ? path : plan.token?.label,
                failure, fix: "then run this again")
        }
        learn(report.keys)
        hold(.file(path))
    }

    private mutating func askForPIN() throws {
        guard SetupTerminal.isThere else {
            throw SetupProblem("--pin-file", "is missing", fix: SetupInterview.mend(.pin))
        }
        var refusals: [SecretBytes] = []
        while true {
            guard let typed = SetupTerminal.secret(prompt: SetupQuestion.pin.prompt + ": ") else {
                throw SetupProblem("--pin-file", "is missing: no PIN was typed", fix: SetupInterview.mend(.pin))
            }
            if typed.isEmpty { continue }
            if refusals.contains(typed) {
                SetupTerminal.say("The token has refused this one; it is not tried again.")
                continue
            }
            let report = try look(request, pin: typed)
            guard let failure = report.failure else {
                learn(report.keys)
                return hold(.typed(typed))
            }
            guard report.isPINRefused else {
                throw SetupProblem("--token", value: plan.token?.label, failure, fix: "then run this again")
            }
            refusals.append(typed)
            learn(try lookAtLibrary())
            guard refusals.count < Self.mostRefusals, plan.token?.isAtFinalTry != true else {
                throw SetupProblem(
                    "--token", value: plan.token?.label,
                    "the token refused the PIN, and a few more tries would lock it",
                    fix: "look the PIN up before you begin again")
            }
            SetupTerminal.say("The token refused the PIN. One more try; more would lock the token.")
        }
    }

    /// What `check` keeps of PINs that were refused.
    private func refusedPINs(_ source: SecretSource) -> RefusedPINs {
        let hsm = HSMSettings(
            name: command.hsmName, module: plan.answers.module ?? "", token: plan.answers.token ?? .slot(0), pin: source
        )
        return RefusedPINs(
            stateDirectory: plan.answers.stateDirectory ?? "", marks: [hsm.name: PINMark(hsm, source)])
    }

    private func note(_ refused: RefusedPINs, isRefused: Bool) throws {
        if isRefused { try makeStateDirectory() }
        refused.note(command.hsmName, isRefused: isRefused)
        if let trouble = refused.flush() {
            printError("claviger: that the PIN was refused could not be kept: \(trouble)")
        }
        // Root has written it, and the node's user is to read it.
        if let owner, isRefused, let directory = plan.answers.stateDirectory {
            lchown("\(directory)/\(RefusedPINs.name)", owner.user, owner.group)
        }
    }

    // MARK: Keys

    /// Each key that is named one by one must encrypt and decrypt; one that is wanted is made.
    mutating func proveKeys() throws {
        let named = plan.answers.keys
        if let problem = plan.flaws(ofKeys: named, module: plan.answers.module ?? "").first { throw problem }
        var request = request
        request.tried = named.compactMap(\.singleLabel)
        if !command.dryRun { request.newKey = command.makeKey }
        guard !request.tried.isEmpty || request.newKey != nil else { return }
        let report = try look(request, pin: try readPIN())
        if let failure = report.failure {
            throw SetupProblem("--keys", failure, fix: "name other keys, or make it by the vendor's tools")
        }
        let had = plan.keys.contains { $0.label == request.newKey }
        if let label = request.newKey, !had { printError("claviger: made the AES-256 key \(label) on the token") }
        learn(report.keys)
        for label in request.tried {
            guard let reason = report.refusals[label] else { continue }
            throw SetupProblem(
                "--keys", value: label, "the key cannot encrypt and decrypt by AES-GCM: \(reason)",
                fix: "name another one, or make one with --make-key LABEL")
        }
    }

    /// A copy each time.
    private func readPIN() throws -> SecretBytes? {
        switch pin {
        case .typed(let secret): return secret.withUnsafeBytes { SecretBytes(copying: $0) }
        case .file(let path):
            do throws(SecretProblem) {
                return try SecretReader(taking: []).read(.file(path))
            } catch {
                throw SetupProblem("--pin-file", value: path, error.message, fix: error.fix)
            }
        case nil: return nil
        }
    }
}
