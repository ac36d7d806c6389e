// SPDX-License-Identifier: Apache-2.0
import Crypto
import NodeConfig
import Policy
import PrivateFiles

/// A key store's policy, read from its file.
struct PlannedPolicy: Sendable {
    let policy: KeyStorePolicy
    /// Of the file's bytes, by which nodes compare theirs.
    let digest: String

    /// Reads a file that a person or the configuration names. Blocks on the disk.
    ///
    /// - Throws: `FileReading.Failure` or `PolicyProblems`.
    init(file: String) throws {
        let text = try Self.text(of: file)
        policy = try KeyStorePolicy(text: text)
        digest = ConfigurationDigest.text(SHA256.hash(data: text))
    }

    /// A file of more than a policy may have is not read.
    static func text(of file: String) throws(FileReading.Failure) -> [UInt8] {
        try FileReading.read(file, as: .plain, atMost: PolicyLimits.fileBytes).withUnsafeBytes(Array.init)
    }
}

extension Translation {
    /// Reports what is wrong with a policy, and warns of what is hardly meant.
    ///
    /// - Parameter path: of the setting that names the file.
    func policy(_ file: String, _ path: String, _ diagnostics: inout Diagnostics) -> PlannedPolicy? {
        do {
            let planned = try PlannedPolicy(file: file)
            for finding in planned.policy.findings {
                diagnostics.warn(path, "\(file): \(finding)", isFatal: false, fix: "correct the policy")
            }
            if planned.policy.asksForClientAddress, diagnostics.settings.xks.proxyProtocolFrom.isEmpty {
                diagnostics.warn(
                    path,
                    "\(file) asks for xks:ClientAddress, and xks.proxy_protocol_from names no balancer: behind one, every "
                        + "request has the balancer's address",
                    isFatal: false, fix: "name the balancers in xks.proxy_protocol_from")
            }
            return planned
        } catch let failure as FileReading.Failure {
            diagnostics.report(path, "\(file) \(failure.message)", fix: failure.fix)
        } catch let problems as PolicyProblems {
            for problem in problems.problems {
                diagnostics.report(path, "\(file): \(problem.statement)", fix: problem.mend)
            }
        } catch {
            diagnostics.report(path, "\(file): \(error)", fix: "correct the policy")
        }
        return nil
    }
}
