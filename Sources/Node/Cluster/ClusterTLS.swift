// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOSSL
import Synchronization

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
        /// Grows with each replacement.
        let generation: UInt64
    }

    private struct State {
        var files: ClusterTLSFiles
        var material: Material
        var stamps: [FileStamp?]
        /// What was last wrong with the files; `nil` when they were read.
        var failure: ClusterError?
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
                generation: state.material.generation + 1)
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
                authorities: authorities.compactMap { try? $0.toDERBytes() }, generation: generation)
        } catch {
            throw .mismatch(certificate: files.certificate, key: files.key)
        }
    }

    /// On the server's side this verification also demands a certificate.
    private static func restricted(
        _ configuration: TLSConfiguration, to authorities: [NIOSSLCertificate]
    ) -> TLSConfiguration {
        var configuration = configuration
        configuration.minimumTLSVersion = .tlsv13
        configuration.trustRoots = .certificates(authorities)
        configuration.certificateVerification = .noHostnameVerification
        configuration.shutdownTimeout = .seconds(1)
        return configuration
    }

    private static func certificates(_ file: String) throws(ClusterError) -> [NIOSSLCertificate] {
        let bytes = try SmallFile.read(file)
        guard let certificates = try? NIOSSLCertificate.fromPEMBytes(bytes), !certificates.isEmpty else {
            throw .noCertificate(file: file)
        }
        return certificates
    }

    private static func privateKey(_ file: String) throws(ClusterError) -> NIOSSLPrivateKey {
        var bytes = try SmallFile.read(file)
        defer { SmallFile.overwrite(&bytes) }
        // BoringSSL would ask for a password at the terminal.
        guard bytes.firstRange(of: Array("ENCRYPTED".utf8)) == nil,
            let key = try? NIOSSLPrivateKey(bytes: bytes, format: .pem)
        else { throw .badKey(file: file) }
        return key
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

    static func of(_ files: ClusterTLSFiles) -> [FileStamp?] {
        [files.ca, files.certificate, files.key].map { FileStamp($0) }
    }
}
