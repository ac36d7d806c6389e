// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// Every room is a target of its own, in the folder of its floor, so that the compiler keeps the direction of the
// dependencies: pure rooms import nothing that acts; effect rooms meet in the program. docs/architecture.md draws the map.

let strict: [SwiftSetting] = [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let nioTLS: Target.Dependency = .product(name: "NIOTLS", package: "swift-nio")
let nioHTTP2: Target.Dependency = .product(name: "NIOHTTP2", package: "swift-nio-http2")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let x509: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let asn1: Target.Dependency = .product(name: "SwiftASN1", package: "swift-asn1")
let hummingbirdCore: Target.Dependency = .product(name: "HummingbirdCore", package: "hummingbird")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let mustache: Target.Dependency = .product(name: "Mustache", package: "swift-mustache")
let coreMetrics: Target.Dependency = .product(name: "CoreMetrics", package: "swift-metrics")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let toml: Target.Dependency = .product(name: "TOMLKit", package: "TOMLKit")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let asyncHTTPClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let histogram: Target.Dependency = .product(name: "Histogram", package: "hdrhistogram-swift")
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

/// A room, on its floor: Base ← Wire ← Decisions ← HSM, Node ← Tools ← claviger. None depends on a room of a floor to its
/// right.
func room(
    _ floor: String, _ name: String, _ dependencies: [Target.Dependency] = [], embedding resources: [String] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "Sources/\(floor)/\(name)",
        resources: resources.map { .embedInCode($0) }, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// What all use.
let base: [Target] = [
    .target(name: "CPlatform", path: "Sources/Base/CPlatform"),
    room("Base", "Chance"),
    room("Base", "Charts"),
    room("Base", "ConnectionLimits"),
    .target(name: "ProcessStart", path: "Sources/Base/ProcessStart"),
    room("Base", "HostLimits", ["CPlatform", logging, nioCore]),
    room("Base", "QuotedText"),
    room("Base", "SecureMemory"),
    room("Base", "Threads", ["CPlatform"]),
    room("Base", "PrivateFiles", ["SecureMemory", "Threads"]),
    room("Base", "TLSFacts"),
    room("Base", "TLSLinks", ["TLSFacts", nioCore]),
    room(
        "Base", "HTTPServing",
        [
            "CPlatform", "ConnectionLimits", "HostLimits", hummingbird, hummingbirdCore, lifecycle, logging, nioCore,
            nioPosix,
        ]),
]

/// What is said to KMS, to workers and to people: pure.
let wire: [Target] = [
    room("Wire", "StatusVocabulary"),
    room("Wire", "XKSProtocol", ["SecureMemory", "StatusVocabulary"]),
    room("Wire", "SigV4", ["SecureMemory", "XKSProtocol", crypto]),
    room("Wire", "XKSCalls", ["QuotedText", "SecureMemory", "SigV4", "XKSProtocol"]),
    room("Wire", "LaneProtocol", ["SecureMemory", "StatusVocabulary"]),
    room("Wire", "AdminProtocol", ["StatusVocabulary"]),
]

/// What is decided: pure. Time and chance come in as arguments.
let decisions: [Target] = [
    room("Decisions", "AccessControl", ["LaneProtocol", "XKSProtocol"]),
    room("Decisions", "Policy", ["XKSProtocol"]),
    room("Decisions", "Quota"),
    room("Decisions", "RequestTraces", ["QuotedText", "XKSProtocol"]),
    room("Decisions", "AuditChain", ["AdminProtocol", "XKSProtocol", crypto]),
    room("Decisions", "KeyProof", ["Chance", "LaneProtocol", "StatusVocabulary"]),
    room("Decisions", "SecondOpinion", ["LaneProtocol"]),
    room("Decisions", "Routing", ["Chance", "KeyProof", "LaneProtocol", "SecureMemory", "StatusVocabulary"]),
    room("Decisions", "Gossip", ["Chance", "StatusVocabulary"]),
    room("Decisions", "Conditions", ["AdminProtocol", "StatusVocabulary"]),
    room("Decisions", "KMSPlay", ["Chance", "XKSCalls", "XKSProtocol", crypto]),
    room("Decisions", "Conformance", ["SecureMemory", "SigV4", "XKSCalls", "XKSProtocol", crypto]),
]

/// HSMs, and the processes that hold their libraries.
let hsm: [Target] = [
    .systemLibrary(name: "CPKCS11", path: "Sources/HSM/CPKCS11"),
    room("HSM", "PKCS11", ["CPKCS11", "CPlatform", "LaneProtocol", "SecureMemory", "StatusVocabulary"]),
    room(
        "HSM", "HSMWorker",
        ["CPlatform", "LaneProtocol", "PKCS11", "SecondOpinion", "SecureMemory", "StatusVocabulary", "Threads"]),
    room(
        "HSM", "HSMPool",
        [
            "CPlatform", "KeyProof", "LaneProtocol", "Routing", "SecureMemory", "StatusVocabulary", "Threads", crypto,
            logging, nioCore, nioPosix,
        ]),
]

/// What else a node does: it listens, answers, remembers, speaks to its peers, and tells how it is.
let node: [Target] = [
    room(
        "Node", "XKSListener",
        [
            "ConnectionLimits", "HostLimits", "SecureMemory", "TLSFacts", "TLSLinks", "XKSProtocol", logging, nioCore,
            nioPosix, nioHTTP1,
            nioHTTP2, nioSSL, nioTLS,
        ]),
    room(
        "Node", "XKSService",
        [
            "AccessControl", "Chance", "KeyProof", "LaneProtocol", "Policy", "Quota", "Routing", "SecureMemory",
            "SigV4", "StatusVocabulary", "RequestTraces", "XKSProtocol", crypto,
        ]),
    room(
        "Node", "TraceExport",
        ["CPlatform", "RequestTraces", "XKSProtocol", asyncHTTPClient, logging, nioCore, nioHTTP1, nioPosix, nioSSL]),
    room("Node", "NodeStore", ["AccessControl", "KeyProof", "PrivateFiles", "StatusVocabulary", grdb]),
    room(
        "Node", "NodeConfig",
        [
            "CPlatform", "ConnectionLimits", "PrivateFiles", "QuotedText", "SecureMemory", "TLSFacts", "XKSProtocol",
            toml,
        ]),
    room("Node", "Monitoring", ["AdminProtocol", "CPlatform", "StatusVocabulary", "XKSProtocol", coreMetrics]),
    room(
        "Node", "StatusPage", ["AdminProtocol", "Charts", "Conditions", "StatusVocabulary", mustache],
        embedding: [
            "Resources/status.html.mustache", "Resources/status.css", "Resources/status.js", "Resources/icon.svg",
        ]),
    room("Node", "Observability", ["CPlatform", "ConnectionLimits", "Threads", "XKSProtocol", logging]),
    room(
        "Node", "Audit",
        ["AdminProtocol", "AuditChain", "CPlatform", "PrivateFiles", "SecureMemory", "Threads", crypto, logging]),
    room(
        "Node", "ControlPlane",
        [
            "AdminProtocol", "AuditChain", "CPlatform", "ConnectionLimits", "HTTPServing", "PrivateFiles",
            "SecureMemory",
            "StatusVocabulary", "TLSLinks", httpTypes, hummingbird, hummingbirdCore, logging, nioCore, nioPosix, nioSSL,
            nioTLS,
        ]),
    room(
        "Node", "Cluster",
        [
            "AccessControl", "AdminProtocol", "ConnectionLimits", "Gossip", "HTTPServing", "HostLimits", "PrivateFiles",
            "SecureMemory",
            "TLSFacts", "TLSLinks", "XKSProtocol", httpTypes,
            hummingbird, hummingbirdCore, logging, nioCore, nioHTTP1, nioPosix, nioSSL, nioTLS, x509, asn1,
        ]),
]

/// What people use beside a running node.
let tools: [Target] = [
    room(
        "Tools", "AdminClient",
        ["AdminProtocol", "StatusVocabulary", asyncHTTPClient, nioCore, nioHTTP1, nioPosix, nioSSL]),
    room("Tools", "ClusterCertificates", ["PrivateFiles", "SecureMemory", "TLSFacts", x509, asn1, crypto]),
    room("Tools", "KMSWords"),
    room("Tools", "ReferenceImport", ["NodeConfig", "SecureMemory", "SigV4", "XKSProtocol"]),
    room("Tools", "SetupPlan", ["NodeConfig", "XKSProtocol"]),
    room(
        "Tools", "XKSClient",
        ["TLSFacts", "TLSLinks", "XKSCalls", "XKSProtocol", nioCore, nioPosix, nioHTTP2, nioSSL, nioTLS]),
    room(
        "Tools", "Certification",
        [
            "Conformance", "TLSFacts", "XKSCalls", "XKSClient", "XKSProtocol", nioCore, nioSSL, crypto, mustache, asn1,
            x509,
        ],
        embedding: ["Resources/report.html.mustache"]),
    room("Tools", "DrillPlan", ["AdminProtocol", "StatusVocabulary"]),
    room("Tools", "LoadPlan", ["Chance", "Charts", histogram]),
    room("Tools", "LoadGenerator", ["LoadPlan", "XKSCalls", nioCore, nioPosix, nioSSL, nioTLS]),
    room("Tools", "KeyStoreCredentials", ["SecureMemory", "SigV4", "XKSProtocol"]),
    room(
        "Tools", "DevEnvironment",
        [
            "ClusterCertificates", "KeyStoreCredentials", "LaneProtocol", "PrivateFiles", "QuotedText", "SecureMemory",
            "SigV4", "StatusVocabulary", x509, crypto,
        ]),
]

/// A PKCS#11 library that wraps a real one and fails as it is told; TestSupport/FaultyPKCS11/README.md.
let faultyModule = Target.target(
    name: "FaultyPKCS11", path: "TestSupport/FaultyPKCS11", exclude: ["README.md"],
    linkerSettings: [.linkedLibrary("dl")])

/// A library to be preloaded into a process whose clock, disk or number of threads is to be out of order.
let preloadedFaults = Target.target(
    name: "PreloadedFaults", path: "TestSupport/PreloadedFaults", linkerSettings: [.linkedLibrary("dl")])

/// What tests of several rooms share: random worlds that can be made again, and, for simulations, a time of their own.
let seededRandom = Target.target(
    name: "SeededRandom", dependencies: ["Chance"], path: "TestSupport/SeededRandom", swiftSettings: strict)
let virtualTime = Target.target(name: "VirtualTime", path: "TestSupport/VirtualTime", swiftSettings: strict)

/// Measures what a decision of a policy costs (`make policy-bench`).
let policyBench = Target.executableTarget(
    name: "PolicyBench", dependencies: ["Policy", "XKSProtocol"], path: "TestSupport/PolicyBench",
    swiftSettings: strict)

/// What comes from outside, fed with anything: by libFuzzer (`make fuzz`), and with its corpus by FuzzReplayTests.
let fuzzTargets = Target.target(
    name: "FuzzTargets",
    dependencies: [
        "AccessControl", "AdminProtocol", "AuditChain", "Cluster", "ClusterCertificates", "ConnectionLimits",
        "ControlPlane",
        "Gossip", "LaneProtocol", "NodeConfig", "Policy", "SecureMemory", "SigV4", "TLSFacts", "XKSListener",
        "XKSCalls", "XKSProtocol", logging, nioCore, nioEmbedded,
    ],
    path: "TestSupport/FuzzTargets", swiftSettings: strict)

/// The program that libFuzzer runs. It has no `main` of its own, so it can be linked only with libFuzzer.
let fuzzer: [Target] =
    Context.environment["CLAVIGER_FUZZ"] == nil
    ? []
    : [
        .executableTarget(
            name: "Fuzz", dependencies: ["FuzzTargets"], path: "TestSupport/Fuzz",
            swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])])
    ]

