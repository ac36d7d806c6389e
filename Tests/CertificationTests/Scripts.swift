// SPDX-License-Identifier: Apache-2.0
import Conformance
import NIOCore
import NIOSSL

/// A proxy that is wrong on purpose.
enum Script: Sendable {
    /// Right but for the faults.
    case reference(Fault)
    /// The same over TLS, with HTTP/2.
    case secureReference(Fault)
    case raw(RawScript)
    case tls(RawScript, TLSKind)
    /// Plain HTTP where HTTPS is asked for.
    case plainOnTLS(RawScript)
}

/// How a server of TLS is set up wrongly, or not.
enum TLSKind: Sendable {
    case good
    /// TLS 1.0 to 1.2, with the suites of those days.
    case old
    /// TLS 1.2 with none of the named suites.
    case withoutNamedSuite
    /// TLS 1.2 with keys that are sent, not agreed on.
    case withoutForwardSecrecy
    /// Signed by a CA that nobody trusts.
    case foreignCertificate
}

/// Bodies that answer every question at once.
enum Union {
    /// With one field changed; a `nil` value takes the field away.
    static func body(_ name: String = "", _ value: String? = nil) -> String {
        var fields = [
            ("xksProxyFleetSize", "1"), ("xksProxyVendor", "\"Tests\""), ("xksProxyModel", "\"Union 1.0\""),
            ("ekmVendor", "\"Tests\""), ("ekmFleetDetails", "[\(manager("a"))]"), ("keySpec", "\"AES_256\""),
            ("keyUsage", #"["ENCRYPT","DECRYPT"]"#), ("keyStatus", "\"ENABLED\""),
            ("ciphertext", base64(Array(repeating: 7, count: CaseRun.plaintext.count))),
            ("initializationVector", base64(Array(1...12))), ("authenticationTag", base64(Array(1...16))),
            ("plaintext", base64(CaseRun.plaintext)),
        ]
        fields.removeAll { $0.0 == name }
        if let value { fields.append((name, value)) }
        return "{" + fields.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
    }

    static func manager(_ id: String, _ status: String = "ACTIVE") -> String {
        #"{"id":"\#(id)","model":"M 1","healthStatus":"\#(status)"}"#
    }

    static func base64(_ bytes: [UInt8]) -> String { JSONText.base64(bytes) }

    /// 200 with such a body, to everything.
    static func script(_ name: String = "", _ value: String? = nil) -> Script {
        .raw(RawScript(RawScript.http(200, body(name, value))))
    }
}

/// Which proxy fails in which cases. A name that ends with `*` stands for all that begin so.
struct WrongAnswer: Sendable {
    var name: String
    var cases: [String]
    var except: [String] = []
    var script: Script

    func covers(_ id: String) -> Bool {
        func matches(_ pattern: String) -> Bool {
            pattern.hasSuffix("*") ? id.hasPrefix(pattern.dropLast()) : id == pattern
        }
        return cases.contains(where: matches) && !except.contains(where: matches)
    }

    private static let yes = Union.script()
    private static let yesToAll = RawScript(RawScript.http(200, Union.body()))
    private static let failure = RawScript.error(500, "InternalException")
    private static let silence = Script.raw(RawScript())
    private static let html = "<html>"

    static let all = transport + http + authentication + operations + errors + load

