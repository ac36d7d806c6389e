// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import NIOSSL
import NodeConfig
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

    @Option(help: ArgumentHelp("The access key id of the key store's credential.", valueName: "id"))
    var accessKeyID: String

    @Option(help: ArgumentHelp("File that holds its secret.", valueName: "file"), completion: .file())
    var secretFile: String

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
    }

    /// Who signs. Ends the command where something of it is wrong.
    func signer() throws -> CallSigner {
        do {
            let secret = try SecretReader(taking: []).read(.file(secretFile))
            return CallSigner(
                endpoint: try XKSEndpoint(url), credential: try Credential(accessKeyID: accessKeyID, secret: secret),
                region: region)
        } catch let problem as SecretProblem {
            throw failure("\(problem.message); \(problem.fix)", status: ExitStatus.configuration)
        } catch {
            throw failure("\(error)", status: ExitStatus.configuration)
        }
    }

    func tls() throws -> ClientTLS {
        do {
            let identity = try clientCert.flatMap { certificate in
                try clientKey.map { try ClientTLS.Identity(certificate: certificate, key: $0) }
            }
            return ClientTLS(trust: ca.map { .file($0) } ?? .host, identity: identity)
        } catch {
            throw failure(
                "the client's certificate cannot be used: \(error). Give PEM files of a certificate and its key",
                status: ExitStatus.configuration)
        }
    }
}