let roomTests: [Target] = [
    tests("ConnectionLimitsTests", ["Chance", "ConnectionLimits", "SeededRandom"]),
    tests("HostLimitsTests", ["HostLimits", nioCore]),
    tests("HTTPServingTests", ["HTTPServing"]),
    tests("SecureMemoryTests", ["SecureMemory"]),
    tests("StatusVocabularyTests", ["StatusVocabulary"]),
    tests("XKSProtocolTests", ["Chance", "SecureMemory", "SeededRandom", "StatusVocabulary", "XKSProtocol"]),
    tests("XKSCallsTests", ["SecureMemory", "SigV4", "XKSCalls", "XKSProtocol"]),
    tests("SigV4Tests", ["Chance", "SecureMemory", "SeededRandom", "SigV4", "XKSProtocol", crypto]),
    tests("AccessControlTests", ["AccessControl", "Chance", "LaneProtocol", "SeededRandom"]),
    tests("RequestTracesTests", ["RequestTraces", "XKSProtocol"]),
    tests("PolicyTests", ["Chance", "Policy", "SeededRandom", "XKSProtocol"]),
    tests("QuotaTests", ["Chance", "Quota", "SeededRandom"]),
    tests("AuditTests", ["AdminProtocol", "Audit", "AuditChain", "XKSProtocol", logging]),
    tests("AuditChainTests", ["AdminProtocol", "AuditChain", "Chance", "SeededRandom", "XKSProtocol", crypto]),
    tests("LaneProtocolTests", ["Chance", "LaneProtocol", "SecureMemory", "SeededRandom", "StatusVocabulary"]),
    tests("KeyProofTests", ["Chance", "KeyProof", "LaneProtocol", "SeededRandom", "StatusVocabulary"]),
    tests("RoutingTests", ["Chance", "LaneProtocol", "Routing", "SeededRandom"]),
    tests(
        "SimulationTests",
        ["Chance", "Gossip", "LaneProtocol", "Routing", "SeededRandom", "StatusVocabulary", "VirtualTime"]),
    tests(
        "NodeSimulationTests",
        [
            "AccessControl", "Chance", "Gossip", "HSMPool", "HSMWorker", "KeyProof", "LaneProtocol", "PKCS11",
            "Routing",
            "SecondOpinion", "SecureMemory", "SigV4", "StatusVocabulary", "VirtualTime", "XKSProtocol", "XKSService",
        ]),
    tests(
        "MonitoringTests", ["AdminProtocol", "Conditions", "Monitoring", "StatusVocabulary", "XKSProtocol"]),
    tests("StatusPageTests", ["AdminProtocol", "Conditions", "StatusPage", "StatusVocabulary"]),
    tests("NodeStoreTests", ["AccessControl", "Chance", "NodeStore", "SeededRandom", "StatusVocabulary", grdb]),
    tests("GossipTests", ["AccessControl", "Chance", "Gossip", "SeededRandom", "StatusVocabulary"]),
    tests("ClusterSimulationTests", ["AccessControl", "Chance", "Gossip", "SeededRandom", "VirtualTime"]),
    tests(
        "ClusterTests",
        [
            "AccessControl", "AdminProtocol", "Cluster", "ClusterCertificates", "ConnectionLimits", "Gossip",
            "SecureMemory", "TLSFacts",
            "XKSProtocol", logging, nioCore, nioPosix, nioSSL,
        ]),
    .testTarget(
        name: "CompatibilityTests",
        dependencies: [
            "AccessControl", "AdminProtocol", "Cluster", "ClusterCertificates", "Gossip", "NodeStore", "SecureMemory",
            "StatusVocabulary", "XKSProtocol", grdb, logging, nioCore, nioHTTP1, nioPosix, nioSSL,
        ],
        exclude: ["README.md", "Recorded", "Today"], swiftSettings: strict),
    tests("ClusterCertificatesTests", ["ClusterCertificates", "SecureMemory", x509]),
    tests("TLSFactsTests", ["Chance", "SeededRandom", "TLSFacts", "TLSLinks", nioCore]),
    tests("PrivateFilesTests", ["PrivateFiles", "SecureMemory"]),
    tests("ThreadsTests", ["Threads"]),
    tests("PKCS11Tests", ["LaneProtocol", "PKCS11"]),
    tests("SecondOpinionTests", ["Chance", "LaneProtocol", "SecondOpinion", "SeededRandom"]),
    tests(
        "HSMWorkerTests",
        [
            "CPlatform", "Chance", "HSMWorker", "LaneProtocol", "PKCS11", "SecondOpinion", "SecureMemory",
            "SeededRandom", "StatusVocabulary",
        ]),
    tests(
        "HSMPoolTests", ["HSMPool", "KeyProof", "LaneProtocol", "Routing", "SecureMemory", logging, nioCore, nioPosix]),
    tests(
        "XKSListenerTests",
        [
            "Chance", "ConnectionLimits", "SecureMemory", "SeededRandom", "TLSFacts", "XKSListener", "XKSProtocol",
            logging, nioCore,
            nioPosix, nioSSL,
        ]),
    tests(
        "XKSServiceTests",
        [
            "AccessControl", "KeyProof", "LaneProtocol", "Policy", "Quota", "Routing", "SecureMemory", "SigV4",
            "StatusVocabulary", "XKSProtocol", "XKSService",
        ]),
    tests(
        "ObservabilityTests",
        ["Chance", "ConnectionLimits", "Observability", "SecureMemory", "SeededRandom", "XKSProtocol", logging]),
    tests("ConditionsTests", ["AdminProtocol", "Conditions", "StatusVocabulary"]),
    tests(
        "ControlPlaneTests",
        [
            "AdminProtocol", "Conditions", "ConnectionLimits", "ControlPlane", "SecureMemory", "StatusVocabulary",
            "TLSLinks", logging, nioSSL,
        ]),
    tests(
        "AdminClientTests", ["AdminClient", "AdminProtocol", "Conditions", "ControlPlane", "StatusVocabulary", logging]),
    tests(
        "NodeConfigTests",
        [
            "Chance", "ConnectionLimits", "LaneProtocol", "NodeConfig", "SecureMemory", "SeededRandom",
            "StatusVocabulary", "TLSFacts",
        ]),
    .testTarget(
        name: "FuzzReplayTests", dependencies: ["FuzzTargets"], exclude: ["Corpus"], swiftSettings: strict),
    tests("DrillPlanTests", ["AdminProtocol", "Chance", "DrillPlan", "SeededRandom", "StatusVocabulary"]),
    tests("LoadPlanTests", ["Chance", "LoadPlan", "SeededRandom"]),
    tests(
        "LoadGeneratorTests", ["Chance", "LoadGenerator", "LoadPlan", "SeededRandom", "XKSCalls", nioCore, nioPosix]),
    tests(
        "CertificationTests",
        [
            "Certification", "ClusterCertificates", "Conformance", "ConnectionLimits", "SecureMemory", "SigV4",
            "StatusVocabulary", "XKSCalls", "XKSClient", "XKSListener", "XKSProtocol", crypto, logging, nioCore,
            nioPosix, nioSSL, x509,
        ]),
    tests("KMSPlayTests", ["KMSPlay", "KMSWords", "XKSCalls", "XKSProtocol", crypto]),
    tests("KMSWordsTests", ["Chance", "KMSWords", "SeededRandom"]),
    tests("ReferenceImportTests", ["Chance", "NodeConfig", "ReferenceImport", "SecureMemory"]),
    tests("SetupPlanTests", ["NodeConfig", "SetupPlan"]),
    tests("KeyStoreCredentialsTests", ["KeyStoreCredentials", "SecureMemory", "SigV4"]),
    tests(
        "DevEnvironmentTests",
        [
            "ClusterCertificates", "DevEnvironment", "KeyStoreCredentials", "LaneProtocol", "NodeConfig",
            "SecureMemory",
            "SigV4", x509,
        ]),
]

