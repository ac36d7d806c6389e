// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import LaneProtocol
import StatusVocabulary

/// Gives up, for good, what this process could reach and its library has no business with. To be called before any other
/// thread exists: Landlock holds for the calling thread and what it starts.
struct Sandbox {
    private let settings: SandboxSettings
    private var compartment: Compartment

    /// Returns what is in force. A kernel that lacks something is no reason not to serve: it is said.
    static func apply(_ settings: SandboxSettings, sealed: SealedPaths, module: String) -> Compartment {
        var sandbox = Sandbox(settings)
        guard settings.mode != .off else { return sandbox.compartment }
        sandbox.forbidPrivileges()
        sandbox.restrictPaths(sealed: sealed, module: module)
        if settings.mode == .strict { sandbox.restrictToLists(module: module) }
        // Last: it takes no call away that the others need, but nothing can be added once it is too narrow.
        sandbox.forbidCalls()
        return sandbox.compartment
    }

    private init(_ settings: SandboxSettings) {
        self.settings = settings
        compartment = Compartment(mode: settings.mode)
    }

    private mutating func miss(_ what: String, _ code: CInt) {
        compartment.missing.append("\(what) (\(String(cString: strerror(code))))")
    }

    private mutating func forbidPrivileges() {
        let code = claviger_forbid_new_privileges()
        compartment.privileges = code == 0
        if code != 0 { miss("programs that it runs may get more rights", code) }
    }

    private mutating func forbidCalls() {
        let code = claviger_forbid_system_calls()
        compartment.calls = code == 0
        if code != 0 { miss("all system calls are open to it", code) }
    }

    // MARK: Landlock

    private mutating func restrictPaths(sealed: SealedPaths, module: String) {
        compartment.landlock = Int(claviger_landlock_version())
        guard compartment.landlock > 0 else {
            compartment.missing.append(
                "the node's files are within its reach: the kernel has no Landlock, or it is disabled")
            return
        }
        guard claviger_thread_count() <= 1 else {
            compartment.missing.append("the node's files are within its reach: the worker had threads at its start")
            return
        }
        let named = Self.environmentPaths + [canonicalPath(module)].compactMap(\.self)
        let plan = SandboxPlan(
            sealed: sealed.canonical, exempt: Set(named), entries: DirectoryListing.entries)
        let ruleset = claviger_landlock_begin(
            CInt(CLAVIGER_ABOUT_FILES.rawValue | CLAVIGER_ABOUT_SIGNALS.rawValue))
        guard ruleset >= 0 else { return miss("the node's files are within its reach", errno) }
        defer { close(ruleset) }
        _ = claviger_landlock_allow(ruleset, "/", false, CLAVIGER_REACH_LIST)
        // One that has gone meanwhile, or cannot be looked at, is out of reach.
        for path in plan.allowed { _ = claviger_landlock_allow(ruleset, path, false, CLAVIGER_REACH_ALL) }
        if plan.omitted > 0 {
            compartment.missing.append(
                "\(plan.omitted) neighbours of the node's files are out of its reach, as there are more than "
                    + "\(SandboxPlan.mostRules): keep state_dir, keys and PIN files in directories of their own")
        }
        let code = claviger_landlock_enforce(ruleset)
        compartment.files = code == 0
        compartment.signals = code == 0 && compartment.landlock >= 6
        if code != 0 { miss("the node's files are within its reach", code) }
        if !compartment.signals {
            compartment.missing.append("it can signal other processes of the node's user: that takes Linux 6.12")
        }
    }

    /// A second layer: what both layers allow is allowed.
    private mutating func restrictToLists(module: String) {
        guard compartment.files else { return }
        let subjects =
            CLAVIGER_ABOUT_FILES.rawValue | CLAVIGER_ABOUT_PROGRAMS.rawValue | CLAVIGER_ABOUT_TCP.rawValue
            | CLAVIGER_ABOUT_ABSTRACT_SOCKETS.rawValue
        let ruleset = claviger_landlock_begin(CInt(subjects))
        guard ruleset >= 0 else { return miss("it is not limited to its lists", errno) }
        defer { close(ruleset) }
        for path in SystemPaths.readable { _ = claviger_landlock_allow(ruleset, path, true, CLAVIGER_REACH_READ) }
        for path in SystemPaths.writable { _ = claviger_landlock_allow(ruleset, path, true, CLAVIGER_REACH_ALL) }
        _ = claviger_landlock_allow(ruleset, module, true, CLAVIGER_REACH_READ)
        allow(settings.readable, CLAVIGER_REACH_READ, of: "sandbox_read", ruleset)
        allow(settings.writable, CLAVIGER_REACH_ALL, of: "sandbox_write", ruleset)
        compartment.ports = compartment.landlock >= 4
        if compartment.ports {
            for port in settings.ports { _ = claviger_landlock_allow_port(ruleset, port) }
        } else {
            compartment.missing.append("it can connect to any TCP port: to limit that takes Linux 6.7")
        }
        let code = claviger_landlock_enforce(ruleset)
        if code != 0 {
            compartment.ports = false
            miss("it is not limited to its lists", code)
        }
    }

    private mutating func allow(_ paths: [String], _ reach: claviger_reach, of list: String, _ ruleset: CInt) {
        for path in paths {
            let code = claviger_landlock_allow(ruleset, path, true, reach)
            if code != 0 { miss("\(list): \(path)", code) }
        }
    }

    /// Files that the configuration names to the library, wherever they are.
    private static var environmentPaths: [String] {
        var paths: [String] = []
        var next = environ
        while let entry = next.pointee {
            let value = String(cString: entry).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                .last
            if let value, value.hasPrefix("/"), let path = canonicalPath(String(value)) { paths.append(path) }
            next += 1
        }
        return paths
    }
}

extension SealedPaths {
    /// The same paths without links. One that is not there has nothing to be read in it.
    var canonical: SealedPaths {
        SealedPaths(
            paths: paths.compactMap(canonicalPath), fileDirectories: fileDirectories.compactMap(canonicalPath))
    }
}

private func canonicalPath(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
}

enum DirectoryListing {
    /// What is in a directory, `.` and `..` aside; nothing where it cannot be listed. Directories in it are not looked at: a
    /// mount whose server has gone would not answer.
    static func entries(of directory: String) -> [SandboxPlan.Entry] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var entries: [SandboxPlan.Entry] = []
        while let next = readdir(stream) {
            let name = withUnsafePointer(to: &next.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            guard name != ".", name != ".." else { continue }
            switch CInt(next.pointee.d_type) {
            case CInt(DT_DIR): entries.append(SandboxPlan.Entry(name, .directory))
            case CInt(DT_LNK): entries.append(SandboxPlan.Entry(name, .link))
            case CInt(DT_REG), CInt(DT_UNKNOWN):
                entries.append(SandboxPlan.Entry(name, kind(of: directory + "/" + name)))
            default: entries.append(SandboxPlan.Entry(name, .other))
            }
        }
        return entries
    }

    /// From this size on a file is large, bytes.
    private static let largeSize = 16 * 1024 * 1024

    private static func kind(of path: String) -> SandboxPlan.Entry.Kind {
        var facts = stat()
        guard lstat(path, &facts) == 0 else { return .other }
        switch facts.st_mode & S_IFMT {
        case S_IFDIR: return .directory
        case S_IFLNK: return .link
        case S_IFREG where facts.st_size >= largeSize: return .large
        default: return .other
        }
    }
}
