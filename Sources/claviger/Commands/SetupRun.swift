// SPDX-License-Identifier: Apache-2.0
import AdminClient
import Foundation
import Glibc
import NIOPosix
import NodeConfig
import PrivateFiles
import SecureMemory
import SetupPlan

/// What `claviger init` does, one answer after another: asks or takes what was given, and tries it. What is asked, and what
/// is wrong with an answer, `SetupPlan` decides.
struct SetupRun {
    /// Where the PIN is: typed here, or in a file of the user's.
    enum PIN {
        case typed(SecretBytes)
        /// Absolute.
        case file(String)
    }

    let command: InitCommand
    let workingDirectory: String
    /// What the library has in its environment.
    let environment: [String: String]
    private let given: [SetupQuestion: String]
    private(set) var plan: SetupInterview
    /// The user that the node runs as; `nil`: this one.
    private(set) var owner: ServiceUser?
    private(set) var pin: PIN?

    init(_ command: InitCommand) throws {
        self.command = command
        given = command.given
        workingDirectory = FileManager.default.currentDirectoryPath
        environment = Self.environment(options: command.env, own: ProcessInfo.processInfo.environment)
        var name = utsname()
        let isNamed = uname(&name) == 0
        let host = withUnsafeBytes(of: &name.nodename) { bytes in
            isNamed ? String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) : ""
        }
        plan = SetupInterview(
            host: SetupHost(
                name: host, isService: geteuid() == 0, home: ProcessInfo.processInfo.environment["HOME"],
                workingDirectory: workingDirectory,
                modules: SetupHost.knownModules.filter { access($0, R_OK) == 0 }),
            newKey: command.makeKey)
        do throws(SetupProblem) {
            _ = try SetupAnswers.name(command.hsmName, "--hsm-name", example: "hsm-a")
            if let label = command.makeKey, !(1...255).contains(label.utf8.count) {
                throw SetupProblem("--make-key", "has \(label.utf8.count) bytes", fix: "a label has 1 to 255")
            }
        } catch {
            throw Self.end([error])
        }
        try chooseOwner(command.owner)
    }

    static func isVariable(_ pair: String) -> Bool {
        let name = pair.prefix { $0 != "=" }
        return name.utf8.count < pair.utf8.count && name.first?.isNumber == false
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    private static func environment(options: [String], own: [String: String]) -> [String: String] {
        var environment = own.filter { SetupHost.isOfLibrary(variable: $0.key) }
        for pair in options {
            guard let sign = pair.firstIndex(of: "=") else { continue }
            environment[String(pair[..<sign])] = String(pair[pair.index(after: sign)...])
        }
        return environment
    }

    /// Each problem on a line of its own.
    static func end(_ problems: [SetupProblem]) -> any Error {
        for problem in problems { printError(Terminal.plain("claviger: \(problem)")) }
        return ExitStatus.configuration
    }

    private mutating func chooseOwner(_ name: String?) throws {
        guard let name else { return }
        guard let user = ServiceUser(named: name) else {
            throw Self.end([
                SetupProblem("--owner", value: name, "there is no such user", fix: "name the one that the node runs as")
            ])
        }
        guard user.user != geteuid() else { return }
        guard geteuid() == 0 else {
            throw Self.end([
                SetupProblem(
                    "--owner", value: name, "only root can give files to another user",
                    fix: "run this as root, or as \(name) without --owner")
            ])
        }
        owner = user
    }

    // MARK: - Questions

    mutating func interview() async throws {
        if !SetupTerminal.isThere {
            let missing = plan.missing(
                given: Set(given.keys), takesStandards: command.yes,
                certificateIsFile: ![nil, "self-signed", "request"].contains(command.certificate))
            guard missing.isEmpty else { throw Self.end(missing) }
        }
        while let question = plan.next {
            if question == .pin {
                try takePIN()
            } else if let text = given[question] {
                try await settle(question, with: text)
            } else if SetupTerminal.isThere, !command.yes || plan.standard(for: question) == nil {
                try await ask(question)
            } else if let standard = plan.standard(for: question) {
                try await settle(question, with: standard)
            } else {
                let list = question == .token ? plan.tokens.map { "  " + $0.line } : []
                throw Self.end([
                    SetupProblem(
                        question.option,
                        list.isEmpty
                            ? "is missing, and nothing can be proposed"
                            : "is missing, and the library shows these tokens:\n\(list.joined(separator: "\n"))\n ",
                        fix: SetupInterview.mend(question))
                ])
            }
        }
    }

    /// An answer that nobody can be asked for again.
    private mutating func settle(_ question: SetupQuestion, with text: String) async throws {
        do {
            try await take(text, for: question)
        } catch let problem as SetupProblem {
            throw Self.end([problem])
        }
    }

    private mutating func ask(_ question: SetupQuestion) async throws {
        if !question.explanation.isEmpty { SetupTerminal.say(question.explanation) }
        for line in lists(for: question) { SetupTerminal.say(line) }
        let standard = plan.standard(for: question)
        while true {
            let prompt = question.prompt + (standard.map { " [\($0)]" } ?? "") + ": "
            guard let typed = SetupTerminal.line(prompt: prompt) else {
                throw Self.end([SetupProblem(question.option, "is missing: the input has ended", fix: "begin again")])
            }
            let isEmpty = typed.allSatisfy { $0 == " " || $0 == "\t" }
            guard let text = isEmpty ? standard : typed else { continue }
            do {
                return try await take(text, for: question)
            } catch let problem as SetupProblem {
                SetupTerminal.say("\(problem)")
            }
        }
    }

    private func lists(for question: SetupQuestion) -> [String] {
        switch question {
        case .module: plan.host.modules.isEmpty ? [] : ["Found: \(plan.host.modules.joined(separator: ", "))"]
        case .token: plan.tokens.enumerated().map { "  \($0.offset + 1)  \($0.element.line)" }
        case .keys:
            plan.keys.isEmpty
                ? ["The token has no AES key; --make-key LABEL makes one."]
                : ["AES keys of the token:"]
                    + plan.keys.prefix(50).map {
                        "  \($0.label ?? "(no label)")\($0.flaw.isEmpty ? "" : ": \($0.flaw)")"
                    }
        default: []
        }
    }

    /// Takes an answer and tries it; where that fails, the question is open again.
    ///
    /// - Throws: `SetupProblem`, or the status of a process that was ended.
    private mutating func take(_ text: String, for question: SetupQuestion) async throws {
        if question == .token, command.token == nil, given[.token] != nil {
            let tokens = plan.tokens
            plan.take(
                try command.slot.map { slot throws(SetupProblem) in try SetupToken.inSlot(slot, among: tokens) }
                    ?? SetupToken.withSerial(command.serial ?? "", among: tokens))
        } else {
            try plan.take(text, for: question)
        }
        do {
            try await prove(question)
        } catch {
            plan.forget(question)
            throw error
        }
    }

    private mutating func prove(_ question: SetupQuestion) async throws {
        switch question {
        case .directory: try proveDirectory()
        case .module: plan.learn(tokens: try lookAtLibrary())
        case .token: try proveToken()
        case .keys: try proveKeys()
        case .listen: try await proveFree(plan.answers.listen, question)
        case .control: try await proveFree(plan.answers.control, question)
        case .certificate: try proveCertificate()
        default: break
        }
    }

    /// That a package has made the directory says which user the node runs as.
    private mutating func proveDirectory() throws {
        if command.owner == nil, geteuid() == 0, let directory = plan.answers.directory,
            let packaged = ServiceUser(named: "claviger")
        {
            var facts = stat()
            if stat(directory, &facts) == 0, facts.st_gid == packaged.group, packaged.group != 0 {
                owner = packaged
                SetupTerminal.say("\(directory) is the package's: its files are for the user \(packaged.name) to read.")
            }
        }
        var files = [paths.configuration]
        if command.secretFile == nil { files.append(paths.secret) }
        if command.pinFile == nil { files.append(paths.pin) }
        try proveAbsent(files, .directory)
    }

    private func proveCertificate() throws {
        if case .file(let path) = plan.answers.certificate {
            do throws(FileReading.Failure) {
                _ = try FileReading.read(path, as: .plain, atMost: 1 << 20)
            } catch {
                throw SetupProblem("--certificate", value: path, error.message, fix: error.fix)
            }
        } else {
            let request = plan.answers.certificate == .request ? [paths.request] : []
            try proveAbsent([paths.certificate, paths.key] + request, .certificate)
        }
    }

    private func proveAbsent(_ files: [String], _ question: SetupQuestion) throws {
        guard !command.force, !command.dryRun else { return }
        let present = files.filter(PrivateFiles.exists)
        guard present.isEmpty else {
            throw SetupProblem(
                question.option, "there is already \(present.joined(separator: ", "))",
                fix: "choose another --directory, or replace what is there with --force")
        }
    }

    private func proveFree(_ address: NodeConfig.ListenAddress?, _ question: SetupQuestion) async throws {
        guard let address else { return }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let listener = PortCheck.Listener(setting: question.option, address: address)
        // What a running node of this state directory holds, it would be given again.
        let mayRun = PrivateFiles.exists("\(plan.answers.stateDirectory ?? "")/\(AdminClient.socketName)")
        let failures = await PortCheck(held: mayRun ? nil : []).failures(of: [listener], group: group)
        try? await group.shutdownGracefully()
        guard let first = failures.first, !first.mayBeOwn else { return }
        throw SetupProblem(
            question.option, value: "\(address)", "cannot be listened at: \(first.failure.reason)",
            fix: first.failure.mend)
    }

    mutating func hold(_ pin: PIN) {
        self.pin = pin
        plan.takePIN()
    }

    mutating func learn(_ keys: [SetupTokenKey]) { plan.learn(keys: keys) }

    mutating func learn(_ tokens: [SetupToken]) { plan.learn(tokens: tokens) }

    // MARK: - Files

    /// PINs of the package's unit have a directory of their own.
    private var hasPINDirectory: Bool {
        guard owner != nil, let directory = plan.answers.directory else { return false }
        var facts = stat()
        return stat("\(directory)/pins", &facts) == 0 && facts.st_mode & S_IFMT == S_IFDIR
    }

    var paths: SetupPaths {
        SetupPaths(
            directory: plan.answers.directory ?? "/", hsm: command.hsmName, pinsOfService: hasPINDirectory)
    }

    /// Where the configuration says that the PIN of this file is.
    func source(ofPIN path: String) -> SecretSource {
        let pins = "\(plan.answers.directory ?? "")/pins/"
        guard hasPINDirectory, path.hasPrefix(pins) else { return .file(path) }
        return .credential("pin_" + path.dropFirst(pins.count))
    }

    func absolute(_ path: String) -> String { SetupAnswers.absolute(path, in: workingDirectory) }
}
