// SPDX-License-Identifier: Apache-2.0
import NIOSSL
import Synchronization

/// What a connection needs for its handshake.
struct TLSContext: Sendable {
    let context: NIOSSLContext
    /// The names of which the client's certificate must bear one; empty when any name, or no certificate, will do.
    let clientNames: [String]
    /// Counts the changes of whom to let in.
    let generation: Int
    private let clientAuthorities: [NIOSSLCertificate]

    init(_ material: TLSMaterial, after old: TLSContext? = nil) throws {
        context = try NIOSSLContext(configuration: material.serverConfiguration)
        clientNames = material.clientNames
        clientAuthorities = material.clientAuthorities
        let isSame = old.map {
            Set($0.clientNames) == Set(material.clientNames)
                && Set($0.clientAuthorities) == Set(material.clientAuthorities)
        }
        generation = (old?.generation ?? 0) + (isSame == false ? 1 : 0)
    }
}

/// Holds the TLS context for new connections, so that certificates can change while connections go on.
///
/// A connection keeps the context of its handshake; one that was let in by other authorities or names than those of today
/// is ended. Session tickets of the old context are not valid in the new one,
/// so a client that was trusted under the old CA has to prove itself again.
final class TLSContextHolder: Sendable {
    private let current: Mutex<TLSContext>

    init(_ context: TLSContext) {
        current = Mutex(context)
    }

    var context: TLSContext { current.withLock { $0 } }

    /// The new generation where whom to let in has changed.
    func replace(by material: TLSMaterial) throws -> Int? {
        let old = context
        let new = try TLSContext(material, after: old)
        current.withLock { $0 = new }
        return new.generation > old.generation ? new.generation : nil
    }
}

extension TLSMaterial {
    /// For another listener of the node that speaks HTTP/1.1: the same versions, groups and suites.
    package func contextForHTTP1() throws -> NIOSSLContext {
        var configuration = serverConfiguration
        configuration.applicationProtocols = ["http/1.1"]
        return try NIOSSLContext(configuration: configuration)
    }

    /// Written down, so that an update of the TLS library changes nothing: the hybrid of ML-KEM and X25519, for clients
    /// that offer it (a record of today is not opened by tomorrow's quantum computer), and what TLS has had for long
    /// (docs/reference/cryptography.md). A client's order goes before this one.
    static let keyExchangeGroups: [NIOTLSCurve] = [.x25519_MLKEM768, .x25519, .secp256r1, .secp384r1]

    /// TLS 1.2 and 1.3 with the suites of the specification (XKS 1.0.3, "TLS").
    ///
    /// TLS 1.2: the two suites that it names. TLS 1.3: BoringSSL does not let its suites be chosen; it has the two
    /// that the specification names, TLS_AES_256_GCM_SHA384 and TLS_CHACHA20_POLY1305_SHA256, and
    /// TLS_AES_128_GCM_SHA256, which RFC 8446 section 9.1 makes mandatory.
    var serverConfiguration: TLSConfiguration {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.maximumTLSVersion = .tlsv13
        configuration.cipherSuites = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
        configuration.curves = Self.keyExchangeGroups
        configuration.applicationProtocols = ["h2", "http/1.1"]
        configuration.renegotiationSupport = .none
        configuration.shutdownTimeout = .seconds(1)
        if !clientAuthorities.isEmpty {
            // Asks for a certificate, fails the handshake without one, and verifies its chain; there is no host name
            // to compare with on the server's side.
            configuration.certificateVerification = .noHostnameVerification
            configuration.trustRoots = .certificates(clientAuthorities)
        }
        return configuration
    }
}
