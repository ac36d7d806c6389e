// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11
import SecureMemory

/// What `claviger hsm probe` finds out about a token: more than a worker needs, for people.
package struct CapabilityReport: Sendable, Equatable {
    /// A way of calling AES-GCM, and what became of it.
    package struct Way: Sendable, Equatable {
        package var layout: GCMProfile.Layout
        /// Who makes the IV; `nil` when the token refuses this way.
        package var ivSource: GCMProfile.IVSource?
        /// Why it was refused; `nil` when it was not.
        package var refusal: PKCS11Error?
    }

    /// The largest size that was accepted, and what the next one got.
    package struct Limit: Sendable, Equatable {
        /// Bytes; 0 when not even the first step was accepted.
        package var accepted: Int
        /// `nil` when the largest step was accepted.
        package var refusal: PKCS11Error?
    }

    /// Whether a decryption takes IVs of a length.
    package enum IVVerdict: String, Sendable, Equatable {
        case accepted
        case refused
        /// The answer would have been the same in both cases.
        case unknown
    }

    /// What could be tried with a key.
    package struct Trials: Sendable, Equatable {
        /// All ways that were tried, in the order in which a worker prefers them.
        package var ways: [Way]
        package var capabilities: TokenCapabilities
        /// True when the profile was chosen by the caller, not found.
        package var profileWasGiven: Bool
        package var largestData: Limit
        package var largestAAD: Limit
        /// By length, 12 and 16 bytes.
        package var ivLengths: [Int: IVVerdict]
        /// Attributes of a session key.
        package var attributes: [KeyAttribute]
    }

    package var module: String
    package var library: ModuleInformation
    package var allowsThreads: Bool
    package var hasMessageFunctions: Bool
    package var token: TokenDescription
    package var listsGCM: Bool
    package var takesMessages: Bool
    /// Why the token's generator cannot be used; `nil` when it gives bytes.
    package var generatorRefusal: PKCS11Error?
    /// `nil` when the token makes no session key.
    package var trials: Trials?
    /// Why it makes none.
    package var keyRefusal: PKCS11Error?

    /// Sizes that are tried, bytes.
    package static let steps = [4_096, 8_192, 16_384, 65_536]

    /// Loads the library into this process, logs in to the one token that the selector means, and tries everything.
    ///
    /// - Parameter profile: how the token is to be called; `nil` to find out.
    ///
    /// - Throws: `WorkerFailure` with a sentence for people.
    package static func read(
        module path: String, initializeArguments: String? = nil, token selector: TokenSelector, pin: SecretBytes?,
        profile: GCMProfile? = nil
    ) throws(WorkerFailure) -> CapabilityReport {
        let module = try OpenToken.load(path, initializeArguments: initializeArguments)
        let token = try OpenToken.find(selector, module: module)
        let mechanisms = try GCMMechanisms(of: token.identity, module: module)
        let session = try OpenToken.login(token, module: module, pin: pin)
        defer { try? session.close() }
        let library: ModuleInformation
        do {
            library = try module.information()
        } catch {
            throw .call(error, doing: "asking \(path) who made it")
        }
        var report = CapabilityReport(
            module: path, library: library, allowsThreads: module.allowsThreads,
            hasMessageFunctions: module.hasMessageFunctions, token: token, listsGCM: mechanisms.isListed,
            takesMessages: mechanisms.takesMessages, generatorRefusal: generatorRefusal(session))
        let probe = try CapabilityProbe(token.identity, module: module, session: session, isLoggedIn: pin != nil)
        switch try probe.makeKey() {
        case .refused(let error): report.keyRefusal = error
        case .made(let key):
            defer { try? session.destroy(key) }
            var trials = CapabilityTrials(session, key: key)
            defer { trials.end() }
            report.trials = try probe.everything(&trials, profile: profile, key: key, session: session)
        }
        return report
    }

    private static func generatorRefusal(_ session: Session) -> PKCS11Error? {
        var bytes = [UInt8](repeating: 0, count: 32)
        let drawn = bytes.withUnsafeMutableBytes { session.random(into: $0) }
        if !drawn.isOK { return drawn.error }
        return bytes.contains { $0 != 0 } ? nil : CallResult.brokenGenerator.error
    }
}

extension CapabilityProbe {
    fileprivate func everything(
        _ trials: inout CapabilityTrials, profile given: GCMProfile?, key: ObjectHandle, session: Session
    ) throws(WorkerFailure) -> CapabilityReport.Trials {
        let profile: GCMProfile
        if let given { profile = given } else { profile = try findProfile(&trials) }
        var layouts: [GCMProfile.Layout] = mechanisms.isListed ? [.withIVBits, .withoutIVBits] : []
        if mechanisms.takesMessages { layouts.append(.message) }
        let ways = layouts.map { layout in
            switch trials.profile(in: layout) {
            case .found(let found): CapabilityReport.Way(layout: layout, ivSource: found.ivSource)
            case .refused(let result): CapabilityReport.Way(layout: layout, refusal: result.error)
            }
        }
        let wrongTag = try wrongTagCode(&trials, profile)
        let data = trials.limit { trials, size in
            trials.roundTrip(profile, plaintext: [UInt8](repeating: 0x5a, count: size), aad: [1])
        }
        let aad = trials.limit { trials, size in
            trials.roundTrip(profile, plaintext: [1], aad: [UInt8](repeating: 0x5a, count: size))
        }
        var ivLengths: [Int: CapabilityReport.IVVerdict] = [:]
        for length in [12, 16] { ivLengths[length] = trials.takes(ivLength: length, profile, wrongTag: wrongTag) }
        let attributes = (try? session.readability(of: key)) ?? []
        return CapabilityReport.Trials(
            ways: ways,
            capabilities: TokenCapabilities(
                profile: profile, wrongTagCode: UInt64(wrongTag.rawValue), allowsThreads: session.module.allowsThreads),
            profileWasGiven: given != nil, largestData: data, largestAAD: aad, ivLengths: ivLengths,
            attributes: attributes)
    }
}

extension CapabilityTrials {
    /// Takes the steps until one is refused.
    fileprivate mutating func limit(
        _ trial: (inout CapabilityTrials, Int) -> CallResult
    ) -> CapabilityReport.Limit {
        var accepted = 0
        for step in CapabilityReport.steps {
            let result = trial(&self, step)
            guard result.isOK else { return CapabilityReport.Limit(accepted: accepted, refusal: result.error) }
            accepted = step
        }
        return CapabilityReport.Limit(accepted: accepted)
    }

    /// The profile's own length has passed a round trip. The other is offered with bytes that nobody has encrypted: a
    /// token that takes it finds the tag wrong.
    fileprivate mutating func takes(
        ivLength length: Int, _ profile: GCMProfile, wrongTag: ReturnCode
    ) -> CapabilityReport.IVVerdict {
        if length == profile.ivLength { return confirm(profile).isOK ? .accepted : .refused }
        let result = decryptStrange(ivLength: length, profile)
        if result.code.refusesParameter || result.function == .decryptInit { return .refused }
        return !wrongTag.isOK && result.code == wrongTag ? .accepted : .unknown
    }
}
