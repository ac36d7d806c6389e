// SPDX-License-Identifier: Apache-2.0

/// What a process at the other end of the admin socket may order. The socket's mode has decided already who gets there: root,
/// the node's own user, and the group of `[node] admin_group`.
package enum CommandRight: Sendable, Equatable {
    case all
    /// Blocking, and nothing else; the text says why.
    case blockOnly(String)

    /// Whether a process is one that this node has started, or a descendant of it.
    package enum Descent: Sendable, Equatable {
        case descendant
        case other
        /// It has ended, or the system hides it from this node.
        case unknown
    }

    /// - Parameters:
    ///   - user: the peer's, as the kernel tells it (SO_PEERCRED).
    ///   - own: the node's user.
    package static func of(user: UInt32, own: UInt32, descent: Descent) -> CommandRight {
        switch descent {
        case .descendant:
            return .blockOnly(
                "it comes from a process that this node has started: from those it takes orders to block, and no others"
            )
        case .other: return .all
        case .unknown:
            // A library's processes are the node's user's: they cannot become another's (no_new_privs).
            guard user == own else { return .all }
            return .blockOnly(
                "it cannot be told whether it comes from a process that this node has started, since the system hides the "
                    + "one that it comes from: give the order as root")
        }
    }

    /// Goes from a process to its parent, and so on.
    ///
    /// - Parameter parent: of a process; 0 where that is none of this name space; negative where it cannot be told.
    package static func descent(of process: Int32, from ancestor: Int32, parent: (Int32) -> Int32) -> Descent {
        guard process > 0 else { return .unknown }
        if process == ancestor { return .other }
        var current = process
        // Nobody's line is longer than this in earnest.
        for _ in 0..<1_000 {
            let next = parent(current)
            if next == ancestor { return .descendant }
            guard next >= 0, next != current else { return .unknown }
            if next <= 1 { return .other }
            current = next
        }
        return .unknown
    }
}
