// SPDX-License-Identifier: Apache-2.0
import Crypto
import XKSCalls
import XKSProtocol

/// What KMS's callers ask of it, as far as it asks the proxy then; the raw value is the name on the command line.
package enum PlayedOperation: String, Sendable, Codable, CaseIterable {
    /// GetKeyMetadata.
    case createKey = "create-key"
    /// Encrypt, of a data key of 32 bytes, with an integrity value.
    case generateDataKey = "generate-data-key"
    /// Decrypt.
    case decrypt
    /// Decrypt, then Encrypt.
    case reEncrypt = "re-encrypt"
    /// GetHealthStatus, which nobody asks for.
    case healthPoll = "health-poll"

    /// As in `kmsOperation`, and as CloudTrail has it.
    package var kmsName: String {
        switch self {
        case .createKey: "CreateKey"
        case .generateDataKey: "GenerateDataKey"
        case .decrypt: "Decrypt"
        case .reEncrypt: "ReEncrypt"
        case .healthPoll: "KmsHealthCheck"
        }
    }
}

/// What KMS keeps of an encryption, in the ciphertext that its caller gets.
package struct KeptCiphertext: Sendable, Equatable {
    package var sealed: SealedFields
    package var additionalData: [UInt8]
    /// What must come out again; KMS knows no such thing.
    package var dataKey: [UInt8]

    package init(sealed: SealedFields, additionalData: [UInt8], dataKey: [UInt8]) {
        self.sealed = sealed
        self.additionalData = additionalData
        self.dataKey = dataKey
    }

    /// As a line for `claviger check --against`.
    ///
    /// - Parameters:
    ///   - key: the external key id.
    ///   - keyStore: path prefix.
    package func entry(key: String, keyStore: String) -> String {
        var entry = JSONObject([])
        entry["keyStore"] = keyStore.isEmpty ? nil : JSONObject.string(keyStore)
        entry["externalKeyId"] = JSONObject.string(key)
        entry["encryptionAlgorithm"] = JSONObject.string("AES_GCM")
        entry["ciphertext"] = JSONObject.base64(sealed.ciphertext)
        entry["initializationVector"] = JSONObject.base64(sealed.initializationVector)
        entry["authenticationTag"] = JSONObject.base64(sealed.authenticationTag)
        entry["ciphertextMetadata"] = sealed.ciphertextMetadata.map(JSONObject.base64)
        entry["additionalAuthenticatedData"] = JSONObject.base64(additionalData)
        return entry.text
    }
}

/// What came of one request to the proxy.
package enum PlayedOutcome: Sendable, Equatable {
    case answer(HTTPAnswer)
    /// 250 ms have passed since the request began, connecting included.
    case timeout
    case noConnection
    case noTLS
    /// The connection ended, or what came is no answer.
    case broken
}

