// SPDX-License-Identifier: Apache-2.0
import Crypto
import SecureMemory

/// The key of one secret for one day, region and service, in the form that signing starts from.
///
/// Held as a keyed HMAC, so that a request costs no key schedule; swift-crypto overwrites its state when it is freed.
struct SigningKey: Sendable {
    private let keyed: HMAC<SHA256>

    /// Derives the key: HMAC of day, region, service and `aws4_request`, each keyed by the one before, the first by
    /// `AWS4` and the secret.
    init(secret: SecretBytes, day: some Sequence<UInt8>, region: String, service: String) {
        let first = SecretBytes(capacity: secret.count + 4)
        first.append(contentsOf: "AWS4".utf8)
        secret.withUnsafeBytes { first.append(copying: $0) }
        var key = first.withUnsafeBytes { SymmetricKey(data: $0) }
        for part in [Array(day), Array(region.utf8), Array(service.utf8), Array("aws4_request".utf8)] {
            key = SymmetricKey(data: HMAC<SHA256>.authenticationCode(for: part, using: key))
        }
        keyed = HMAC(key: key)
    }

    /// Signs `canonicalRequest` under `scope` (`<yyyymmdd>/<region>/<service>/aws4_request`) at `timestamp`
    /// (`yyyymmddThhmmssZ`).
    func signature(
        of canonicalRequest: [UInt8], timestamp: Span<UInt8>, scope: Span<UInt8>
    ) -> HMAC<SHA256>.MAC {
        var text: [UInt8] = []
        text.reserveCapacity(17 + timestamp.count + 1 + scope.count + 1 + 64)
        text.append("AWS4-HMAC-SHA256\n")
        text.append(timestamp, 0..<timestamp.count)
        text.append(0x0A)
        text.append(scope, 0..<scope.count)
        text.append(0x0A)
        SHA256.digest(of: canonicalRequest).withUnsafeBytes { text.appendLowerHex($0) }
        var hmac = keyed
        hmac.update(data: text)
        return hmac.finalize()
    }
}

extension SHA256 {
    static func digest(of bytes: [UInt8]) -> SHA256.Digest {
        var hash = SHA256()
        bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
        return hash.finalize()
    }

    static func digest(of bytes: SecretBytes) -> SHA256.Digest {
        var hash = SHA256()
        bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
        return hash.finalize()
    }
}

extension SHA256.Digest {
    /// The digest as 64 lower-case hexadecimal digits.
    var lowerHex: [UInt8] {
        var digits: [UInt8] = []
        digits.reserveCapacity(64)
        withUnsafeBytes { digits.appendLowerHex($0) }
        return digits
    }
}
