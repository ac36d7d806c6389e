// SPDX-License-Identifier: Apache-2.0
import NodeConfig
import XKSProtocol

/// Where the node's certificate comes from.
package enum SetupCertificate: Sendable, Equatable {
    /// One that nobody but this node has signed.
    case selfSigned
    /// A key, and a request for a CA; until that has answered, a self-signed certificate with the same key.
    case request
    /// One that is there: absolute path. Its key is a question of its own.
    case file(String)
}

/// A key that the key store offers.
package enum SetupKey: Sendable, Equatable {
    /// A label, which is the external key id, too; or a pattern of labels.
    case label(String)
    case named(id: String, label: String)

    /// `nil` for a pattern.
    package var singleLabel: String? {
        switch self {
        case .label(let text): text.contains { $0 == "*" || $0 == "?" } ? nil : text
        case .named(id: _, let label): label
        }
    }
}

/// What has been answered so far; each value has been found usable when it was taken.
package struct SetupAnswers: Sendable, Equatable {
    /// Absolute.
    package internal(set) var directory: String?
    package internal(set) var nodeID: String?
    /// Absolute.
    package internal(set) var stateDirectory: String?
    /// Absolute.
    package internal(set) var module: String?
    package internal(set) var token: HSMSettings.Token?
    /// Whether the PIN is known: the text of it is no business of this room.
    package internal(set) var hasPIN = false
    package internal(set) var keys: [SetupKey] = []
    package internal(set) var listen: ListenAddress?
    package internal(set) var control: ListenAddress?
    package internal(set) var endpoint: String?
    package internal(set) var certificate: SetupCertificate?
    /// Absolute.
    package internal(set) var certificateKey: String?
    package internal(set) var pathPrefix: String?

    package init() {}

    package func isAnswered(_ question: SetupQuestion) -> Bool {
        switch question {
        case .directory: directory != nil
        case .nodeID: nodeID != nil
        case .stateDirectory: stateDirectory != nil
        case .module: module != nil
        case .token: token != nil
        case .pin: hasPIN
        case .keys: !keys.isEmpty
        case .listen: listen != nil
        case .control: control != nil
        case .endpoint: endpoint != nil
        case .certificate: certificate != nil
        case .certificateKey:
            if case .file = certificate { certificateKey != nil } else { certificate != nil }
        case .pathPrefix: pathPrefix != nil
        }
    }

    static func shown(_ text: String) -> String { Shown.quoted(text) }
}

// MARK: - One answer each

extension SetupAnswers {
    /// Takes an answer as it was typed or given by an option. A wrong one changes nothing.
    ///
    /// - Parameters:
    ///   - workingDirectory: absolute; where relative paths begin.
    ///   - tokens: those that the library shows.
    package mutating func take(
        _ given: String, for question: SetupQuestion, workingDirectory: String, tokens: [SetupToken] = []
    ) throws(SetupProblem) {
        let text = Self.trimmed(given)
        let option = question.option
        switch question {
        case .directory: directory = try Self.path(text, option, workingDirectory)
        case .nodeID: nodeID = try Self.name(text, option, example: "node-1")
        case .stateDirectory: stateDirectory = try Self.path(text, option, workingDirectory)
        case .module: module = try Self.path(text, option, workingDirectory)
        case .token: token = try SetupToken.chosen(by: text, among: tokens).selector(among: tokens)
        case .pin: break
        case .keys: keys = try Self.keys(text, option)
        case .listen: listen = try Self.address(text, option, example: "0.0.0.0:8443")
        case .control: control = try controlAddress(text, option)
        case .endpoint: endpoint = try Self.hostName(text, option)
        case .certificate: certificate = try Self.certificate(text, option, workingDirectory)
        case .certificateKey: certificateKey = try Self.path(text, option, workingDirectory)
        case .pathPrefix: pathPrefix = try Self.prefix(text, option)
        }
    }

    /// The PIN is there: typed and taken by the token, or in a file.
    package mutating func takePIN() { hasPIN = true }

    /// The token refused it.
    package mutating func forgetPIN() { hasPIN = false }

    /// Takes an answer back that showed to be wrong when it was tried.
    package mutating func forget(_ question: SetupQuestion) {
        switch question {
        case .directory: directory = nil
        case .nodeID: nodeID = nil
        case .stateDirectory: stateDirectory = nil
        case .module: module = nil
        case .token: token = nil
        case .pin: hasPIN = false
        case .keys: keys = []
        case .listen: listen = nil
        case .control: control = nil
        case .endpoint: endpoint = nil
        case .certificate: (certificate, certificateKey) = (nil, nil)
        case .certificateKey: certificateKey = nil
        case .pathPrefix: pathPrefix = nil
        }
    }

    private static func trimmed(_ text: String) -> String {
        let isBlank = { (character: Character) in character == " " || character == "\t" }
        let start = text.drop(while: isBlank)
        return String(start.reversed().drop(while: isBlank).reversed())
    }

    /// An absolute path without `.`, empty parts and a slash at the end.
    package static func absolute(_ path: String, in workingDirectory: String) -> String {
        let whole = path.hasPrefix("/") ? path : "\(workingDirectory)/\(path)"
        var parts: [Substring] = []
        for part in whole.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }

    private static func path(_ text: String, _ option: String, _ workingDirectory: String) throws(SetupProblem)
        -> String
    {
        guard !text.isEmpty else { throw SetupProblem(option, "is empty", fix: "give a path") }
        guard text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else {
            throw SetupProblem(option, value: text, "has a control character in it", fix: "give another path")
        }
        return absolute(text, in: workingDirectory)
    }

