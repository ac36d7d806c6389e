// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import Glibc
import HSMPool
import HSMWorker
import LaneProtocol
import NodeConfig
import PKCS11
import SecureMemory
import SetupPlan

/// What `claviger init` asks a library; everything but the PIN, which goes through a pipe.
struct LookRequest: Codable {
    var module: String
    var initializeArguments: String?
    /// `nil`: only which tokens there are.
    var token: Token?
    /// Labels of keys that are tried.
    var tried: [String] = []
    /// The label of a key that is made first, unless there is one.
    var newKey: String?

    struct Token: Codable {
        var label: String?
        var serial: String?
        var slot: UInt64?

        init(_ token: HSMSettings.Token) {
            switch token {
            case .label(let text): label = text
            case .serial(let text): serial = text
            case .slot(let number): slot = number
            }
        }

        var selector: TokenSelector {
            if let serial { return .serial(serial) }
            if let slot { return .slot(slot) }
            return .label(label ?? "")
        }
    }
}

/// What the library answered.
struct LookReport: Codable {
    var tokens: [SetupToken] = []
    var keys: [SetupTokenKey] = []
    /// Why keys that were tried cannot serve, by label.
    var refusals: [String: String] = [:]
    /// Why nothing else is in it.
    var failure: String?
    var isPINRefused = false
}

/// Looks at a library and its tokens for `claviger init`, which starts it as a process of its own; never a person.
struct HSMLookCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "hsm-look", shouldDisplay: false)

    @Argument(help: "The request as JSON.")
    var request: String

    func run() throws { try LibraryProcess.run(isForPrograms: true) { try look() } }

    private func look() throws -> String {
        let request = try JSONDecoder().decode(LookRequest.self, from: Data(self.request.utf8))
        let pin = try LibraryProcess.input()
        var report = LookReport()
        do throws(WorkerFailure) {
            if let token = request.token {
                try Self.fill(&report, request, token: token.selector, pin: pin)
            } else {
                let listing = try HSMListing.read(
                    module: request.module, initializeArguments: request.initializeArguments)
                report.tokens = listing.slots.compactMap { slot in slot.token.map { SetupToken($0, slot.hasGCM) } }
            }
        } catch {
            report.failure = error.message
            report.isPINRefused = error.kind == .pinRefused
        }
        return String(decoding: try JSONEncoder().encode(report), as: UTF8.self)
    }

    private static func fill(
        _ report: inout LookReport, _ request: LookRequest, token: TokenSelector, pin: SecretBytes
    ) throws(WorkerFailure) {
        let look = try TokenLook.read(
            module: request.module, initializeArguments: request.initializeArguments, token: token,
            pin: pin.isEmpty ? nil : pin, trying: request.tried.map { KeyLabel($0) },
            making: request.newKey.map { KeyLabel($0) })
        report.keys = look.keys.map { key in
            SetupTokenKey(
                label: key.label?.text, bits: key.bits, mayEncrypt: key.usage.contains(.encrypt),
                mayDecrypt: key.usage.contains(.decrypt))
        }
        for (label, reason) in look.refusals { report.refusals[label.text] = reason }
    }
}

extension SetupToken {
    fileprivate init(_ token: TokenDescription, _ hasGCM: Bool?) {
        let identity = token.identity
        self.init(
            slot: identity.slot, label: identity.label, serial: identity.serial,
            model: "\(identity.manufacturer) \(identity.model)", isInitialized: token.flags.contains(.initialized),
            isLocked: token.flags.contains(.pinLocked), isAtFinalTry: token.flags.contains(.pinFinalTry),
            hasGCM: token.flags.contains(.initialized) ? hasGCM : nil)
    }
}

/// Goes on as another user: a token's files, and what a node may read, are those of the node's user. Started by
/// `claviger init`, as root.
struct RunAsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "run-as", shouldDisplay: false)

    @Argument(help: "The user.")
    var user: String

    @Argument(parsing: .captureForPassthrough, help: "A command of this program.")
    var words: [String]

    func run() throws {
        guard let owner = ServiceUser(named: user) else {
            throw failure("there is no user \(user.debugDescription)", status: ExitStatus.configuration)
        }
        guard initgroups(owner.name, owner.group) == 0, setgid(owner.group) == 0, setuid(owner.user) == 0 else {
            throw failure(
                "cannot go on as \(owner.name): \(String(cString: strerror(errno)))", status: ExitStatus.configuration)
        }
        if let home = owner.home { setenv("HOME", home, 1) }
        var arguments = (["claviger"] + words).map { strdup($0) }
        arguments.append(nil)
        execv(ownExecutable(), arguments)
        throw failure(
            "cannot start anew as \(owner.name): \(String(cString: strerror(errno)))",
            status: ExitStatus.configuration)
    }
}

/// The user that a node runs as.
struct ServiceUser {
    let name: String
    let user: uid_t
    let group: gid_t
    let home: String?

    /// `nil` where there is no such user.
    init?(named name: String) {
        var room = [CChar](repeating: 0, count: 4_096)
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        guard getpwnam_r(name, &entry, &room, room.count, &found) == 0, found != nil else { return nil }
        self.name = name
        (user, group) = (entry.pw_uid, entry.pw_gid)
        home = entry.pw_dir.map { String(cString: $0) }
    }
}
