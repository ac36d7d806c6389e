// SPDX-License-Identifier: Apache-2.0
import Glibc
import PrivateFiles
import SecureMemory
import Synchronization

/// Why a secret could not be had. Names the source, never its content.
package struct SecretProblem: Error, Sendable, Equatable {
    package var message: String
    package var fix: String
}

/// Fetches secrets from where the configuration says they are: 1 to 4,096 bytes each, one line break at the end
/// removed.
///
/// Secrets of environment variables are taken once: the value is overwritten and the variable removed, so that neither
/// `/proc/PID/environ` nor any process started later shows it. They stay with the reader, so keep one for the life of
/// the process.
package final class SecretReader: Sendable {
    /// Largest secret, bytes.
    package static let limit = 4096

    private let taken = Mutex<[String: SecretBytes]>([:])
    private let commandTimeout: Duration

    /// Takes the given variables out of the environment at once. Call it before the process has other threads:
    /// the environment has no lock.
    ///
    /// - Parameters:
    ///   - variables: `NodeSettings.secretVariables`.
    ///   - commandTimeout: how long a command may run.
    package init(taking variables: Set<String>, commandTimeout: Duration = .seconds(10)) {
        self.commandTimeout = commandTimeout
        taken.withLock { taken in
            for name in variables { taken[name] = Self.takeFromEnvironment(name) }
        }
    }

    /// Fetches all these secrets: commands run side by side, and have one time together. Blocks as long.
    ///
    /// - Returns: what came of each source; a source that stands there twice is asked once.
    package func readAll(_ sources: [SecretSource]) -> SecretBatch {
        var results: [SecretSource: Result<SecretBytes, SecretProblem>] = [:]
        var commands: [[String]] = []
        for source in Set(sources) {
            guard case .command(let words) = source else {
                results[source] = one(source)
                continue
            }
            commands.append(words)
        }
        for (words, result) in zip(commands, SecretCommand.run(commands, timeout: commandTimeout)) {
            let source = SecretSource.command(words)
            results[source] = result.flatMap { secret in
                Result { () throws(SecretProblem) in try checked(secret, source: source) }
            }
        }
        return SecretBatch(results: results)
    }

    private func one(_ source: SecretSource) -> Result<SecretBytes, SecretProblem> {
        Result { () throws(SecretProblem) in try read(source) }
    }

    /// Fetches the secret. Blocks: a command may take its time.
    package func read(_ source: SecretSource) throws(SecretProblem) -> SecretBytes {
        switch source {
        case .file(let path):
            return try checked(file(path, source: source), source: source)
        case .credential(let name):
            guard let directory = getenv("CREDENTIALS_DIRECTORY").map({ String(cString: $0) }), !directory.isEmpty
            else {
                throw SecretProblem(
                    message: "\(source): there is no $CREDENTIALS_DIRECTORY",
                    fix: "start the program by systemd, with LoadCredential=\(name):/path in its unit")
            }
            return try checked(file(directory + "/" + name, source: source), source: source)
        case .environment(let name):
            return try checked(variable(name), source: source)
        case .command(let words):
            return try readAll([.command(words)]).read(source)
        }
    }

    // MARK: - Sources

    private func file(_ path: String, source: SecretSource) throws(SecretProblem) -> SecretBytes {
        do throws(FileReading.Failure) {
            return try FileReading.read(path, as: .secret, atMost: Self.limit + 2)
        } catch {
            throw SecretProblem(message: "\(source) \(error.message)", fix: error.fix)
        }
    }

    private func variable(_ name: String) throws(SecretProblem) -> SecretBytes {
        let secret = taken.withLock { taken -> SecretBytes? in
            if let secret = taken[name] { return secret }
            let secret = Self.takeFromEnvironment(name)
            taken[name] = secret
            return secret
        }
        guard let secret else {
            throw SecretProblem(
                message: "environment variable \(name) is not set", fix: "set it where the program is started")
        }
        // A copy: what is checked below is shortened, and the caller may overwrite it.
        return secret.withUnsafeBytes { SecretBytes(copying: $0) }
    }

    private static func takeFromEnvironment(_ name: String) -> SecretBytes? {
        guard let value = getenv(name) else { return nil }
        let content = UnsafeMutableRawBufferPointer(start: value, count: strlen(value))
        let secret = SecretBytes(copying: UnsafeRawBufferPointer(content))
        wipe(content)
        unsetenv(name)
        return secret
    }

    /// Removes one line break from the end, and holds the rest to 1…`limit` bytes.
    private func checked(_ secret: SecretBytes, source: SecretSource) throws(SecretProblem) -> SecretBytes {
        let lineBreak = secret.withUnsafeBytes { bytes in
            guard bytes.last == UInt8(ascii: "\n") else { return 0 }
            return bytes.count > 1 && bytes[bytes.count - 2] == UInt8(ascii: "\r") ? 2 : 1
        }
        secret.truncate(to: secret.count - lineBreak)
        guard !secret.isEmpty else {
            throw SecretProblem(message: "\(source) gives an empty secret", fix: "put the secret there")
        }
        guard secret.count <= Self.limit else {
            throw SecretProblem(
                message: "\(source) gives more than \(Self.limit) bytes", fix: "leave only the secret there")
        }
        return secret
    }
}

/// Secrets that were fetched together.
package struct SecretBatch: Sendable {
    let results: [SecretSource: Result<SecretBytes, SecretProblem>]

    /// One of the right form for each source, without asking any of them: to judge a file where its secrets are not.
    package static func assumed(_ sources: [SecretSource]) -> SecretBatch {
        let secret = [UInt8](repeating: UInt8(ascii: "A"), count: 43)
        let results = Set(sources).map { ($0, Result<SecretBytes, SecretProblem>.success(SecretBytes(secret))) }
        return SecretBatch(results: Dictionary(uniqueKeysWithValues: results))
    }

    /// A copy: whoever is given it may overwrite it.
    package func read(_ source: SecretSource) throws(SecretProblem) -> SecretBytes {
        guard let result = results[source] else {
            throw SecretProblem(message: "\(source) was not asked", fix: "reload again")
        }
        return try result.get().withUnsafeBytes { SecretBytes(copying: $0) }
    }
}
