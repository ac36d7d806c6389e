// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc

/// The group whose members may give orders.
package enum AdminGroup {
    /// Why this process could not give the admin socket to a group; `nil` where it could.
    package static func flaw(of name: String) -> (message: String, mend: String)? {
        guard let group = number(of: name) else {
            return ("there is no group \(name)", "make it (groupadd --system \(name)), or correct node.admin_group")
        }
        // chown(2): others than root give files to groups that they are in.
        var groups = [gid_t](repeating: 0, count: Int(max(getgroups(0, nil), 0)))
        let count = getgroups(Int32(clamping: groups.count), &groups)
        guard geteuid() == 0 || group == getegid() || groups.prefix(Int(max(count, 0))).contains(group) else {
            return (
                "this user is not in the group \(name), and may give it no file",
                "add the node's user to it (SupplementaryGroups=\(name) in the unit)"
            )
        }
        return nil
    }

    /// Gives the group a socket in a directory of its own below the state directory, and lets it go through the state
    /// directory, which it cannot read. Returns why not, where that fails; the socket is not the group's then.
    static func admit(_ name: String, to socket: String) -> String? {
        guard let group = number(of: name) else {
            return "there is no group \(name): make it (groupadd \(name)), or correct node.admin_group"
        }
        let state = ((socket as NSString).deletingLastPathComponent as NSString).deletingLastPathComponent
        guard chown(socket, uid_t.max, group) == 0, chown(state, uid_t.max, group) == 0 else {
            return
                "this process may not give a file to the group \(name): \(String(cString: strerror(errno))); add its user "
                + "to the group (SupplementaryGroups=\(name) in the unit)"
        }
        var facts = stat()
        guard stat(state, &facts) == 0, chmod(state, facts.st_mode & 0o7777 | S_IXGRP) == 0, chmod(socket, 0o660) == 0
        else {
            return "\(state): \(String(cString: strerror(errno)))"
        }
        return nil
    }

    private static func number(of name: String) -> gid_t? {
        var entry = group()
        var buffer = [CChar](repeating: 0, count: 64 * 1024)
        var found: UnsafeMutablePointer<group>?
        guard getgrnam_r(name, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        return entry.gr_gid
    }
}
