// SPDX-License-Identifier: Apache-2.0

/// What `claviger init` has to know before it can write a configuration, in the order in which it is asked: what a later
/// question needs (the token of a library, the keys of a token) has been looked up by then.
package enum SetupQuestion: Int, Sendable, CaseIterable, Comparable {
    case directory, nodeID, stateDirectory, module, token, pin, keys, listen, control, endpoint, certificate,
        certificateKey, pathPrefix

    package static func < (left: SetupQuestion, right: SetupQuestion) -> Bool { left.rawValue < right.rawValue }

    /// The option that answers it.
    package var option: String {
        switch self {
        case .directory: "--directory"
        case .nodeID: "--node-id"
        case .stateDirectory: "--state-dir"
        case .module: "--module"
        case .token: "--token"
        case .pin: "--pin-file"
        case .keys: "--keys"
        case .listen: "--listen"
        case .control: "--control"
        case .endpoint: "--endpoint"
        case .certificate: "--certificate"
        case .certificateKey: "--certificate-key"
        case .pathPrefix: "--path-prefix"
        }
    }

    /// What a person is asked, without its end.
    package var prompt: String {
        switch self {
        case .directory: "Directory for the configuration and the files beside it"
        case .nodeID: "Name of this node"
        case .stateDirectory: "Directory for what the node keeps"
        case .module: "PKCS#11 library of the HSM"
        case .token: "Token: its number in the list, or its label"
        case .pin: "User PIN of the token (is not shown)"
        case .keys: "Keys that KMS may use: labels, patterns such as prod-*, or ID=LABEL, with commas between"
        case .listen: "Address and port to listen at for KMS"
        case .control: "Address and port for health, metrics and the status page"
        case .endpoint: "Host name by which KMS reaches the endpoint"
        case .certificate: "Certificate: self-signed, request, or the path of one that you have"
        case .certificateKey: "Path of its private key"
        case .pathPrefix: "Path prefix of the key store"
        }
    }

    /// What a person should know who is asked; empty where the question says it.
    package var explanation: String {
        switch self {
        case .stateDirectory: "It holds the list of blocks: on a disk that lasts."
        case .listen: "KMS dials port 443; a load balancer usually stands between."
        case .control:
            "Plain HTTP and read only: for this host alone, unless you give it a certificate and a token later."
        case .endpoint: "It stands in the certificate, and is the XksProxyUriEndpoint of the key store."
        case .certificate:
            "KMS takes only a certificate of a public CA of AWS's list: \"request\" makes a key and what a CA wants to have; "
                + "until it has answered, the node has a self-signed one. \"self-signed\" is for trials, or behind a load "
                + "balancer that shows KMS its own."
        default: ""
        }
    }
}

/// What is wrong with an answer: names the thing, the value and the mend.
package struct SetupProblem: Error, Sendable, Equatable, CustomStringConvertible {
    /// The option that gives the answer, for example `--listen`.
    package var option: String
    /// As it was given; `nil` where there was none, or where it is nobody's business.
    package var value: String?
    package var message: String
    package var fix: String

    package init(_ option: String, value: String? = nil, _ message: String, fix: String) {
        self.option = option
        self.value = value
        self.message = message
        self.fix = fix
    }

    package var description: String {
        let value = value.map { " " + SetupAnswers.shown($0) } ?? ""
        return "\(option)\(value): \(message); \(fix)"
    }
}
