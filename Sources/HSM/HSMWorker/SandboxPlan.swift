// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// Which paths a library may reach, where a rule can only allow: everything that lies beside the ways to what is sealed.
///
/// Landlock has no "all but". So each directory on the way to a sealed path is taken apart: what is in it gets a rule of its
/// own, but for the next step of a way. What is put there later has no rule, and is out of reach until the worker is
/// started anew.
package struct SandboxPlan: Sendable, Equatable {
    /// Something in a directory.
    package struct Entry: Sendable, Equatable {
        package enum Kind: Sendable {
            case directory
            /// Leads to a path that has a rule of its own, or to a sealed one.
            case link
            /// A rule keeps the file's space from being freed when it is removed, until the worker ends. Nobody misses what is
            /// small; no library wants what is large, unless it is named to it.
            case large
            case other
        }

        package var name: String
        package var kind: Kind

        package init(_ name: String, _ kind: Kind) {
            self.name = name
            self.kind = kind
        }
    }

    /// Most rules that are made: what goes beyond them is out of reach. Each takes the kernel some 6 µs of a worker's start,
    /// which requests may be waiting for. `/`, `/etc`, `/var` and `/var/lib` of a server together hold 200 to 500, a `/tmp`
    /// may hold thousands.
    package static let mostRules = 4096

    /// With all that lies beneath them: what is named to the library, then directories, then the rest.
    package private(set) var allowed: [String] = []
    /// Paths that had no room.
    package private(set) var omitted = 0

    /// - Parameters:
    ///   - sealed: canonical paths: absolute, without links.
    ///   - exempt: canonical paths of files that are the library's though they lie among the node's, or are large.
    ///   - entries: what is in a directory; nothing for what cannot be listed.
    package init(sealed: SealedPaths, exempt: Set<String> = [], entries: (String) -> [Entry]) {
        let closed = Set(sealed.paths)
        let shallow = Set(sealed.fileDirectories)
        var ways: Set<String> = []
        for path in closed { ways.formUnion(Self.parents(of: path)) }
        for path in shallow { ways.formUnion(Self.parents(of: path) + [path]) }
        var named: [String] = []
        // Of each directory on a way.
        var (directories, others): ([[String]], [[String]]) = ([], [])
        for way in ways.sorted() where !closed.contains(way) && closed.isDisjoint(with: Self.parents(of: way)) {
            directories.append([])
            others.append([])
            for entry in entries(way) where entry.kind != .link {
                let path = way == "/" ? "/" + entry.name : way + "/" + entry.name
                guard !ways.contains(path), !closed.contains(path) else { continue }
                if exempt.contains(path) {
                    named.append(path)
                } else if entry.kind == .directory {
                    directories[directories.count - 1].append(path)
                } else if entry.kind != .large, !shallow.contains(way) {
                    others[others.count - 1].append(path)
                }
            }
        }
        // A library wants what is in a directory rather than one of a thousand files; and where there is no room for all,
        // what a full directory holds goes without a rule, and not what lies beside it: a `/tmp` of a thousand must not
        // keep a library from its own token further down, nor from what is in `/`.
        let isFull = named.count + (directories + others).reduce(0) { $0 + $1.count } > Self.mostRules
        if isFull {
            directories.sort { $0.count < $1.count }
            others.sort { $0.count < $1.count }
        }
        let all = named + (directories + others).joined()
        allowed = Array(all.prefix(Self.mostRules))
        omitted = all.count - allowed.count
    }

    /// The directories above a path, from the root on.
    static func parents(of path: String) -> [String] {
        let parts = path.split(separator: "/").dropLast()
        var parents = ["/"]
        for part in parts { parents.append((parents.last == "/" ? "" : parents.last ?? "") + "/" + part) }
        return parents
    }
}

/// What any program on the host needs, whatever library it loads.
enum SystemPaths {
    /// Libraries, the loader's and the resolver's settings, time zones, certificates, facts about processor and memory.
    static let readable = [
        "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/usr/libexec",
        "/usr/share/zoneinfo", "/usr/share/ssl", "/usr/share/ca-certificates", "/etc/ld.so.cache",
        "/etc/ld.so.preload", "/etc/localtime", "/etc/nsswitch.conf", "/etc/hosts", "/etc/host.conf",
        "/etc/resolv.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols", "/etc/passwd", "/etc/group", "/etc/ssl",
        "/etc/pki", "/etc/crypto-policies", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat",
        "/proc/sys/kernel", "/proc/sys/vm", "/sys/devices/system/cpu", "/dev/urandom", "/dev/random", "/dev/zero",
        "/run/systemd/resolve",
    ]
    static let writable = ["/dev/null", "/dev/full"]
}