/// Tests with real parts: a PKCS#11 library in child processes, and the program as its user runs it.
let wholeTests: [Target] = [
    tests(
        "ModuleTests",
        ["CPlatform", "HSMWorker", "LaneProtocol", "PKCS11", "SecureMemory", "StatusVocabulary", crypto]),
    tests("FaultyModuleTests", ["LaneProtocol", "PKCS11", "SecureMemory"]),
    tests(
        "EndToEndTests",
        ["Conditions", "SecureMemory", "SigV4", "StatusVocabulary", "XKSProtocol", "claviger", crypto]),
]

let package = Package(
    name: "claviger",
    products: [
        .executable(name: "claviger", targets: ["claviger"]),
        .library(name: "FaultyPKCS11", type: .dynamic, targets: ["FaultyPKCS11"]),
        .library(name: "PreloadedFaults", type: .dynamic, targets: ["PreloadedFaults"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1.git", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates.git", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics.git", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-http2.git", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.37.6"),
        .package(url: "https://github.com/groue/GRDB.swift.git", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.1", traits: []),
        .package(url: "https://github.com/hummingbird-project/swift-mustache.git", from: "2.1.1"),
        .package(url: "https://github.com/swift-server/async-http-client.git", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift.git", from: "0.2.0"),
        .package(url: "https://github.com/LebJe/TOMLKit.git", from: "0.6.0"),
    ],
    targets: base + wire + decisions + hsm + node + tools + [
        .executableTarget(
            name: "claviger",
            dependencies: [
                "AccessControl", "AdminClient", "AdminProtocol", "Audit", "AuditChain", "CPlatform", "Certification",
                "Cluster",
                "ClusterCertificates",
                "Conditions", "Conformance", "ConnectionLimits", "ControlPlane", "DevEnvironment", "DrillPlan",
                "Gossip", "HSMPool",
                "HSMWorker",
                "HTTPServing",
                "HostLimits", "KMSPlay", "KMSWords", "KeyProof", "KeyStoreCredentials", "LaneProtocol", "LoadGenerator",
                "LoadPlan", "NodeConfig", "NodeStore",
                "Monitoring", "Observability", "PKCS11", "Policy", "PrivateFiles", "ProcessStart",
                "Quota", "QuotedText", "ReferenceImport",
                "Routing", "SecureMemory", "SetupPlan", "SigV4", "StatusPage", "StatusVocabulary", "TLSFacts",
                "TLSLinks",
                "TraceExport", "RequestTraces", "XKSCalls", "XKSClient", "XKSListener", "XKSProtocol", "XKSService",
                argumentParser, asn1, asyncHTTPClient, crypto, logging,
                nioCore, nioPosix, nioSSL, x509,
            ],
            swiftSettings: strict)
    ] + [faultyModule, preloadedFaults, seededRandom, virtualTime, policyBench, fuzzTargets] + fuzzer + roomTests
        + wholeTests
)