    private static let transport = [
        WrongAnswer(
            name: "TLS without a named suite", cases: ["transport-named-suite"],
            script: .tls(yesToAll, .withoutNamedSuite)),
        WrongAnswer(
            name: "TLS of old", cases: ["transport-tls-1-0", "transport-tls-1-1"], script: .tls(yesToAll, .old)),
        WrongAnswer(
            name: "TLS without forward secrecy", cases: ["transport-forward-secrecy"],
            script: .tls(yesToAll, .withoutForwardSecrecy)),
        WrongAnswer(name: "plain HTTP for HTTPS", cases: ["transport-plain-http"], script: .plainOnTLS(yesToAll)),
        WrongAnswer(
            name: "a certificate of a foreign CA", cases: ["transport-certificate"],
            script: .tls(yesToAll, .foreignCertificate)),
        WrongAnswer(
            name: "clients that are not asked who they are",
            cases: [
                "transport-client-without-certificate", "transport-client-self-signed", "transport-client-other-name",
            ], script: .tls(yesToAll, .good)),
        WrongAnswer(
            name: "nobody is served over TLS",
            cases: ["transport-client-accepted", "transport-http-1-1", "transport-no-alpn"],
            script: .tls(failure, .good)),
        WrongAnswer(
            name: "HTTP/2 that refuses", cases: ["transport-http-2-health"], script: .secureReference(.refusesAll)),
        WrongAnswer(
            name: "HTTP/2 that opens wrongly", cases: ["transport-http-2-round-trip"],
            script: .secureReference(.wrongPlaintext)),
        WrongAnswer(
            name: "HTTP/2 that believes all",
            cases: ["transport-http-2-signature", "transport-http-2-get", "transport-http-2-path"],
            script: .secureReference([.noAuthentication, .anyMethod, .anyPath])),
        WrongAnswer(
            name: "connections that take their time", cases: ["transport-time-connect"],
            script: .tls(
                {
                    var script = yesToAll
                    script.sleep = .milliseconds(150)
                    return script
                }(), .good)),
        WrongAnswer(
            name: "answers that take their time", cases: ["transport-time-*"], except: ["transport-time-connect"],
            script: .raw(
                {
                    var script = yesToAll
                    script.delay = .milliseconds(260)
                    return script
                }())),
    ]

    private static let http = [
        WrongAnswer(
            name: "the end of a connection with each answer", cases: ["http-keep-alive", "load-many-on-one"],
            script: .raw(RawScript(RawScript.http(200, Union.body(), more: "connection: close\r\n")))),
        WrongAnswer(
            name: "500 to everything",
            cases: [
                "http-pipelining", "http-slow-pieces", "http-chunked", "http-chunk-extension", "http-expect-continue",
                "http-leading-line", "http-header-case", "http-header-order", "http-unknown-headers",
                "http-content-type-charset", "load-parallel", "load-slow-*",
            ], script: .raw(failure)),
        WrongAnswer(
            name: "200 to everything",
            cases: [
                "http-close", "http-chunked-signature", "http-body-of-get", "http-host-*", "http-two-lengths",
                "http-length-*", "http-unknown-coding", "http-chunk-malformed", "http-header-name", "http-header-null",
                "http-long-header", "http-many-headers", "http-request-line", "http-other-version", "http-not-http",
                "load-length-too-small",
            ], script: yes),
        WrongAnswer(
            name: "answers without the content type of JSON", cases: ["http-answer-type-*"],
            script: .raw(RawScript(RawScript.http(200, Union.body(), type: "text/html")))),
        WrongAnswer(name: "200 to every path and method", cases: ["paths-*"], script: yes),
    ]

    private static let accepted = [
        "authentication-right", "authentication-second-credential", "authentication-more-headers",
        "authentication-blanks-in-header", "authentication-date-late", "authentication-date-early",
    ]

    private static let authentication = [
        WrongAnswer(
            name: "signatures that are not looked at", cases: ["authentication-*"],
            except: accepted + ["authentication-header-long"], script: .reference([.noAuthentication, .anyPath])),
        WrongAnswer(name: "200 to a long header", cases: ["authentication-header-long"], script: yes),
        WrongAnswer(
            name: "signatures that are all refused", cases: accepted,
            script: .raw(.error(401, "AuthenticationFailedException"))),
        WrongAnswer(
            name: "a refusal with the right signature", cases: ["authentication-no-oracle"],
            script: .reference(.tellsSignature)),
    ]

    private static let operations = metadata + encrypt + decrypt + health

