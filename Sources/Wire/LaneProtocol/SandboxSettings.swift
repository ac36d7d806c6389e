// SPDX-License-Identifier: Apache-2.0
import StatusVocabulary

/// What a worker's library is to be kept from.
package struct SandboxSettings: Sendable, Equatable {
    package var mode: Compartment.Mode
    /// Of `strict`: files and directories, absolute, that it may read and run.
    package var readable: [String]
    /// Of `strict`: files and directories that it may also change.
    package var writable: [String]
    /// Of `strict`: TCP ports that it may connect to.
    package var ports: [UInt16]

    package init(mode: Compartment.Mode, readable: [String] = [], writable: [String] = [], ports: [UInt16] = []) {
        self.mode = mode
        self.readable = readable
        self.writable = writable
        self.ports = ports
    }
}

/// What of the node no library has any business with.
package struct SealedPaths: Sendable, Equatable {
    /// Files, and directories with all that is in them. Absolute.
    package var paths: [String]
    /// Directories in which the files are the node's. Directories in them are not: a token may have been put there.
    package var fileDirectories: [String]

    package init(paths: [String] = [], fileDirectories: [String] = []) {
        self.paths = paths
        self.fileDirectories = fileDirectories
    }
}

extension ControlWriter {
    mutating func write(_ settings: SandboxSettings) {
        write(settings.mode.number)
        write(settings.readable)
        write(settings.writable)
        write(UInt32(clamping: settings.ports.count))
        for port in settings.ports { write(port) }
    }

    mutating func write(_ sealed: SealedPaths) {
        write(sealed.paths)
        write(sealed.fileDirectories)
    }

    mutating func write(_ compartment: Compartment) {
        write(compartment.mode.number)
        write(UInt32(clamping: compartment.landlock))
        let facts = [
            compartment.files, compartment.signals, compartment.ports, compartment.calls, compartment.privileges,
        ]
        for fact in facts { write(UInt8(fact ? 1 : 0)) }
        write(compartment.missing)
    }

    private mutating func write(_ texts: [String]) {
        write(UInt32(clamping: texts.count))
        for text in texts { write(text) }
    }
}

extension ControlReader {
    mutating func sandboxSettings() throws(MalformedControlMessage) -> SandboxSettings {
        var settings = SandboxSettings(mode: try sandboxMode(), readable: try texts(), writable: try texts())
        for _ in 0..<(try integer(UInt32.self)) { settings.ports.append(try integer()) }
        return settings
    }

    mutating func sealedPaths() throws(MalformedControlMessage) -> SealedPaths {
        SealedPaths(paths: try texts(), fileDirectories: try texts())
    }

    mutating func compartment() throws(MalformedControlMessage) -> Compartment {
        Compartment(
            mode: try sandboxMode(), landlock: Int(try integer(UInt32.self)), files: try flag(), signals: try flag(),
            ports: try flag(), calls: try flag(), privileges: try flag(), missing: try texts())
    }

    private mutating func sandboxMode() throws(MalformedControlMessage) -> Compartment.Mode {
        let number: UInt8 = try integer()
        guard let mode = Compartment.Mode.allCases.first(where: { $0.number == number }) else {
            throw MalformedControlMessage()
        }
        return mode
    }

    private mutating func flag() throws(MalformedControlMessage) -> Bool { try integer(UInt8.self) != 0 }

    private mutating func texts() throws(MalformedControlMessage) -> [String] {
        var texts: [String] = []
        for _ in 0..<(try integer(UInt32.self)) { texts.append(try text()) }
        return texts
    }
}

extension Compartment.Mode {
    fileprivate var number: UInt8 {
        switch self {
        case .standard: 1
        case .strict: 2
        case .off: 3
        }
    }
}
