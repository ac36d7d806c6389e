// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Whose files stand in the way of a process that may not use them.
package enum Ownership {
    /// The first of these paths that belongs to somebody else and that this process may not write to, with the command
    /// that mends it; `nil` where there is none, or the user of this process may do everything.
    ///
    /// A node that was once run as root leaves files of root's behind, and then the service's own user cannot.
    ///
    /// - Parameter directory: what is to be given to the user of this process as a whole.
    package static func flaw(of paths: [String], in directory: String) -> String? {
        let user = geteuid()
        for path in paths {
            var status = stat()
            guard lstat(path, &status) == 0, status.st_uid != user, access(path, W_OK) != 0 else { continue }
            return
                "\(path) belongs to \(UserName.shown(status.st_uid)), and this process runs as \(UserName.shown(user)): run "
                + "chown -R \(UserName.plain(user)): \(directory)"
        }
        return nil
    }
}
