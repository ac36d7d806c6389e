// SPDX-License-Identifier: Apache-2.0
import NodeConfig

/// What is known of the host before anything is asked.
package struct SetupHost: Sendable {
    /// As uname(2) has it.
    package var name: String
    /// Whether a service is set up: by root, for the whole host.
    package var isService: Bool
    /// Absolute; `nil` where the user has no home.
    package var home: String?
    /// Absolute; where relative paths begin.
    package var workingDirectory: String
    /// Those of `SetupHost.knownModules` that are there.
    package var modules: [String]

    package init(name: String, isService: Bool, home: String?, workingDirectory: String, modules: [String]) {
        self.name = name
        self.isService = isService
        self.home = home
        self.workingDirectory = workingDirectory
        self.modules = modules
    }

    /// Where vendors' installers put their libraries (docs/guides/hsms).
    package static let knownModules = [
        "/opt/nfast/toolkits/pkcs11/libcknfast.so", "/usr/safenet/lunaclient/lib/libCryptoki2_64.so",
        "/opt/cloudhsm/lib/libcloudhsm_pkcs11.so", "/usr/lib/utimaco/libcs_pkcs11_R3.so",
        "/usr/lib/softhsm/libsofthsm2.so",
    ]

    /// Variables by which vendors' libraries are told where their settings are: a worker gets none of the environment, so what
    /// is set when `init` runs is written into the configuration.
    package static func isOfLibrary(variable name: String) -> Bool {
        name == "SOFTHSM2_CONF" || name == "ChrystokiConfigurationPath" || name.hasPrefix("CKNFAST_")
            || name.hasPrefix("CS_PKCS11_R")
    }
}

