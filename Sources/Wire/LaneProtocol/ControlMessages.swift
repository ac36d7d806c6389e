// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import StatusVocabulary

// What node and worker send each other on the control socket, beside the lanes: a few messages in the life of a worker.

/// How a token is chosen among a library's slots.
package enum TokenSelector: Sendable, Equatable {
    /// CK_TOKEN_INFO.label, trailing blanks removed.
    case label(String)
    /// CK_TOKEN_INFO.serialNumber, trailing blanks removed.
    case serial(String)
    /// The slot's ID (not its position in the list).
    case slot(UInt64)

    /// Texts are compared as the bytes that a token is chosen by.
    package static func == (left: TokenSelector, right: TokenSelector) -> Bool {
        switch (left, right) {
        case (.label(let one), .label(let other)), (.serial(let one), .serial(let other)):
            one.utf8.elementsEqual(other.utf8)
        case (.slot(let one), .slot(let other)): one == other
        case (.label, _), (.serial, _), (.slot, _): false
        }
    }
}

/// What a worker is started with. Another value needs another worker.
package struct WorkerConfiguration: Sendable, Equatable {
    /// The HSM's name in the configuration.
    package var name: String
    /// Path of the PKCS#11 library.
    package var module: String
    package var token: TokenSelector
    /// The user PIN; absent for a token that wants no login.
    package var pin: SecretBytes?
    /// Passed to C_Initialize as `pReserved`; NSS softoken takes its settings this way.
    package var initializeArguments: String?
    /// How the token wants AES-GCM to be called; `nil`: the worker finds out.
    package var profile: GCMProfile?
    /// Number of lanes; their sockets are descriptors 4, 5, … of the worker.
    package var lanes: UInt16
    /// How often the key catalogue is read anew, milliseconds.
    package var catalogueInterval: UInt32
    /// How often the known-answer probe runs, milliseconds.
    package var probeInterval: UInt32
    package var sandbox: SandboxSettings

    package init(
        name: String, module: String, token: TokenSelector, pin: SecretBytes?, initializeArguments: String? = nil,
        profile: GCMProfile? = nil, lanes: UInt16, catalogueInterval: UInt32, probeInterval: UInt32,
        sandbox: SandboxSettings = SandboxSettings(mode: .off)
    ) {
        self.name = name
        self.module = module
        self.token = token
        self.pin = pin
        self.initializeArguments = initializeArguments
        self.profile = profile
        self.lanes = lanes
        self.catalogueInterval = catalogueInterval
        self.probeInterval = probeInterval
        self.sandbox = sandbox
    }
}

/// Who the token is. Trailing blanks are removed from all texts.
package struct TokenIdentity: Sendable, Equatable {
    package var label: String
    package var serial: String
    package var manufacturer: String
    package var model: String
    /// `major.minor`
    package var firmware: String
    package var slot: UInt64
    /// Largest number of sessions the token says it allows; 0 when it says unlimited or nothing.
    package var sessionLimit: UInt64

    package init(
        label: String, serial: String, manufacturer: String, model: String, firmware: String, slot: UInt64,
        sessionLimit: UInt64
    ) {
        self.label = label
        self.serial = serial
        self.manufacturer = manufacturer
        self.model = model
        self.firmware = firmware
        self.slot = slot
        self.sessionLimit = sessionLimit
    }
}

/// Why a worker gave up. What it says decides whether starting another can help.
package enum WorkerFailureKind: UInt8, Sendable, CaseIterable {
    /// The library could not be loaded, or is no PKCS#11 library.
    case module = 1
    /// No token answers to the selector, or more than one does.
    case token = 2
    /// The HSM refused the PIN. **Never tried again by itself**: a few more tries and the token is locked.
    case pinRefused = 3
    /// The token's PIN is locked or not set.
    case pinUnusable = 4
    /// The token has no AES-GCM.
    case mechanism = 5
    /// Some other call failed; another attempt may succeed.
    case call = 6
    /// The token works otherwise than the configured profile says.
    case profile = 7

    /// True when a new attempt cannot help until a person has done something, or could do harm.
    package var isPermanent: Bool {
        switch self {
        case .pinRefused, .pinUnusable, .mechanism, .profile: true
        case .module, .token, .call: false
        }
    }
}

/// Why a worker gave up.
package struct WorkerFailure: Error, Sendable, Equatable {
    package var kind: WorkerFailureKind
    package var function: PKCS11Function
    /// The CK_RV, 0 where no call was made.
    package var code: UInt64
    /// A sentence for people: what failed, with its name and value, and what mends it.
    package var message: String

    package init(kind: WorkerFailureKind, function: PKCS11Function = .none, code: UInt64 = 0, message: String) {
        self.kind = kind
        self.function = function
        self.code = code
        self.message = message
    }
}

/// Outcome of one known-answer encryption and decryption on the token.
package struct ProbeReport: Sendable, Equatable {
    package var passed: Bool
    package var function: PKCS11Function
    package var code: UInt64
    package var microseconds: UInt32

    package init(passed: Bool, function: PKCS11Function = .none, code: UInt64 = 0, microseconds: UInt32) {
        self.passed = passed
        self.function = function
        self.code = code
        self.microseconds = microseconds
    }
}

/// A worker that has logged in and can be given work.
package struct WorkerReadiness: Sendable, Equatable {
    package var identity: TokenIdentity
    /// How many lanes, the first ones, have a session; the others are parked.
    package var openLanes: UInt16
    package var capabilities: TokenCapabilities

    package init(identity: TokenIdentity, openLanes: UInt16, capabilities: TokenCapabilities) {
        self.identity = identity
        self.openLanes = openLanes
        self.capabilities = capabilities
    }
}

/// Node to worker.
package enum NodeMessage: Sendable {
    /// The first message. `openLanes`: how many of the lanes, the first ones, get a session at once; the others are parked
    /// until the node asks. `sealed`: what the library is kept from, unless its sandbox is off.
    case configure(WorkerConfiguration, openLanes: UInt16, sealed: SealedPaths)
    /// Which keys the key stores offer from now on. The worker lists nothing before the first.
    case offer(OfferedKeys)
    /// Read the key catalogue now.
    case readCatalogue
    /// Probe now.
    case probe
    /// Encrypt random bytes under a key of the catalogue. The answer bears the ticket.
    case makeCanary(ticket: UInt64, key: UInt32)
    /// Open a canary with a key of the catalogue. The answer bears the ticket.
    case openCanary(ticket: UInt64, key: UInt32, SealedCanary)
}

/// Worker to node.
package enum WorkerMessage: Sendable, Equatable {
    /// The first message, before the library is loaded.
    case confined(Compartment)
    case ready(WorkerReadiness)
    /// The keys the token holds now. Follows `ready` within some seconds, however many there are, and every change.
    case catalogue(KeyListing)
    case probe(ProbeReport)
    /// `block` is what was encrypted.
    case canaryMade(ticket: UInt64, SealedCanary, block: [UInt8])
    /// `block` is what the canary held.
    case canaryOpened(ticket: UInt64, block: [UInt8])
    case canaryRefused(ticket: UInt64, CanaryRefusal, function: PKCS11Function, code: UInt64)
    /// The worker ends after this message.
    case failed(WorkerFailure)
}
