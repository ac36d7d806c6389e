// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore

/// Why an address cannot be listened on, in words of whoever has configured it, and what mends it.
package struct ListenFailure: Sendable, Equatable, CustomStringConvertible {
    package let reason: String
    package let mend: String

    /// - Parameters:
    ///   - error: what binding or listening has thrown.
    ///   - port: that was asked for.
    package init(_ error: any Error, port: Int) {
        if let error = error as? IOError {
            self.init(code: error.errnoCode, port: port)
        } else if error is SocketAddressError.UnknownHost {
            self.init(
                reason: "the name has no address",
                mend: "name one that the host can resolve, or write the address itself")
        } else {
            self.init(reason: "\(error)", mend: "choose an address of this host and a port that is free")
        }
    }

    private init(reason: String, mend: String) {
        self.reason = reason
        self.mend = mend
    }

    /// - Parameter code: the error number.
    package init(code: Int32, port: Int) {
        switch code {
        case EADDRINUSE:
            reason = "another process listens there"
            mend =
                "`ss -lntp 'sport = :\(port)'` names it: end it, unless it is a node in service, or choose another port"
        case EADDRNOTAVAIL:
            reason = "this host has no such address"
            mend = "choose one that `ip address` shows, or 0.0.0.0 or [::] for all of them"
        case EACCES where (1..<1024).contains(port), EPERM where (1..<1024).contains(port):
            reason = "ports below 1024 take a privilege that this process does not have"
            mend = "choose a port from 1024 on, or give it CAP_NET_BIND_SERVICE"
        case EMFILE, ENFILE:
            reason = "no file descriptor is left"
            mend = "raise the limit (`ulimit -n`, LimitNOFILE= of the unit)"
        default:
            reason = String(cString: strerror(code))
            mend = "choose an address of this host and a port that is free"
        }
    }

    /// What the system says, without the names of functions and numbers.
    package static func words(_ error: any Error) -> String {
        (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
    }

    package var description: String { "\(reason): \(mend)" }
}
