// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOSSL
import PrivateFiles
import SecureMemory
import Synchronization
import TLSFacts

/// What new connections shake hands with, and how it is replaced.
///
/// Both sides show a certificate and verify the other's chain against the cluster's CA. TLS 1.3 alone: both ends are
/// nodes. A connection remembers the generation of its handshake, so that no connection outlives a CA that was taken
/// away (`ConnectionTable`, `PeerPool`).
final class ClusterTLS: Sendable {
    struct Material: Sendable {
        let server: NIOSSLContext
        let client: NIOSSLContext
        /// The cluster's CA certificates, DER.
        let authorities: [[UInt8]]
        /// Certificates that no node may show, though they are the CA's.
        let refused: Set<CertificateSerial>
        /// `nil` where its certificates are of a kind that only the TLS library can read.
        let chain: ClusterChain?
        /// Grows with each replacement.
        let generation: UInt64
    }

    private struct State {
        var files: ClusterTLSFiles
        var material: Material
        var stamps: [FileStamp?]
        /// What was last wrong with the files; `nil` when they were read.
        var failure: ClusterError?
        /// Who has shown certificates that are refused; one for each of them at most, as `refused` is bounded.
        var attempts: [CertificateSerial: RefusedAttempts] = [:]
    }

    /// What came of looking at the files.
    enum Check: Equatable { case unchanged, replaced, failed(ClusterError) }

    private let node: String
    private let state: Mutex<State>

    /// Reads and checks the files. Blocks on the disk, as all that reads here.
    ///
    /// - Parameter node: whose certificate it must be.
    init(_ files: ClusterTLSFiles, node: String) throws(ClusterError) {
        self.node = node
        let stamps = FileStamp.of(files)
        let material = try Self.load(files, node: node, generation: 1)
        state = Mutex(State(files: files, material: material, stamps: stamps))
    }

    var files: ClusterTLSFiles { state.withLock { $0.files } }
    var material: Material { state.withLock { $0.material } }

    /// What this node shows its peers; `nil` where only the TLS library can read it.
    var certificate: NodeCertificate? {
        state.withLock { state in
            state.material.chain.map {
                NodeCertificate(
                    file: state.files.certificate, notBefore: $0.notBefore, notAfter: $0.notAfter,
                    beginOfFirstToEnd: $0.beginOfFirstToEnd)
            }
        }
    }

    var generation: UInt64 { state.withLock { $0.material.generation } }

    /// Whether files could take the place of those in use.
    func check(_ files: ClusterTLSFiles) throws(ClusterError) {
        _ = try Self.load(files, node: node, generation: 0)
    }

    /// New handshakes use these from now on. Throws, and changes nothing, when they cannot be used.
    func replace(with files: ClusterTLSFiles) throws(ClusterError) {
        let stamps = FileStamp.of(files)
        let loaded = try Self.load(files, node: node, generation: 0)
        state.withLock { state in
            state.files = files
            state.stamps = stamps
            state.failure = nil
            state.material = Material(
                server: loaded.server, client: loaded.client, authorities: loaded.authorities,
                refused: loaded.refused, chain: loaded.chain, generation: state.material.generation + 1)
        }
    }

    /// Replaces when a file has changed. A failure is reported once, and tried again each time: between two steps of
    /// one who replaces the files, key and certificate do not match.
    func followFiles() -> Check {
        let (files, stamps, failure) = state.withLock { ($0.files, $0.stamps, $0.failure) }
        guard failure != nil || FileStamp.of(files) != stamps else { return .unchanged }
        do {
            try replace(with: files)
            return .replaced
        } catch {
            guard error != failure else { return .unchanged }
            state.withLock { $0.failure = error }
            return .failed(error)
        }
    }

    // MARK: Refused certificates

    /// Whether nothing is taken from, and nothing sent to, whoever shows this certificate. Attempts are counted.
    ///
    /// - Parameter address: where it comes from, for people.
    func refuses(_ peer: PeerCertificate, at address: String) -> Bool {
        state.withLock { state in
            guard state.material.refused.contains(peer.serial) else { return false }
            let count = (state.attempts[peer.serial]?.count ?? 0) &+ 1
            state.attempts[peer.serial] = RefusedAttempts(
                node: peer.name, serial: peer.serial, address: address, count: count)
            return true
        }
    }

    /// What has been refused since this was last asked, by serial number.
    func takeAttempts() -> [RefusedAttempts] {
        state.withLock { state in
            defer { state.attempts = [:] }
            return state.attempts.values.sorted { $0.serial < $1.serial }
        }
    }

    // MARK: Reading

