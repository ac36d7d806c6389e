// SPDX-License-Identifier: Apache-2.0
import Glibc
import HostLimits
import NIOCore
import Testing

@Suite struct ListenFailureTests {
    /// With 16631be all of them were `bind(descriptor:ptr:bytes:): … (errno: 98)`.
    @Test(arguments: [
        (EADDRINUSE, "another process listens there", "sport = :443"), (EADDRNOTAVAIL, "no such address", "ip address"),
        (EACCES, "below 1024", "CAP_NET_BIND_SERVICE"), (EMFILE, "descriptor", "ulimit -n"),
        (EAFNOSUPPORT, "Address family not supported", "choose"),
    ])
    func reasonAndMend(code: Int32, reason: String, mend: String) {
        let failure = ListenFailure(IOError(errnoCode: code, reason: "bind(descriptor:ptr:bytes:)"), port: 443)
        #expect(failure.reason.contains(reason) && failure.mend.contains(mend), "\(failure)")
        #expect(!"\(failure)".contains("bind(") && !"\(failure)".contains("errno"))
    }

    @Test func aNameWithoutAddress() throws {
        // Two dots: no name server is asked.
        let error = #expect(throws: SocketAddressError.UnknownHost.self) {
            try SocketAddress.makeAddressResolvingHost("no..host", port: 1)
        }
        let failure = ListenFailure(try #require(error), port: 1)
        #expect(failure.reason == "the name has no address")
    }

    @Test func whatTheSystemSaysIsSaidWithoutItsFunctions() {
        let error = IOError(errnoCode: EMFILE, reason: "accept(descriptor:addr:len:flags:)")
        #expect(ListenFailure.words(error) == "Too many open files")
    }

    @Test func aHighPortNeedsNoPrivilege() {
        #expect(ListenFailure(code: EACCES, port: 8_443).reason == "Permission denied")
    }
}
