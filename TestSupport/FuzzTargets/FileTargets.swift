// SPDX-License-Identifier: Apache-2.0
import ClusterCertificates
import Foundation
import NodeConfig
import XKSListener

extension FuzzTarget {
    /// A configuration file.
    static let configuration = FuzzTarget(name: "configuration") { bytes in
        do throws(ConfigurationProblems) {
            _ = try NodeConfiguration.parse(Array(bytes), file: "claviger.toml", directory: "/etc/claviger")
        } catch {
            guard !"\(error)".isEmpty else { return "a configuration was refused without a word" }
        }
        return nil
    }

    /// A PEM file, as a certificate, and as the CAs of clients beside a good one.
    static let certificates = FuzzTarget(name: "certificates") { bytes in
        guard let place = CertificateFiles.shared, place.write(bytes) else { return "files cannot be made" }
        for files in [
            TLSFiles(certificate: place.input, key: place.key),
            TLSFiles(certificate: place.certificate, key: place.key, clientAuthority: place.input),
        ] {
            do throws(TLSMaterialError) {
                _ = try TLSMaterial.load(files, now: 1_795_474_260)
            } catch {
                guard !"\(error)".isEmpty else { return "a file was refused without a word" }
            }
        }
        return nil
    }
}

/// Files in a directory of this process: a good certificate with its key, and the input.
private struct CertificateFiles {
    let input: String
    let certificate: String
    let key: String

    static let shared = CertificateFiles()

    private init?() {
        var template = Array("/tmp/claviger-fuzz-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { return nil }
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        (input, certificate, key) = (directory + "/input.pem", directory + "/good.pem", directory + "/good-key.pem")
        do {
            let issued = try CertificateIssuer.authority(commonName: "fuzz", now: Date())
            try CertificatePair(certificate: certificate, key: key).write(issued)
        } catch {
            return nil
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let file = open(input, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { return false }
        defer { close(file) }
        return bytes.isEmpty || Foundation.write(file, bytes.baseAddress, bytes.count) == bytes.count
    }
}