    private static func load(
        _ files: ClusterTLSFiles, node: String, generation: UInt64
    ) throws(ClusterError) -> Material {
        let authorities = try certificates(files.ca)
        let chain = try certificates(files.certificate)
        let key = try privateKey(files.key)
        guard let leaf = chain.first else { throw .noCertificate(file: files.certificate) }
        guard let name = NodeName.of(leaf) else { throw .unnamed(file: files.certificate, node: node) }
        guard name == node else { throw .otherNode(file: files.certificate, names: name, node: node) }
        if let serial = CertificateSerial(octets: leaf.serialNumber), files.refused.contains(serial) {
            throw .refusedItself(file: files.certificate, serial: serial, node: node)
        }
        let links: ClusterChain?
        do throws(ClusterChain.Flaw) {
            links = try ClusterChain(chain: chain, authorities: authorities)
        } catch {
            switch error {
            case .foreign: throw .foreign(file: files.certificate, ca: files.ca, node: node)
            case .use: throw .wrongUse(file: files.certificate, node: node)
            }
        }
        var server = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        server.renegotiationSupport = .none
        var client = TLSConfiguration.makeClientConfiguration()
        client.certificateChain = chain.map { .certificate($0) }
        client.privateKey = .privateKey(key)
        do {
            return Material(
                server: try NIOSSLContext(configuration: restricted(server, to: authorities)),
                client: try NIOSSLContext(configuration: restricted(client, to: authorities)),
                authorities: authorities.compactMap { try? $0.toDERBytes() }, refused: files.refused, chain: links,
                generation: generation)
        } catch {
            throw .mismatch(certificate: files.certificate, key: files.key)
        }
    }

    /// Written down, so that an update of the TLS library changes nothing: the hybrid of ML-KEM and X25519 first (a record
    /// of today is not opened by tomorrow's quantum computer), then what TLS has had for long
    /// (docs/reference/cryptography.md).
    static let keyExchangeGroups: [NIOTLSCurve] = [.x25519_MLKEM768, .x25519, .secp256r1, .secp384r1]

    /// On the server's side this verification also demands a certificate.
    private static func restricted(
        _ configuration: TLSConfiguration, to authorities: [NIOSSLCertificate]
    ) -> TLSConfiguration {
        var configuration = configuration
        configuration.minimumTLSVersion = .tlsv13
        configuration.curves = keyExchangeGroups
        configuration.trustRoots = .certificates(authorities)
        configuration.certificateVerification = .noHostnameVerification
        configuration.shutdownTimeout = .seconds(1)
        return configuration
    }

    /// The certificates of a file, each of which must be one.
    static func certificates(
        _ file: String, within time: Duration = Patience.ofFiles
    ) throws(ClusterError) -> [NIOSSLCertificate] {
        let bytes = try read(file, as: .plain, within: time)
        let blocks = try pem(bytes, file: file).certificates
        guard !blocks.isEmpty else { throw .noCertificate(file: file) }
        var certificates: [NIOSSLCertificate] = []
        for block in blocks {
            guard let found = try? NIOSSLCertificate.fromPEMBytes(Array(bytes[block.range])), found.count == 1 else {
                throw .badText(file: file, line: block.line, reason: "the certificate that begins there is damaged")
            }
            certificates += found
        }
        return certificates
    }

    /// The block with the private key. The caller overwrites it.
    static func privateKeyBlock(
        _ file: String, within time: Duration = Patience.ofFiles
    ) throws(ClusterError) -> [UInt8] {
        do throws(ClusterError) {
            var bytes = try read(file, as: .secret, within: time)
            defer { bytes.withUnsafeMutableBytes { wipe($0) } }
            guard let block = try pem(bytes, file: file).privateKey else { throw .badKey(file: file) }
            return Array(bytes[block.range])
        } catch {
            // Of a file that others may read and that holds no key, that is what is wrong.
            guard case .unusableFile = error, var bytes = try? read(file, as: .plain, within: time),
                let text = try? PEMText(bytes), text.privateKey == nil
            else { throw error }
            bytes.withUnsafeMutableBytes { wipe($0) }
            throw .badKey(file: file)
        }
    }

    private static func privateKey(_ file: String) throws(ClusterError) -> NIOSSLPrivateKey {
        var block = try privateKeyBlock(file)
        defer { block.withUnsafeMutableBytes { wipe($0) } }
        // BoringSSL would ask for a password at the terminal.
        guard block.firstRange(of: Array("ENCRYPTED".utf8)) == nil,
            let key = try? NIOSSLPrivateKey(bytes: block, format: .pem)
        else { throw .badKey(file: file) }
        return key
    }

    private static func read(
        _ file: String, as content: FileReading.Content, within time: Duration
    ) throws(ClusterError) -> [UInt8] {
        do throws(FileReading.Failure) {
            // More than any chain of certificates.
            return try FileReading.read(file, as: content, atMost: 1 << 20, within: time).withUnsafeBytes(Array.init)
        } catch {
            throw .unusableFile(file: file, problem: error.message, mend: error.fix)
        }
    }

    private static func pem(_ bytes: [UInt8], file: String) throws(ClusterError) -> PEMText {
        do throws(PEMText.Flaw) {
            return try PEMText(bytes)
        } catch {
            throw .badText(file: file, line: error.line, reason: error.message)
        }
    }
}

/// What shows that a file is another than before, or was written anew.
struct FileStamp: Equatable {
    let device: UInt64
    let inode: UInt64
    let size: Int64
    let seconds: Int
    let nanoseconds: Int

    /// `nil` when it cannot be looked at. Follows symbolic links: that is how mounted secrets are replaced.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        seconds = status.st_mtim.tv_sec
        nanoseconds = status.st_mtim.tv_nsec
    }

    /// `nil` for those that cannot be looked at, or do not answer.
    static func of(_ files: ClusterTLSFiles) -> [FileStamp?] {
        [files.ca, files.certificate, files.key].map { path in Patience.perform(on: path) { FileStamp(path) } ?? nil }
    }
}