    private static let metadata = [
        WrongAnswer(
            name: "a key of 128 bits", cases: ["metadata-key-spec"], script: Union.script("keySpec", "\"AES_128\"")),
        WrongAnswer(
            name: "eleven usages", cases: ["metadata-key-usage"],
            script: Union.script(
                "keyUsage", "[" + (1...11).map { "\"U\($0)\"" }.joined(separator: ",") + "]")),
        WrongAnswer(
            name: "a key that only encrypts", cases: ["metadata-key-usage-both"],
            script: Union.script("keyUsage", #"["ENCRYPT"]"#)),
        WrongAnswer(
            name: "a status that there is not", cases: ["metadata-key-status"],
            script: Union.script("keyStatus", "\"MAYBE\"")),
        WrongAnswer(
            name: "answers that change", cases: ["metadata-same-twice"],
            script: .raw(
                RawScript(
                    RawScript.http(200, Union.body()),
                    RawScript.http(200, Union.body("keyStatus", "\"DISABLED\""))))),
        WrongAnswer(
            name: "requests that are refused", cases: ["metadata-*"],
            except: ["metadata-key-*", "metadata-same-twice"], script: .reference(.refusesAll)),
    ]

    private static let encrypt = [
        WrongAnswer(
            name: "no tag", cases: ["encrypt-answer"], script: Union.script("authenticationTag")),
        WrongAnswer(
            name: "a tag of 15 bytes", cases: ["encrypt-tag"],
            script: Union.script("authenticationTag", Union.base64(Array(1...15)))),
        WrongAnswer(
            name: "a vector of 11 bytes", cases: ["encrypt-vector"],
            script: Union.script("initializationVector", Union.base64(Array(1...11)))),
        WrongAnswer(
            name: "a short ciphertext", cases: ["encrypt-length"],
            script: Union.script("ciphertext", Union.base64([1]))),
        WrongAnswer(
            name: "metadata of 21 bytes", cases: ["encrypt-ciphertext-metadata"],
            script: Union.script("ciphertextMetadata", Union.base64(Array(1...21)))),
        WrongAnswer(
            name: "a ciphertext that is the plaintext", cases: ["encrypt-is-encrypted"],
            script: Union.script("ciphertext", Union.base64(CaseRun.plaintext))),
        WrongAnswer(name: "one vector for all", cases: ["encrypt-fresh-vectors*"], script: yes),
        WrongAnswer(
            name: "an integrity value of nothing", cases: ["encrypt-integrity", "encrypt-integrity-aad"],
            script: Union.script("ciphertextDataIntegrityValue", Union.base64(Array(repeating: 0, count: 32)))),
        WrongAnswer(
            name: "200 to what must be refused",
            cases: [
                "encrypt-integrity-algorithm", "encrypt-too-large-aad", "encrypt-huge-body", "encrypt-without-*",
                "encrypt-other-algorithm", "encrypt-algorithm-*", "encrypt-aad-number", "encrypt-metadata-*",
                "encrypt-plaintext-*", "encrypt-base64-*", "encrypt-json-*",
            ],
            except: [
                "encrypt-json-blanks", "encrypt-json-order", "encrypt-json-escaped-*", "encrypt-json-huge-number",
                "encrypt-json-many-fields",
            ], script: yes),
        WrongAnswer(
            name: "silence", cases: ["encrypt-json-huge-number", "encrypt-json-many-fields", "encrypt-much-too-large"],
            script: silence),
        WrongAnswer(
            name: "400 to what must be taken",
            cases: [
                "encrypt-one-byte", "encrypt-largest*", "encrypt-too-large", "encrypt-integrity-largest",
                "encrypt-unknown-*", "encrypt-request-id-*", "encrypt-long-arns", "encrypt-service-principal",
                "encrypt-vpc", "encrypt-json-blanks", "encrypt-json-order", "encrypt-json-escaped-*",
            ], script: .reference(.refusesAll)),
    ]

    private static let decrypt = [
        WrongAnswer(
            name: "tags that are not looked at, and wrong requests that are answered",
            cases: [
                "decrypt-ciphertext-*", "decrypt-tag-*", "decrypt-vector-*", "decrypt-swapped", "decrypt-aad-*",
                "decrypt-metadata-*", "decrypt-without-*", "decrypt-algorithm-*", "decrypt-other-algorithm",
                "decrypt-foreign", "decrypt-other-key", "decrypt-flood",
            ], script: .reference([.tagIgnored, .lenient])),
        WrongAnswer(
            name: "another plaintext",
            cases: [
                "decrypt-round-trip*", "decrypt-again", "decrypt-other-connection", "decrypt-re-encrypt",
                "decrypt-binary",
            ], script: .reference(.wrongPlaintext)),
        WrongAnswer(name: "a short plaintext", cases: ["decrypt-length"], script: .reference(.shortPlaintext)),
        WrongAnswer(
            name: "a refusal with the plaintext", cases: ["decrypt-no-plaintext-of-wrong-tag"],
            script: .reference(.tellsPlaintext)),
        WrongAnswer(
            name: "decryptions that are refused",
            cases: [
                "decrypt-unknown-*", "decrypt-request-id-*", "decrypt-long-arns", "decrypt-service-principal",
                "decrypt-vpc", "health-strong-assurance",
            ], script: .reference(.refusesDecrypt)),
    ]

    private static let health = [
        WrongAnswer(
            name: "no fleet", cases: ["health-fleet-size"], script: Union.script("xksProxyFleetSize", "0")),
        WrongAnswer(
            name: "half a fleet", cases: ["health-fleet-size"], script: Union.script("xksProxyFleetSize", "1.5")),
        WrongAnswer(name: "no vendor", cases: ["health-names"], script: Union.script("ekmVendor", "\"\"")),
        WrongAnswer(
            name: "no version", cases: ["health-model-version"], script: Union.script("xksProxyModel", "\"Proxy\"")),
        WrongAnswer(
            name: "one id for two", cases: ["health-fleet"],
            script: Union.script("ekmFleetDetails", "[\(Union.manager("a")),\(Union.manager("a"))]")),
        WrongAnswer(
            name: "eleven managers", cases: ["health-fleet"],
            script: Union.script(
                "ekmFleetDetails",
                "[" + (1...11).map { Union.manager("\($0)") }.joined(separator: ",") + "]")),
        WrongAnswer(
            name: "a health that there is not", cases: ["health-fleet"],
            script: Union.script("ekmFleetDetails", "[\(Union.manager("a", "FINE"))]")),
        WrongAnswer(
            name: "nothing usable", cases: ["health-tells-truth"],
            script: Union.script("ekmFleetDetails", "[\(Union.manager("a", "UNAVAILABLE"))]")),
        WrongAnswer(
            name: "a field twice", cases: ["health-without-principal"],
            script: .raw(
                RawScript(RawScript.http(200, Union.body().dropLast() + ",\"xksProxyFleetSize\":1}")))),
        WrongAnswer(
            name: "health that is refused",
            cases: [
                "health-for-*", "health-without-principal", "health-with-principal", "health-unknown-*",
                "health-request-id-*",
            ], script: .reference(.refusesAll)),
    ]

    private static let kinds = [
        ("authentication", 401, "AuthenticationFailedException"), ("path", 404, "InvalidUriPathException"),
        ("key", 404, "KeyNotFoundException"), ("validation", 400, "ValidationException"),
        ("ciphertext", 400, "InvalidCiphertextException"),
    ]

    private static let errors = kinds.flatMap { word, status, name in
        func told(_ message: String) -> String {
            RawScript.http(status, #"{"errorName":"\#(name)","errorMessage":\#(message)}"#)
        }
        return [
            WrongAnswer(
                name: "\(name) without a name", cases: ["errors-\(word)-body"],
                script: .raw(RawScript(RawScript.http(status, "{}")))),
            WrongAnswer(
                name: "\(name) twice", cases: ["errors-\(word)-body"],
                script: .raw(RawScript(RawScript.http(status, #"{"errorName":"\#(name)","errorName":"\#(name)"}"#)))),
            WrongAnswer(
                name: "\(name) with 512 characters", cases: ["errors-\(word)-message"],
                script: .raw(RawScript(told("\"" + String(repeating: "x", count: 512) + "\"")))),
            WrongAnswer(
                name: "\(name) with a line break", cases: ["errors-\(word)-message"],
                script: .raw(RawScript(told(#""a\nb""#)))),
            WrongAnswer(
                name: "\(name) as HTML", cases: ["errors-\(word)-type"],
                script: .raw(RawScript(RawScript.http(status, #"{"errorName":"\#(name)"}"#, type: "text/html")))),
            WrongAnswer(
                name: "\(name) with a trace", cases: ["errors-\(word)-silence"],
                script: .raw(RawScript(told("\"Traceback (most recent call last)\"")))),
        ]
    }

    private static let load = [
        WrongAnswer(
            name: "answers that are mixed up", cases: ["load-parallel"], script: .reference(.mixesAnswers)),
        WrongAnswer(
            name: "twenty connections at most", cases: ["load-idle-connections", "load-slow-*"],
            script: .raw(
                {
                    var script = yesToAll
                    script.mostConnections = 20
                    return script
                }())),
        WrongAnswer(
            name: "a server that goes with a connection",
            cases: ["load-cut-*", "load-length-too-great", "authentication-date-crash", "http-not-http"],
            script: .raw(
                {
                    var script = RawScript.error(400, "ValidationException")
                    script.diesWithConnection = true
                    return script
                }())),
    ]
}