/// One call of KMS's: which requests it makes, one after another, and what its caller is told.
package struct PlayedCall: Sendable {
    /// KMS's patience for each request, milliseconds (XKS 1.0.3, GetKeyMetadata, "KMS Considerations").
    package static let patience = 250

    package enum Action: Sendable {
        case send(XKSOperation, JSONObject)
        case done(PlayedResult)
    }

    package let operation: PlayedOperation
    private let metadata: CallMetadata
    private let additionalData: [UInt8]
    private let dataKey: [UInt8]
    /// For a decryption; of no meaning for others.
    private let kept: KeptCiphertext?
    private var isEncrypting: Bool
    private var hasTried = false
    private var requests = 0
    private var retries = 0

    /// - Parameters:
    ///   - kept: what is decrypted; needed for `decrypt` and `reEncrypt`.
    ///   - dataKey: what is encrypted.
    ///   - additionalData: what KMS makes of its caller's encryption context.
    package init(
        _ operation: PlayedOperation, metadata: CallMetadata, kept: KeptCiphertext?, dataKey: [UInt8],
        additionalData: [UInt8]
    ) {
        self.operation = operation
        self.metadata = metadata
        self.kept = kept
        self.dataKey = dataKey
        self.additionalData = additionalData
        isEncrypting = operation == .generateDataKey
    }

    package mutating func begin() -> Action { send() }

    private mutating func send() -> Action {
        requests += 1
        switch operation {
        case .healthPoll: return .send(.health, CallBody.health(metadata))
        case .createKey: return .send(.metadata, CallBody.metadata(metadata))
        case .generateDataKey, .decrypt, .reEncrypt: break
        }
        if isEncrypting {
            let body = CallBody.encrypt(metadata, plaintext: dataKey, additionalData: additionalData, integrity: true)
            return .send(.encrypt, body)
        }
        guard let kept else { return failed(.wrongAnswer, nil) }
        return .send(.decrypt, CallBody.decrypt(metadata, kept.sealed, additionalData: kept.additionalData))
    }

    /// What comes next. A time-out of the network is tried again once (AWS KMS Developer Guide, "Monitoring external key
    /// stores": latency is recorded up to twice 250 ms); nothing else is.
    package mutating func next(_ outcome: PlayedOutcome) -> Action {
        switch outcome {
        case .timeout:
            guard hasTried else {
                hasTried = true
                retries += 1
                return send()
            }
            return failed(.silence, nil)
        case .noConnection: return failed(.noConnection, nil)
        case .noTLS: return failed(.noTLS, nil)
        case .broken: return failed(.wrongAnswer, nil)
        case .answer(let answer): return judge(answer)
        }
    }

    private mutating func judge(_ answer: HTTPAnswer) -> Action {
        guard let json = JSONValue(answer.body) else { return failed(.wrongAnswer, nil) }
        guard answer.status == 200 else {
            let name = json["errorName"]?.text.flatMap(XKSError.Name.init(rawValue:))
            return failed(name.map(PlayedFault.error) ?? .wrongAnswer, json["errorMessage"]?.text)
        }
        switch operation {
        case .healthPoll:
            let fleet = json["ekmFleetDetails"]?.elements ?? []
            let states = fleet.compactMap { $0["healthStatus"]?.text }
            guard !states.isEmpty, states.count == fleet.count else { return failed(.wrongAnswer, nil) }
            return states.allSatisfy { $0 == "UNAVAILABLE" } ? failed(.allUnavailable, nil) : done(nil)
        case .createKey:
            guard json["keySpec"]?.text == "AES_256" else { return failed(.keySpec, nil) }
            guard json["keyStatus"]?.text == "ENABLED" else { return failed(.keyStatus, nil) }
            let usage = json["keyUsage"]?.elements?.compactMap(\.text) ?? []
            return usage.contains("ENCRYPT") && usage.contains("DECRYPT") ? done(nil) : failed(.keyUsage, nil)
        case .generateDataKey, .decrypt, .reEncrypt: return isEncrypting ? sealed(json) : opened(json)
        }
    }

    private mutating func sealed(_ json: JSONValue) -> Action {
        guard let fields = SealedFields(json), fields.ciphertext.count == dataKey.count,
            [12, 16].contains(fields.initializationVector.count), fields.authenticationTag.count == 16,
            (fields.ciphertextMetadata?.count ?? 0) <= 20
        else { return failed(.wrongAnswer, nil) }
        var hash = SHA256()
        for part in [
            additionalData, fields.ciphertextMetadata ?? [], fields.initializationVector, fields.ciphertext,
            fields.authenticationTag,
        ] { hash.update(data: part) }
        guard fields.integrityValue == Array(hash.finalize()) else { return failed(.integrity, nil) }
        return done(KeptCiphertext(sealed: fields, additionalData: additionalData, dataKey: dataKey))
    }

    private mutating func opened(_ json: JSONValue) -> Action {
        guard let plaintext = json["plaintext"]?.bytes, plaintext.count == kept?.sealed.ciphertext.count else {
            return failed(.wrongAnswer, nil)
        }
        // KMS cannot know; whoever plays it can.
        guard plaintext == kept?.dataKey else { return failed(.otherPlaintext, nil) }
        guard operation == .reEncrypt else { return done(nil) }
        isEncrypting = true
        hasTried = false
        return send()
    }

    private func done(_ kept: KeptCiphertext?) -> Action {
        .done(PlayedResult(requests: requests, retries: retries, kept: kept, view: nil, message: nil))
    }

    private func failed(_ fault: PlayedFault, _ message: String?) -> Action {
        .done(
            PlayedResult(
                requests: requests, retries: retries, kept: nil, view: CallerView(fault, operation),
                message: message.map(Self.printable)))
    }

    /// As KMS takes it: under 512 characters of printable ASCII.
    private static func printable(_ text: String) -> String {
        String(text.unicodeScalars.prefix(511).map { (0x20...0x7E).contains($0.value) ? Character($0) : "?" })
    }
}

/// What came of a call.
package struct PlayedResult: Sendable, Equatable {
    /// To the proxy, retries included.
    package var requests: Int
    package var retries: Int
    /// What the caller could have decrypted.
    package var kept: KeptCiphertext?
    /// What the caller was told; `nil` where all was well.
    package var view: CallerView?
    /// The proxy's `errorMessage`, which KMS puts into CloudWatch Logs.
    package var message: String?

    package init(
        requests: Int, retries: Int, kept: KeptCiphertext? = nil, view: CallerView? = nil, message: String? = nil
    ) {
        self.requests = requests
        self.retries = retries
        self.kept = kept
        self.view = view
        self.message = message
    }
}
