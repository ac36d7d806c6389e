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
        if settings.cluster == nil, let flaw = OwnAuditKey.flaw(stateDirectory: settings.node.stateDirectory) {
            diagnostics.warn("audit", flaw.message, isFatal: false, fix: flaw.mend)
        }
        let path = audit.directory(under: settings.node.stateDirectory)
        // The node makes a state directory that is missing, and the log's own in it: whether it can, has been looked at. What
        // the disk has is to be asked of a directory that is there.
        let isYetToCome =
            access(settings.node.stateDirectory, F_OK) != 0
            && path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex) == settings.node.stateDirectory
        if !isYetToCome {
            if let flaw = DirectoryChain.flaw(of: path) {
                return diagnostics.report("audit.directory", flaw.message, fix: flaw.mend)
            }
            if let flaw = writeFlaw(path) {
                return diagnostics.report("audit.directory", flaw.message, fix: flaw.mend)
            }
        }
        let place = nearest(path)
        // On a full disk an empty directory can be made, and no record written.
        if isYetToCome, let code = trial(in: place), code == ENOSPC || code == EDQUOT {
            return diagnostics.report(
                "audit.directory", "\(path) could not be written: \(String(cString: strerror(code)))",
                fix: Self.mend(code, place))
        }
        guard let room = AuditDirectory(place).room() else { return }
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

    /// The directory itself, or the one next above it that is there.
    private func nearest(_ path: String) -> String {
        var place = path
        while !place.isEmpty, access(place, F_OK) != 0 {
            place = String(place[..<(place.lastIndex(of: "/") ?? place.startIndex)])
        }
        return place.isEmpty ? "/" : place
    }

    /// The error number of why nothing can be written there. It is tried.
    private func trial(in directory: String) -> Int32? {
        do throws(WriteTrial.Failure) {
            try WriteTrial.write(65_536, in: directory)
            return nil
        } catch {
            return error.code
        }
    }

    /// Why nothing can be written there, and what mends it. It is tried.
    private func writeFlaw(_ path: String) -> DirectoryChain.Flaw? {
        let isNew = mkdir(path, 0o700) == 0
        let code = errno
        guard isNew || code == EEXIST else {
            return .init(
                message: "\(path) cannot be made: \(String(cString: strerror(code)))",
                mend: code == ENOENT ? "make the directory above it" : Self.mend(code, path))
        }
        defer { if isNew { rmdir(path) } }
        var facts = stat()
        guard stat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFDIR else {
            return .init(message: "\(path) is no directory", mend: "remove it, or choose another one")
        }
        guard facts.st_mode & 0o077 == 0 else {
            return .init(
                message:
                    "\(path) can be read by others than its owner (mode \(String(facts.st_mode & 0o777, radix: 8)))",
                mend: "chmod go= \(path)")
        }
        return trial(in: path).map { code in
            .init(message: "\(path) cannot be written: \(String(cString: strerror(code)))", mend: Self.mend(code, path))
        }
    }

    private static func mend(_ code: Int32, _ path: String) -> String {
        switch code {
        case ENOSPC, EDQUOT: "make room on its disk, or choose another one"
        case EROFS: "mount its disk for writing, or choose another one"
        case EACCES, EPERM: "make it, and give it to the node's user: install -d -m 700 -o USER \(path)"
        case ENOTDIR: "a part of its path is a file: choose another one"
        default: "look at its disk, or choose another one"
        }
    }
}