/// Leads through the questions: which one is next, and which answer would be taken where none is given.
package struct SetupInterview: Sendable {
    package let host: SetupHost
    package private(set) var answers = SetupAnswers()
    /// Of the library that was chosen.
    package private(set) var tokens: [SetupToken] = []
    /// Of the token, after the login.
    package private(set) var keys: [SetupTokenKey] = []
    /// The key that is to be made on the token; `nil` for none.
    package let newKey: String?

    package init(host: SetupHost, newKey: String? = nil) {
        self.host = host
        self.newKey = newKey
    }

    /// The first question that is open.
    package var next: SetupQuestion? { SetupQuestion.allCases.first { !answers.isAnswered($0) } }

    /// Takes an answer; a wrong one changes nothing.
    package mutating func take(_ text: String, for question: SetupQuestion) throws(SetupProblem) {
        try answers.take(text, for: question, workingDirectory: host.workingDirectory, tokens: tokens)
    }

    package mutating func take(_ token: SetupToken) { answers.token = token.selector(among: tokens) }

    package mutating func takePIN() { answers.takePIN() }

    package mutating func forget(_ question: SetupQuestion) { answers.forget(question) }

    /// What the library has shown.
    package mutating func learn(tokens: [SetupToken]) { self.tokens = tokens }

    /// What the token has shown.
    package mutating func learn(keys: [SetupTokenKey]) { self.keys = keys }

    /// The token that was chosen.
    package var token: SetupToken? {
        tokens.first { token in
            switch answers.token {
            case .label(let label): token.label == label && token.isInitialized
            case .serial(let serial): token.serial == serial
            case .slot(let slot): token.slot == slot
            case nil: false
            }
        }
    }

    /// The answer that is taken where a person gives none; `nil` where there is none that could be right.
    package func standard(for question: SetupQuestion) -> String? {
        switch question {
        case .directory: host.isService ? "/etc/claviger" : host.home.map { "\($0)/.config/claviger" }
        case .nodeID: Self.nodeName(host.name)
        case .stateDirectory:
            host.isService
                ? NodeIdentitySettings.standardStateDirectory
                : host.home.map { "\($0)/.local/state/claviger/\(answers.nodeID ?? Self.nodeName(host.name))" }
        case .module: host.modules.count == 1 ? host.modules[0] : nil
        case .token: onlyToken.map { $0.label.isEmpty ? "1" : $0.label }
        case .keys: standardKeys
        case .listen: "0.0.0.0:8443"
        case .control: "127.0.0.1:8080"
        case .certificate: "self-signed"
        case .pathPrefix: "/claviger"
        case .pin, .endpoint, .certificateKey: nil
        }
    }

    private var onlyToken: SetupToken? {
        let able = tokens.filter { $0.isInitialized && !$0.isLocked && $0.hasGCM != false }
        return able.count == 1 && tokens.filter({ $0.label == able[0].label }).count == 1 ? able[0] : nil
    }

    /// Most keys that are taken without being named.
    private static let mostKeys = 32

    private var standardKeys: String? {
        if let newKey { return newKey }
        let labels = keys.filter(\.isUsable).compactMap(\.label).filter { label in
            var trial = SetupAnswers()
            return (try? trial.take(label, for: .keys, workingDirectory: "/")) != nil && !label.contains(",")
                && !label.contains("=") && keys.filter { $0.label == label }.count == 1
        }
        return labels.isEmpty || labels.count > Self.mostKeys ? nil : labels.joined(separator: ",")
    }

    /// The host's name up to its first dot, as `node.id` may be.
    static func nodeName(_ host: String) -> String {
        let first = host.prefix { $0 != "." }
        let name = String(
            decoding: first.utf8.prefix(64).map { SetupAnswers.isNameByte($0) ? $0 : UInt8(ascii: "-") },
            as: UTF8.self)
        return name.isEmpty ? "node-1" : name
    }

    // MARK: Without a terminal

    /// What is wrong before anything is asked of HSM and host: questions that no option answers, where nobody can be asked.
    ///
    /// - Parameters:
    ///   - given: questions that options answer.
    ///   - takesStandards: `--yes`.
    package func missing(given: Set<SetupQuestion>, takesStandards: Bool, certificateIsFile: Bool) -> [SetupProblem] {
        SetupQuestion.allCases.compactMap { question in
            if given.contains(question) { return nil }
            switch question {
            case .certificateKey where !certificateIsFile: return nil
            // The token and its keys have not been seen yet: whether there is one alone shows later.
            case .token where takesStandards, .keys where takesStandards || newKey != nil: return nil
            default: break
            }
            guard let standard = standard(for: question) else {
                return SetupProblem(
                    question.option, "is missing, and there is no terminal to ask at", fix: Self.mend(question))
            }
            guard !takesStandards else { return nil }
            return SetupProblem(
                question.option, "is missing, and there is no terminal to ask at",
                fix: "give it, or --yes for what would be proposed (\(standard))")
        }
    }

    /// What is said where no answer was given and none can be proposed.
    package static func mend(_ question: SetupQuestion) -> String {
        switch question {
        case .module: "give the path of the vendor's PKCS#11 library"
        case .token: "name the token by --token LABEL, --serial or --slot"
        case .pin: "give a file that holds the user PIN, of mode 0600"
        case .keys: "name the keys' labels, or make one by --make-key LABEL"
        case .endpoint: "give the host name that KMS dials, such as xks.example.com"
        case .certificateKey: "give the private key of the certificate"
        case .directory, .stateDirectory: "give a path: this user has no home directory"
        default: "give it"
        }
    }

    // MARK: Login

    /// Why nothing logs in to the token that was chosen; `nil` where nothing speaks against it.
    ///
    /// - Parameter retriesRefused: `--retry-refused-pins`.
    package func flawOfLogin(retriesRefused: Bool) -> SetupProblem? {
        guard let token, token.isAtFinalTry, !retriesRefused else { return nil }
        return SetupProblem(
            SetupQuestion.token.option, value: token.label,
            "one more wrong PIN locks this token, so no login was tried",
            fix: "have the PIN confirmed or reset by its security officer, or give --retry-refused-pins")
    }

    // MARK: Keys

    /// What is wrong with the keys that were named, by what the token shows.
    package func flaws(ofKeys named: [SetupKey], module: String) -> [SetupProblem] {
        named.compactMap { key in
            guard let label = key.singleLabel, label != newKey else { return nil }
            let found = keys.filter { $0.label == label }
            if found.count > 1 {
                return SetupProblem(
                    "--keys", value: label, "is the label of \(found.count) keys of the token",
                    fix: "rename or remove all but one")
            }
            guard let key = found.first else {
                return SetupProblem(
                    "--keys", value: label, "there is no AES-256 key of this label on the token",
                    fix:
                        "name one of those that are there (\(seenLabels)), run this with --make-key \(label), or make it by "
                        + "`\(Self.keyCommand(label, module: module, token: token))`")
            }
            return key.flaw.isEmpty
                ? nil
                : SetupProblem(
                    "--keys", value: label, key.flaw, fix: "name another key, or make one with --make-key LABEL")
        }
    }

    private var seenLabels: String {
        let labels = keys.filter(\.isUsable).compactMap(\.label)
        guard !labels.isEmpty else { return "there are none" }
        return labels.prefix(20).joined(separator: ", ") + (labels.count > 20 ? " and \(labels.count - 20) more" : "")
    }

    /// A command of OpenSC's that makes an AES-256 key on any PKCS#11 token.
    static func keyCommand(_ label: String, module: String, token: SetupToken?) -> String {
        let choice = token.map { "--token-label \(quoted($0.label))" } ?? ""
        return
            "pkcs11-tool --module \(quoted(module)) \(choice) --login --keygen --key-type AES:32 --sensitive --label \(quoted(label))"
    }

    /// As a shell takes it.
    static func quoted(_ word: String) -> String {
        let isPlain = word.utf8.allSatisfy { SetupAnswers.isNameByte($0) || $0 == UInt8(ascii: "/") }
        return isPlain && !word.isEmpty
            ? word
            : "'"
                + word.split(separator: "'", omittingEmptySubsequences: false)
                .joined(separator: "'\\''") + "'"
    }
}
