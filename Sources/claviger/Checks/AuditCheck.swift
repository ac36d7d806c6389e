// SPDX-License-Identifier: Apache-2.0
import Audit
import Glibc
import NodeConfig
import PrivateFiles

/// Whether a node could write its audit log, for how long there is room, and whether its settings fit the others.
struct AuditCheck {
    /// Room for less than so many segments is warned of.
    private static let leastSegments: UInt64 = 4

    let settings: NodeSettings

    func run(_ diagnostics: inout Diagnostics) {
        guard let audit = settings.audit else {
            let quiet = settings.keyStores.firstIndex { !$0.auditsSuccesses }
            guard let quiet else { return }
            return diagnostics.warn(
                "keystore[\(quiet)].audit", "says what the audit log leaves out, and there is none", isFatal: false,
                fix: "add a table [audit], or take the line out")
        }
        checkJournals(audit.journals(ofUser: geteuid()), &diagnostics)
        let path = audit.directory(under: settings.node.stateDirectory)
        // The node makes a state directory that is missing, and the log's own in it: whether it can, has been looked at.
        if audit.directory == nil, access(settings.node.stateDirectory, F_OK) != 0 { return }
        if let flaw = DirectoryChain.flaw(of: path) {
            return diagnostics.report("audit.directory", flaw.message, fix: flaw.mend)
        }
        if let flaw = writeFlaw(path) {
            return diagnostics.report(
                "audit.directory", flaw,
                fix: "make the directory above it, give it to the user of the node, or choose another one")
        }
        let there = access(path, F_OK) == 0 ? path : String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        guard let room = AuditDirectory(there.isEmpty ? "/" : there).room() else { return }
        let wanted = Self.leastSegments * UInt64(audit.segmentBytes)
        if room < wanted {
            diagnostics.warn(
                "audit.directory",
                "\(path) has room for \(room >> 20) MiB, less than \(Self.leastSegments) segments (\(wanted >> 20) MiB)",
                isFatal: false, fix: "free space, choose another disk, or lower segment_bytes and keep_days")
        }
    }

    /// The node makes the directory where it is missing, in one that is there.
    private func checkJournals(_ path: String, _ diagnostics: inout Diagnostics) {
        let key = "audit.journal_dir"
        let mend = "choose a directory in memory (tmpfs) that belongs to the user of the node"
        let parent = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        let isThere = access(path, F_OK) == 0
        let place = isThere ? path : parent.isEmpty ? "/" : parent
        if isThere, let flaw = JournalPlace.flaw(of: path) {
            return diagnostics.report(key, flaw.description, fix: mend)
        }
        guard access(place, W_OK | X_OK) == 0 else {
            return diagnostics.report(
                key, "\(path) cannot be \(isThere ? "written" : "made"): \(String(cString: strerror(errno)))", fix: mend
            )
        }
        if JournalPlace.isInMemory(place) == false {
            diagnostics.warn(
                key, "\(path) is on a disk, so that requests wait for it while it is slow", isFatal: false,
                fix: "choose a directory in memory (tmpfs), or leave it out for /dev/shm")
        }
    }

    /// Why nothing can be written there. It is tried.
    private func writeFlaw(_ path: String) -> String? {
        let isNew = mkdir(path, 0o700) == 0
        guard isNew || errno == EEXIST else { return "\(path) cannot be made: \(String(cString: strerror(errno)))" }
        defer { if isNew { rmdir(path) } }
        var facts = stat()
        guard stat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFDIR else { return "\(path) is no directory" }
        guard facts.st_mode & 0o077 == 0 else {
            return "\(path) can be read by others than its owner (mode \(String(facts.st_mode & 0o777, radix: 8)))"
        }
        do throws(WriteTrial.Failure) {
            try WriteTrial.write(65_536, in: path)
            return nil
        } catch {
            return "\(path) cannot be written: \(error.reason)"
        }
    }
}
