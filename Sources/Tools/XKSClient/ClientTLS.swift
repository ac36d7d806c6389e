// SPDX-License-Identifier: Apache-2.0
import NIOSSL

/// How a client shakes hands with a proxy.
package struct ClientTLS: Sendable {
    /// Whose word the client takes on the server's certificate.
    package enum Trust: Sendable, Equatable {
        /// The CAs of this host.
        case host
        /// A PEM file of CAs.
        case file(String)
        /// Any certificate is taken, whatever its name.
        case anything
    }

    /// What the client shows where it is asked who it is.
    package struct Identity: Sendable {
        package var chain: [NIOSSLCertificate]
        package var key: NIOSSLPrivateKey

        package init(chain: [NIOSSLCertificate], key: NIOSSLPrivateKey) {
            self.chain = chain
            self.key = key
        }

        /// - Parameters:
        ///   - certificate: a PEM file, the client's own certificate first.
        ///   - key: a PEM file.
        package init(certificate: String, key: String) throws {
            self.init(
                chain: try NIOSSLCertificate.fromPEMFile(certificate),
                key: try NIOSSLPrivateKey(file: key, format: .pem))
        }
    }

    package var trust: Trust
    package var identity: Identity?
    package var versions: ClosedRange<Version> = .tls12 ... .tls13
    /// Suites of TLS 1.2; `nil`: BoringSSL's own.
    package var suites: [NIOTLSCipher]?
    /// Protocols that are offered (ALPN); none: the extension is left out, which means HTTP/1.1.
    package var protocols: [String] = []

    package enum Version: Int, Sendable, Comparable {
        case tls10, tls11, tls12, tls13

        package static func < (left: Version, right: Version) -> Bool { left.rawValue < right.rawValue }

        fileprivate var library: TLSVersion {
            switch self {
            case .tls10: .tlsv1
            case .tls11: .tlsv11
            case .tls12: .tlsv12
            case .tls13: .tlsv13
            }
        }
    }

    package init(trust: Trust, identity: Identity? = nil) {
        self.trust = trust
        self.identity = identity
    }

    /// Costs some milliseconds: one for all connections of a kind.
    package func context() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        switch trust {
        case .host: break
        case .file(let path): configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(path))
        case .anything: configuration.certificateVerification = .none
        }
        if let identity {
            configuration.certificateChain = identity.chain.map { .certificate($0) }
            configuration.privateKey = .privateKey(identity.key)
        }
        configuration.minimumTLSVersion = versions.lowerBound.library
        configuration.maximumTLSVersion = versions.upperBound.library
        if let suites { configuration.cipherSuiteValues = suites }
        configuration.applicationProtocols = protocols
        return try NIOSSLContext(configuration: configuration)
    }
}