    /// What `node.id` and `hsm.name` may be.
    package static func name(_ text: String, _ option: String, example: String) throws(SetupProblem) -> String {
        guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy(isNameByte) else {
            throw SetupProblem(
                option, value: text, "must be 1 to 64 of A-Z a-z 0-9 . _ -", fix: "choose a name such as \(example)")
        }
        return text
    }

    static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private static func address(
        _ text: String, _ option: String, example: String
    ) throws(SetupProblem) -> ListenAddress {
        guard let address = ListenAddress(text) else {
            throw SetupProblem(
                option, value: text, "is no address with a port", fix: "give one such as \(example) or [::1]:8443")
        }
        guard address.port != 0 else {
            throw SetupProblem(
                option, value: text, "would be another port at each start", fix: "give one such as \(example)")
        }
        return address
    }

    private func controlAddress(_ text: String, _ option: String) throws(SetupProblem) -> ListenAddress {
        let address = try Self.address(text, option, example: "127.0.0.1:8080")
        guard address.isLoopback else {
            throw SetupProblem(
                option, value: text, "can be reached from other hosts, and would be plain HTTP",
                fix:
                    "give one of this host such as 127.0.0.1:8080; docs/guides/status-page.md says how it gets a certificate "
                    + "and a token")
        }
        guard address.port != listen?.port else {
            throw SetupProblem(
                option, value: text, "has the port that KMS is listened for at", fix: "choose another one")
        }
        return address
    }

    /// A DNS name as a certificate and `XksProxyUriEndpoint` carry it.
    private static func hostName(_ given: String, _ option: String) throws(SetupProblem) -> String {
        let text = given.lowercased()
        func problem(_ message: String) -> SetupProblem {
            SetupProblem(option, value: given, message, fix: "give the name alone, such as xks.example.com")
        }
        guard !text.hasPrefix("http://"), !text.hasPrefix("https://"), !text.contains("/") else {
            throw problem("is a URL, and a host name is wanted")
        }
        guard !text.contains(":") else { throw problem("has a port or is an address: KMS dials a name, at port 443") }
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        let isName = labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.utf8.allSatisfy { $0 != UInt8(ascii: "_") && isNameByte($0) }
        }
        guard isName, text.utf8.count <= 253 else { throw problem("is no host name") }
        guard labels.count > 1 else { throw problem("has no domain: KMS could not find it") }
        guard labels.last?.utf8.allSatisfy({ (0x30...0x39).contains($0) }) != true else {
            throw problem("is an address: KMS dials a name")
        }
        // RFC 5280, ub-common-name: AWS compares the common name.
        guard text.utf8.count <= 64 else {
            throw problem("has more than 64 characters, so no certificate can carry it as its common name")
        }
        return text
    }

    private static func certificate(
        _ text: String, _ option: String, _ workingDirectory: String
    ) throws(SetupProblem) -> SetupCertificate {
        switch text {
        case "self-signed": .selfSigned
        case "request": .request
        default: .file(try path(text, option, workingDirectory))
        }
    }

    private static func prefix(_ text: String, _ option: String) throws(SetupProblem) -> String {
        if text.hasSuffix("\(XKSPath.apiSuffix)") {
            throw SetupProblem(
                option, value: text, "contains the API's own part of the path",
                fix:
                    "leave \(XKSPath.apiSuffix) out: \(shown(String(text.dropLast(XKSPath.apiSuffix.utf8CodeUnitCount))))"
            )
        }
        if let problem = XKSPath.problem(withPrefix: text) {
            throw SetupProblem(option, value: text, problem, fix: "give one such as /bank/prod")
        }
        return text
    }

    private static func keys(_ text: String, _ option: String) throws(SetupProblem) -> [SetupKey] {
        var keys: [SetupKey] = []
        var seen: Set<String> = []
        for part in text.split(separator: ",").map({ trimmed(String($0)) }) where !part.isEmpty {
            let key = try key(part, option)
            let name =
                switch key {
                case .label(let label): label
                case .named(let id, label: _): id
                }
            guard seen.insert(name).inserted else {
                throw SetupProblem(option, value: part, "is named twice", fix: "an external key id means one key")
            }
            keys.append(key)
        }
        guard !keys.isEmpty else { throw SetupProblem(option, "names no key", fix: "give one label at least") }
        return keys
    }

    private static func key(_ text: String, _ option: String) throws(SetupProblem) -> SetupKey {
        guard let sign = text.firstIndex(of: "=") else {
            // A wildcard stands for characters that an id may have.
            let example = String(text.map { $0 == "*" || $0 == "?" ? "x" : $0 })
            if XKSPath.isValidExternalKeyID(example) { return .label(text) }
            throw SetupProblem(
                option, value: text, "cannot be an external key id (1 to 128 of A-Z a-z 0-9 . _ -)",
                fix: "give the key an id: my-key=LABEL")
        }
        let (id, label) = (String(text[..<sign]), String(text[text.index(after: sign)...]))
        if let problem = XKSPath.problem(withExternalKeyID: id) {
            throw SetupProblem(option, value: text, "the id before = \(problem)", fix: "choose another one")
        }
        guard (1...255).contains(label.utf8.count) else {
            throw SetupProblem(
                option, value: text, "the label behind = must be 1 to 255 bytes", fix: "write ID=LABEL")
        }
        return .named(id: id, label: label)
    }
}
