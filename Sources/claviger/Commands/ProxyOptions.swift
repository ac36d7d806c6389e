// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import KeyStoreCredentials
import NIOSSL
import NodeConfig
import PrivateFiles
import SigV4
import XKSCalls
import XKSClient

/// Which proxy is asked, and as whom.
struct ProxyOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where the proxy is: https://host[:port][/prefix]. The XksProxyUriPath that KMS is given will do, too.",
            valueName: "url"))
    var url: String

    @Option(help: ArgumentHelp("The external key id.", valueName: "key"))
    var key: String

    @Option(
        help: ArgumentHelp(
            "JSON file of the key store's credential: the KMS console's, or with AccessKeyId and RawSecretAccessKey alone.",
            valueName: "file"), completion: .file(extensions: ["json"]))
    var credentialFile: String?

    @Option(help: ArgumentHelp("In its place: the access key id.", valueName: "id"))
    var accessKeyID: String?

    @Option(help: ArgumentHelp("With that id: the file that holds its secret.", valueName: "file"), completion: .file())
    var secretFile: String?

    @Option(help: ArgumentHelp("The region to sign for.", valueName: "region"))
    var region = "us-east-1"

    @Option(
        help: ArgumentHelp("PEM file of the CAs to trust, in place of this host's.", valueName: "file"),
        completion: .file())
    var ca: String?

    @Option(
        help: ArgumentHelp("PEM file of the client's certificate, for mutual TLS.", valueName: "file"),
        completion: .file())
    var clientCert: String?

    @Option(help: ArgumentHelp("PEM file of its key.", valueName: "file"), completion: .file())
    var clientKey: String?

    func validate() throws {
        guard (clientCert == nil) == (clientKey == nil) else {
            throw ValidationError("--client-cert and --client-key are given together.")
        }
        guard (accessKeyID == nil) == (secretFile == nil), (credentialFile == nil) != (secretFile == nil) else {
            throw ValidationError("Give --credential-file, or --access-key-id and --secret-file.")
        }
    }

    func endpoint() throws -> XKSEndpoint {
        do { return try XKSEndpoint(url) } catch {
            throw failure("--url \(url.debugDescription): \(error)", status: ExitStatus.configuration)
        }
    }

    func credential() throws -> Credential {
        if let credentialFile { return try Self.credential(file: credentialFile) }
        do {
            let secret = try SecretReader(taking: []).read(.file(secretFile ?? ""))
            return try Credential(accessKeyID: accessKeyID ?? "", secret: secret)
        } catch let problem as SecretProblem {
            throw failure("\(problem.message); \(problem.fix)", status: ExitStatus.configuration)
        } catch {
            throw failure("\(error)", status: ExitStatus.configuration)
        }
    }

    /// Of the console's file, or of one that holds a credential alone.
    static func credential(file: String) throws -> Credential {
        do {
            guard let content = try PrivateFiles.read(file) else {
                throw failure("there is no file \(file)", status: ExitStatus.configuration)
            }
            if let credential = try Credential.read(document: content) { return credential }
            throw failure(
                "\(file) holds no credential: AccessKeyId and RawSecretAccessKey are needed, as claviger keystore "
                    + "console-file writes them", status: ExitStatus.configuration)
        } catch let code as ExitCode {
            throw code
        } catch {
            throw failure("\(file): \(error)", status: ExitStatus.configuration)
        }
    }

    /// Who signs. Ends the command where something of it is wrong.
    func signer() throws -> CallSigner {
        CallSigner(endpoint: try endpoint(), credential: try credential(), region: region)
    }

    var trust: ClientTLS.Trust { ca.map { .file($0) } ?? .host }

    func identity() throws -> ClientTLS.Identity? { try Self.identity(clientCert, clientKey) }

    /// Of two PEM files.
    static func identity(_ certificate: String?, _ key: String?) throws -> ClientTLS.Identity? {
        guard let certificate, let key else { return nil }
        do { return try ClientTLS.Identity(certificate: certificate, key: key) } catch {
            throw failure(
                "\(certificate) and \(key) cannot be used: \(error). Give PEM files of a certificate and its key",
                status: ExitStatus.configuration)
        }
    }

    func tls() throws -> ClientTLS { ClientTLS(trust: trust, identity: try identity()) }
}
