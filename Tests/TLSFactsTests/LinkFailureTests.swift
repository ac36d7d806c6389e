// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore
import TLSLinks
import Testing

@Suite("Why a connection failed, in words")
struct LinkFailureTests {
    private func words(_ error: any Error) -> String { LinkFailure.words(error, authority: "this cluster's CA") }

    @Test("what the system says is its sentence alone")
    func system() {
        #expect(words(IOError(errnoCode: ECONNREFUSED, reason: "connection reset (error set)")) == "connection refused")
        #expect(words(IOError(errnoCode: EHOSTUNREACH, reason: "connect")) == "no route to host")
        #expect(words(ChannelError.connectTimeout(.seconds(3))) == "no answer in time")
    }

    @Test("one of Claviger's own is as it describes itself")
    func own() {
        struct Own: Error, CustomStringConvertible { var description: String { "the name is wrong" } }
        #expect(words(Own()) == "the name is wrong")
    }

    @Test(
        "what TLS says has no path of a build",
        arguments: [
            ("CERTIFICATE_VERIFY_FAILED", "its certificate is not of this cluster's CA, or not valid now"),
            ("TLSV1_ALERT_UNKNOWN_CA", "it refuses the certificate that it is shown"),
            ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "it refuses the certificate that it is shown"),
            ("WRONG_VERSION_NUMBER", "what answers there does not speak TLS"),
            ("UNSUPPORTED_PROTOCOL", "it speaks no version of TLS that is accepted here"),
            ("DECRYPT_ERROR", "the TLS handshake failed (DECRYPT_ERROR)"),
        ])
    func tls(code: String, words: String) {
        let text =
            "handshakeFailed(NIOSSL.BoringSSLError.sslError([Error: 268435581 error:1000007d:SSL routines:OPENSSL_internal:"
            + "\(code) at /src/.build/checkouts/swift-nio-ssl/Sources/CNIOBoringSSL/ssl/handshake.cc:390]))"
        #expect(LinkFailure.words(tls: text, authority: "this cluster's CA") == words)
        #expect(
            LinkFailure.words(tls: "something else", authority: "this cluster's CA") == "the TLS handshake failed")
    }
}
