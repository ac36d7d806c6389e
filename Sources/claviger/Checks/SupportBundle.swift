// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import Crypto
import Foundation
import Glibc
import NodeConfig

/// What somebody elsewhere needs to understand a node, in one archive, and nothing that is secret: no PIN, no key, no
/// plaintext is ever in what it is made from, and of the configuration what a library or a command is given is left out.
struct SupportBundle {
    let config: String
    let settings: NodeSettings
    let diagnosis: Diagnosis
    /// `nil` where none runs that answers.
    let status: AdminStatus?
    let cluster: ClusterHealth?
    let log: [String]
    /// The metrics twice, so that rates can be seen.
    let metrics: [String]

    /// - Returns: the files, by name.
    func files() -> [(name: String, text: String)] {
        var files: [(String, String)] = [("README.txt", readme)]
        files.append(("configuration.json", (try? RedactedConfiguration.json(file: config)) ?? "cannot be read\n"))
        files.append(("diagnosis.txt", diagnosis.text(on: Page(columns: nil)) + "\n"))
        files.append(("diagnosis.json", json(diagnosis)))
        if let status { files.append(("status.json", json(status))) }
        if let cluster { files.append(("cluster.json", json(cluster))) }
        if !log.isEmpty { files.append(("log.txt", log.joined(separator: "\n") + "\n")) }
        for (index, page) in metrics.enumerated() { files.append(("metrics-\(index + 1).txt", page)) }
        files.append(("libraries.txt", libraries))
        files.append(("host.txt", host))
        return files
    }

    private var readme: String {
        """
        What `claviger debug` has gathered of node \(settings.node.id), claviger \(Product.version).

        configuration.json  the values of the file; the environment of libraries and the words of commands are not shown
        diagnosis.txt       what `claviger diagnose` says; diagnosis.json the same
        status.json         HSMs, the last changes of their states, keys, conditions, connections
        cluster.json        every node as this one sees it, and the blocks in force with who gave them and why
        log.txt             the last lines of the log: principals, ids of keys and of requests are in it
        metrics-1.txt       the metrics, and metrics-2.txt the same some seconds later
        libraries.txt       the PKCS#11 libraries: size, date, SHA-256
        host.txt            kernel, distribution, processors, limits

        No PIN, no secret of a credential, no key and no plaintext is in it. Names of hosts, HSMs, keys and callers are: give
        it only to whom these may be known. status.json, cluster.json, log.txt and the metrics are missing where no node ran.

        """
    }

    private func json(_ value: some Encodable) -> String { ((try? JSONLine.text(value)) ?? "{}") + "\n" }

    /// Longest library that is read for its digest, bytes.
    private static let longestLibrary = 256 << 20

    private var libraries: String {
        Set(settings.hsms.map(\.module)).sorted().map { path in
            var facts = stat()
            guard stat(path, &facts) == 0 else { return "\(path): \(String(cString: strerror(errno)))" }
            let date = Date(timeIntervalSince1970: TimeInterval(facts.st_mtim.tv_sec)).formatted(.iso8601)
            let digest = digest(path, size: facts.st_size).map { ", SHA-256 \($0)" } ?? ""
            return "\(path): \(facts.st_size) bytes, of \(date)\(digest)"
        }.joined(separator: "\n") + "\n"
    }

    private func digest(_ path: String, size: Int) -> String? {
        guard size <= Self.longestLibrary, let content = FileManager.default.contents(atPath: path) else { return nil }
        return SHA256.hash(data: content).hexadecimal
    }

    private var host: String {
        var name = utsname()
        uname(&name)
        func text(_ field: some Any) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        let files = ["/etc/os-release", "/proc/self/limits", "/proc/meminfo", "/proc/loadavg"].map { path in
            let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? "cannot be read\n"
            return "--- \(path)\n\(text)"
        }
        return "\(text(name.sysname)) \(text(name.release)) \(text(name.version)) \(text(name.machine)), "
            + "\(sysconf(Int32(_SC_NPROCESSORS_ONLN))) processors\n" + files.joined()
    }
}
