// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Certificates of a long life that end soon: those that `claviger cluster issue` makes begin now.
enum BackdatedCertificate {
    /// Puts a certificate in the place of another, for the same key and names, that began a year ago.
    ///
    /// - Parameters:
    ///   - certificate: path of the one that is replaced.
    ///   - key: path of its key.
    ///   - ca: paths of the CA's certificate and key.
    ///   - seconds: from now until it ends.
    static func replace(
        _ certificate: String, key: String, ca: (certificate: String, key: String), seconds: Double
    ) throws {
        let scratch = try Scratch()
        func openssl(_ arguments: [String]) throws -> String {
            let result = try run(["/usr/bin/openssl"] + arguments)
            guard result.isSuccess else { throw HarnessError("openssl \(arguments): \(result.errors)") }
            return result.output
        }
        let names =
            try openssl(["x509", "-in", certificate, "-noout", "-ext", "subjectAltName"])
            .split(separator: "\n").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? ""
        let subject = try openssl(["x509", "-in", certificate, "-noout", "-subject", "-nameopt", "compat"])
            .replacing("subject=", with: "").trimmingCharacters(in: .whitespacesAndNewlines)
        let request = scratch.file("request.pem")
        _ = try openssl(["req", "-new", "-key", key, "-subj", subject, "-out", request])
        _ = try scratch.write("", to: "index.txt")
        _ = try scratch.write("7001\n", to: "serial")
        let configuration = try scratch.write(
            """
            [ca]
            default_ca = own
            [own]
            database = \(scratch.file("index.txt"))
            serial = \(scratch.file("serial"))
            new_certs_dir = \(scratch.path)
            default_md = sha256
            policy = any
            x509_extensions = node
            unique_subject = no
            [any]
            commonName = supplied
            organizationName = optional
            [node]
            basicConstraints = critical, CA:FALSE
            keyUsage = critical, digitalSignature
            extendedKeyUsage = serverAuth, clientAuth
            subjectAltName = \(names.replacing("IP Address:", with: "IP:"))
            """, to: "ca.conf")
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "UTC")
        format.dateFormat = "yyyyMMddHHmmss'Z'"
        let made = scratch.file("made.pem")
        _ = try openssl([
            "ca", "-batch", "-notext", "-config", configuration, "-cert", ca.certificate, "-keyfile", ca.key, "-in",
            request, "-out", made, "-startdate", format.string(from: Date(timeIntervalSinceNow: -365 * 86_400)),
            "-enddate", format.string(from: Date(timeIntervalSinceNow: seconds)),
        ])
        try text(ofFile: made).write(toFile: certificate, atomically: true, encoding: .utf8)
    }
}
