// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOSSL
import SwiftASN1
import X509

/// A node's own certificate, as its peers will look at it: they refuse it where the CA has not signed it, where it may not
/// be used at both ends of a connection, and where it has ended. A node that shows such a one runs alone.
struct ClusterChain: Sendable, Equatable {
    enum Flaw: Error, Equatable {
        /// No certificate of the CA has signed it, nor one of those that stand beside it.
        case foreign
        /// Its extended key usage leaves out the server's or the client's part.
        case use
    }

    /// From when until when all of the chain is valid, the CA's own certificate among it; Unix seconds.
    let notBefore: Int64
    let notAfter: Int64
    /// When the one of them began that ends first, Unix seconds.
    let beginOfFirstToEnd: Int64

    /// Longer than any chain.
    private static let mostLinks = 8

    /// `nil` where a certificate is of a kind that cannot be read here: the TLS library decides alone then.
    ///
    /// - Parameters:
    ///   - chain: the node's own first.
    ///   - authorities: the cluster's CA.
    init?(chain: [NIOSSLCertificate], authorities: [NIOSSLCertificate]) throws(Flaw) {
        guard let own = Self.read(chain), let trusted = Self.read(authorities), let leaf = own.first else { return nil }
        if let usage = try? leaf.extensions.extendedKeyUsage, !usage.contains(.any),
            !(usage.contains(.serverAuth) && usage.contains(.clientAuth))
        {
            throw .use
        }
        guard let path = Self.path(from: leaf, through: own.dropFirst(), to: trusted) else { throw .foreign }
        notBefore = path.map { Self.seconds($0.notValidBefore) }.max() ?? 0
        let first = path.min { $0.notValidAfter < $1.notValidAfter }
        notAfter = first.map { Self.seconds($0.notValidAfter) } ?? 0
        beginOfFirstToEnd = first.map { Self.seconds($0.notValidBefore) } ?? 0
    }

    private static func read(_ certificates: [NIOSSLCertificate]) -> [Certificate]? {
        var read: [Certificate] = []
        for certificate in certificates {
            guard let der = try? certificate.toDERBytes(), let found = try? Certificate(derEncoded: der) else {
                return nil
            }
            read.append(found)
        }
        return read
    }

    /// From the leaf to a certificate of the CA; `nil` where there is no such way.
    private static func path(
        from leaf: Certificate, through intermediates: ArraySlice<Certificate>, to trusted: [Certificate]
    ) -> [Certificate]? {
        var path = [leaf]
        while path.count <= mostLinks, let last = path.last {
            func hasSigned(_ issuer: Certificate) -> Bool {
                issuer.subject == last.issuer && issuer.publicKey.isValidSignature(last.signature, for: last)
            }
            if let end = trusted.first(where: hasSigned) { return end == last ? path : path + [end] }
            guard let next = intermediates.first(where: { hasSigned($0) && !path.contains($0) }) else { return nil }
            path.append(next)
        }
        return nil
    }

    private static func seconds(_ date: Date) -> Int64 {
        Int64(clamping: Int(date.timeIntervalSince1970.rounded(.down)))
    }
}

/// The certificate that a node shows its peers.
package struct NodeCertificate: Sendable, Equatable {
    package var file: String
    /// From when until when all of its chain is valid, Unix seconds.
    package var notBefore: Int64
    package var notAfter: Int64
    /// When the one of them began that ends first, Unix seconds.
    package var beginOfFirstToEnd: Int64
}
