// SPDX-License-Identifier: Apache-2.0

extension HSMSettings {
    /// What the library is kept from.
    package struct Sandbox: Sendable, Equatable {
        package enum Mode: String, Sendable, CaseIterable {
            case standard = "default"
            case strict, off
        }

        package var mode: Mode
        /// Absolute paths; empty unless `strict`, like the others.
        package var readable: [String]
        package var writable: [String]
        package var ports: [UInt16]

        package init(mode: Mode = .standard, readable: [String] = [], writable: [String] = [], ports: [UInt16] = []) {
            self.mode = mode
            self.readable = readable
            self.writable = writable
            self.ports = ports
        }
    }
}

enum SandboxKeys {
    static let mode = ConfigurationKey(
        "sandbox", HSMSettings.Sandbox.Mode.allCases.map { "`\"\($0.rawValue)\"`" }.joined(separator: ", "),
        standard: "\"default\"",
        "What the library, in its worker's process, can reach. `default`: what the node's user can, but for the node's own "
            + "files (those in `state_dir`, this file, keys, PINs and secrets), signals to other processes, and system "
            + "calls that no PKCS#11 library needs. `strict`: besides the system's own libraries and settings, only what "
            + "`sandbox_read`, `sandbox_write` and `sandbox_connect` list. `off`: everything, and the node warns. Lists "
            + "for known vendors: `docs/guides/hsms.md`.",
        cost: "With `strict`, what is missing in the lists makes the library fail, mostly in words of its own.")
    static let readable = ConfigurationKey(
        "sandbox_read", "list of at most \(listLimit) paths", standard: "none",
        "With `sandbox = \"strict\"`: files and directories, with all in them, that the library may read, and programs that "
            + "it may run.")
    static let writable = ConfigurationKey(
        "sandbox_write", "list of at most \(listLimit) paths", standard: "none",
        "With `sandbox = \"strict\"`: files and directories, with all in them, that it may also change.")
    static let ports = ConfigurationKey(
        "sandbox_connect", "list of at most \(listLimit) integers, 1 to 65535", standard: "none",
        "With `sandbox = \"strict\"`: TCP ports that it may connect to. Names are looked up over UDP, which is not limited."
    )
    static let listLimit = 64
    static let all = [mode, readable, writable, ports]
}

extension TableReader {
    func sandbox(resolve: (String) -> String) -> HSMSettings.Sandbox {
        let mode = sandboxMode()
        let sandbox = HSMSettings.Sandbox(
            mode: mode, readable: sandboxPaths(SandboxKeys.readable, resolve: resolve),
            writable: sandboxPaths(SandboxKeys.writable, resolve: resolve), ports: sandboxPorts())
        for key in [SandboxKeys.readable, SandboxKeys.writable, SandboxKeys.ports] where has(key) && mode != .strict {
            report(
                key, "has no effect with sandbox = \"\(mode.rawValue)\"",
                fix: "write sandbox = \"\(HSMSettings.Sandbox.Mode.strict.rawValue)\", or leave it out")
        }
        return sandbox
    }

    private func sandboxMode() -> HSMSettings.Sandbox.Mode {
        guard let text = text(SandboxKeys.mode) else { return .standard }
        if let mode = HSMSettings.Sandbox.Mode(rawValue: text) { return mode }
        report(
            SandboxKeys.mode, "is no such mode",
            fix: "choose one of " + HSMSettings.Sandbox.Mode.allCases.map(\.rawValue).joined(separator: ", "))
        return .standard
    }

    private func sandboxPaths(_ key: ConfigurationKey, resolve: (String) -> String) -> [String] {
        let paths = texts(key) ?? []
        reportExcess(key, paths.count)
        return paths.compactMap { element in
            guard !element.text.isEmpty, element.text.utf8.count <= 4095, !element.text.utf8.contains(0) else {
                problems.add(element.path, "is not a path", fix: "write the path of a file or directory")
                return nil
            }
            return resolve(element.text)
        }
    }

    private func sandboxPorts() -> [UInt16] {
        let ports = list(SandboxKeys.ports) ?? []
        reportExcess(SandboxKeys.ports, ports.count)
        return ports.compactMap { element in
            if case .integer(let number) = element.node, let port = UInt16(exactly: number), port > 0 { return port }
            problems.add(
                element.path, value: Shown.value(element.node), "is no TCP port",
                fix: "write a whole number of 1 to 65535, without quotes")
            return nil
        }
    }

    private func reportExcess(_ key: ConfigurationKey, _ count: Int) {
        guard count > SandboxKeys.listLimit else { return }
        report(key, "has more than \(SandboxKeys.listLimit) elements", fix: "name a directory in place of its files")
    }
}
