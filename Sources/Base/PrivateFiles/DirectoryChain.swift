// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Whether nobody but root, this user and a directory's owner can put another directory in its place: whoever may write
/// to one of the directories above it can rename it, and have a node keep its state, and commands find their node, in a
/// directory of their own.
package enum DirectoryChain {
    /// One directory on the way to another, or that one itself.
    package struct Step: Sendable, Equatable {
        package var path: String
        package var owner: UInt32
        /// As in `st_mode`.
        package var mode: UInt32

        package init(path: String, owner: UInt32, mode: UInt32) {
            self.path = path
            self.owner = owner
            self.mode = mode
        }
    }

    /// What is wrong, in a sentence without its end, and what mends it.
    package struct Flaw: Sendable, Equatable {
        package var message: String
        package var mend: String

        package init(message: String, mend: String) {
            self.message = message
            self.mend = mend
        }
    }

    /// - Parameters:
    ///   - steps: from the root to the directory itself, the last one.
    ///   - user: who asks.
    /// - Returns: `nil` when there is nothing wrong.
    package static func flaw(of steps: [Step], user: UInt32) -> Flaw? {
        let trusted: Set<UInt32> = [0, user, steps.last?.owner ?? 0]
        for step in steps {
            // With the sticky bit, only its owner renames what lies in a directory (inode(7)). It does not keep others
            // from making files in the state directory itself.
            let isOpen = step.mode & 0o002 != 0 && (step.mode & 0o1000 == 0 || step == steps.last)
            if isOpen {
                return Flaw(
                    message: "\(step.path) can be written by every user, who could put a directory of their own in the "
                        + "place of \(steps.last?.path ?? step.path)",
                    mend: "chmod o-w \(step.path)")
            }
            if !trusted.contains(step.owner) {
                return Flaw(
                    message: "\(step.path) belongs to user \(step.owner), who could put another directory in the place "
                        + "of \(steps.last?.path ?? step.path)",
                    mend: "give it to root, or choose another state_dir")
            }
        }
        return nil
    }

    /// What is wrong with an existing directory, or with those above one that is yet to be made; `nil` when nothing is,
    /// or when it cannot be looked at: then nothing can be done there either.
    package static func flaw(of directory: String) -> Flaw? {
        guard let real = realPath(directory) else { return nil }
        var steps: [Step] = []
        for path in prefixes(of: real) {
            var facts = stat()
            guard lstat(path, &facts) == 0 else { return nil }
            steps.append(Step(path: path, owner: facts.st_uid, mode: facts.st_mode))
        }
        return flaw(of: steps, user: geteuid())
    }

    /// The owner of a directory; `nil` when it cannot be looked at.
    package static func owner(of directory: String) -> UInt32? {
        var facts = stat()
        return stat(directory, &facts) == 0 ? facts.st_uid : nil
    }

    /// Without symbolic links; of a directory that is not there, its parent's.
    private static func realPath(_ directory: String) -> String? {
        for path in [directory, directory.lastIndex(of: "/").map { String(directory[..<$0]) } ?? "."] {
            guard let found = realpath(path.isEmpty ? "/" : path, nil) else { continue }
            defer { free(found) }
            return String(cString: found)
        }
        return nil
    }

    /// `/`, `/a`, `/a/b` of `/a/b`.
    static func prefixes(of path: String) -> [String] {
        path.split(separator: "/").reduce(into: ["/"]) { found, name in
            let last = found.last ?? "/"
            found.append(last == "/" ? "/\(name)" : "\(last)/\(name)")
        }
    }
}
