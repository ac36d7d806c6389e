// SPDX-License-Identifier: Apache-2.0
import Foundation
import XKSListener

struct CommandFailed: Error {
    var output: String
}

/// Certificates made for one test by the `openssl` command, in a directory that goes away with it.
final class TestAuthority: Sendable {
    let directory: String

    enum Key: String, CaseIterable {
        case rsa = "RSA"
        case ec = "EC"

        var options: [String] {
            switch self {
            case .rsa: ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
            case .ec: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
            }
        }
    }

    init() throws {
        directory = FileManager.default.temporaryDirectory.path + "/claviger-tls-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try makeAuthority("ca")
    }

    deinit {
        try? FileManager.default.removeItem(atPath: directory)
    }

    func path(_ name: String) -> String { directory + "/" + name }

    @discardableResult
    func openssl(_ arguments: [String]) throws -> String {
        let result = try run(["openssl"] + arguments, in: directory)
        guard result.status == 0 else { throw CommandFailed(output: result.output) }
        return result.output
    }

    func write(_ name: String, _ text: String) throws {
        try text.write(toFile: path(name), atomically: true, encoding: .utf8)
        // Some of them hold keys.
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path(name))
    }

    func read(_ name: String) throws -> String {
        try String(contentsOfFile: path(name), encoding: .utf8)
    }

    /// A self-signed CA: `<name>.pem`, `<name>.key`.
    func makeAuthority(_ name: String) throws {
        try openssl(["genpkey"] + Key.ec.options + ["-out", "\(name).key"])
        try openssl([
            "req", "-x509", "-new", "-key", "\(name).key", "-out", "\(name).pem", "-days", "365",
            "-subj", "/CN=\(name)", "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        ])
    }

    /// A certificate signed by `issuer`: `<name>.pem`, `<name>.key`. `days` may be negative.
    func issue(
        _ name: String, key: Key = .ec, subject: String, alternativeNames: String? = nil, issuer: String = "ca",
        days: Int = 90
    ) throws {
        try openssl(["genpkey"] + key.options + ["-out", "\(name).key"])
        try openssl(["req", "-new", "-key", "\(name).key", "-out", "\(name).csr", "-subj", subject])
        var extensions = "basicConstraints=CA:FALSE\n"
        if let alternativeNames { extensions += "subjectAltName=\(alternativeNames)\n" }
        try write("\(name).ext", extensions)
        var arguments = [
            "x509", "-req", "-in", "\(name).csr", "-CA", "\(issuer).pem", "-CAkey", "\(issuer).key",
            "-out", "\(name).pem", "-extfile", "\(name).ext", "-set_serial", "\(UInt32.random(in: 1...UInt32.max))",
        ]
        // `x509` takes only whole days from now; a certificate of the past needs a clock of the past.
        arguments += ["-days", "\(max(days, 1))"]
        if days > 0 {
            try openssl(arguments)
        } else {
            try issueInThePast(name, issuer: issuer)
        }
    }

    /// A server's certificate for 127.0.0.1.
    func issueServer(_ name: String = "server", key: Key = .ec, days: Int = 90) throws {
        try issue(
            name, key: key, subject: "/CN=\(name)", alternativeNames: "DNS:localhost,IP:127.0.0.1", days: days)
    }

    func material(
        _ name: String = "server", key: String? = nil, clientAuthority: String? = nil, clientNames: [String] = []
    ) throws -> TLSMaterial {
        try TLSMaterial.load(
            TLSFiles(
                certificate: path("\(name).pem"), key: path(key ?? "\(name).key"),
                clientAuthority: clientAuthority.map { path("\($0).pem") }, clientNames: clientNames),
            now: Int64(Date().timeIntervalSince1970))
    }

    /// `openssl ca` takes dates; it wants a small database.
    private func issueInThePast(_ name: String, issuer: String) throws {
        try write("index-\(name)", "")
        try write(
            "\(name).cnf",
            """
            [ca]
            default_ca = past
            [past]
            database = index-\(name)
            new_certs_dir = .
            default_md = sha256
            policy = any
            rand_serial = yes
            [any]
            commonName = supplied
            """)
        try openssl([
            "ca", "-batch", "-notext", "-config", "\(name).cnf", "-cert", "\(issuer).pem", "-keyfile", "\(issuer).key",
            "-in", "\(name).csr", "-out", "\(name).pem", "-extfile", "\(name).ext",
            "-startdate", "20200101000000Z", "-enddate", "20200201000000Z",
        ])
    }
}
