// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import SigV4
import Testing
import XKSProtocol

/// AWS's published SigV4 test suite: requests of 2015-08-30T12:36:00Z and their signatures.
///
/// Path normalization is left out, as it is in the verifier; of those vectors the unnormalized ones are here.
@Suite struct PublishedVectorTests {
    struct Vector: Sendable, CustomTestStringConvertible {
        var name: String
        var target = "/"
        var headers: [HeaderField] = []
        var body = ""
        var signedHeaders = "host;x-amz-date"
        var signature: String

        var method: String { name.hasPrefix("post") ? "POST" : "GET" }
        var testDescription: String { name }
    }

    private static let accessKeyID = "AKIDEXAMPLE"
    private static let now: Int64 = 1_440_938_160

    private static var credential: Credential {
        Credential(
            unvalidated: accessKeyID, secret: SecretBytes(Array("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".utf8)))
    }

    @Test(arguments: vectors) func verifies(vector: Vector) throws {
        let authorization =
            "AWS4-HMAC-SHA256 Credential=\(Self.accessKeyID)/20150830/us-east-1/service/aws4_request, "
            + "SignedHeaders=\(vector.signedHeaders), Signature=\(vector.signature)"
        let request = ProxyRequest(
            method: vector.method, target: vector.target,
            headers: Self.host + vector.headers + [
                HeaderField(name: "X-Amz-Date", value: "20150830T123600Z"),
                HeaderField(name: "Authorization", value: authorization),
            ], body: SecretBytes(Array(vector.body.utf8)), receivedAt: 0, peer: "test")
        let verifier = try SigV4Verifier(credentials: [Self.credential], service: "service")
        let identity = try verifier.verify(request, now: Self.now)
        #expect(identity.accessKeyID == Self.accessKeyID)
        #expect(identity.region == "us-east-1")
    }

    @Test(arguments: vectors) func signs(vector: Vector) throws {
        let signer = SigV4Signer(credential: Self.credential, region: "us-east-1", service: "service")
        let signed = try signer.sign(
            method: vector.method, target: vector.target, headers: Self.host + vector.headers,
            body: SecretBytes(Array(vector.body.utf8)), now: Self.now)
        let last = try #require(signed.last)
        #expect(last.value.hasSuffix("SignedHeaders=\(vector.signedHeaders), Signature=\(vector.signature)"))
    }

    private static let host = [HeaderField(name: "Host", value: "example.amazonaws.com")]

    private static func header(_ name: String, _ values: String...) -> [HeaderField] {
        values.map { HeaderField(name: name, value: $0) }
    }

    private static let unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

    static let vectors: [Vector] = methodVectors + headerVectors + pathVectors + queryVectors + bodyVectors

    private static let methodVectors = [
        Vector(name: "get-vanilla", signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        Vector(name: "post-vanilla", signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ]

    private static let headerVectors = [
        Vector(
            name: "get-header-key-duplicate", headers: header("My-Header1", "value2", "value2", "value1"),
            signedHeaders: "host;my-header1;x-amz-date",
            signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"),
        Vector(
            name: "get-header-value-order", headers: header("My-Header1", "value4", "value1", "value3", "value2"),
            signedHeaders: "host;my-header1;x-amz-date",
            signature: "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"),
        Vector(
            name: "get-header-value-trim",
            headers: header("My-Header1", " value1") + header("My-Header2", " \"a   b   c\""),
            signedHeaders: "host;my-header1;my-header2;x-amz-date",
            signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
        Vector(
            name: "get-header-value-multiline", headers: header("My-Header1", "value1\r\n  value2\n     value3"),
            signedHeaders: "host;my-header1;x-amz-date",
            signature: "cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd"),
        Vector(
            name: "post-header-key-sort", headers: header("My-Header1", "value1"),
            signedHeaders: "host;my-header1;x-amz-date",
            signature: "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"),
        Vector(
            name: "post-header-value-case", headers: header("My-Header1", "VALUE1"),
            signedHeaders: "host;my-header1;x-amz-date",
            signature: "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"),
        Vector(
            name: "get-vanilla-with-session-token",
            headers: header(
                "X-Amz-Security-Token", "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"),
            signedHeaders: "host;x-amz-date;x-amz-security-token",
            signature: "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"),
    ]

    private static let pathVectors = [
        Vector(
            name: "get-unreserved", target: "/" + unreserved,
            signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
        Vector(
            name: "get-utf8", target: "/ሴ",
            signature: "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
        Vector(
            name: "get-space", target: "/example space/",
            signature: "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
        Vector(
            name: "get-slash-unnormalized", target: "//",
            signature: "c88bcd3d312d75078c0cd961d6deae3f4c754924b01669efcfcb439fd5e5b76e"),
        Vector(
            name: "get-slashes-unnormalized", target: "//example//",
            signature: "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5"),
        Vector(
            name: "get-relative-unnormalized", target: "/example/..",
            signature: "eca7ead57bb5aa5c8e28007acd4ff04e1ff9a0ff3b237ec1554a184887ff9282"),
    ]

    private static let queryVectors = [
        Vector(
            name: "get-vanilla-query-order-key", target: "/?Param1=value2&Param1=Value1",
            signature: "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"),
        Vector(
            name: "get-vanilla-query-order-key-case", target: "/?Param2=value2&Param1=value1",
            signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
        Vector(
            name: "get-vanilla-query-order-value", target: "/?Param1=value2&Param1=value1",
            signature: "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"),
        Vector(
            name: "get-vanilla-query-order-encoded", target: "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
            signature: "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"),
        Vector(
            name: "get-vanilla-query-unreserved", target: "/?\(unreserved)=\(unreserved)",
            signature: "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"),
        Vector(
            name: "get-vanilla-utf8-query", target: "/?ሴ=bar",
            signature: "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
        Vector(
            name: "get-vanilla-empty-query-key", target: "/?Param1=value1",
            signature: "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"),
        Vector(
            name: "post-vanilla-query", target: "/?Param1=value1",
            signature: "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"),
    ]

    private static let bodyVectors = [
        Vector(
            name: "post-x-www-form-urlencoded",
            headers: header("Content-Type", "application/x-www-form-urlencoded"), body: "Param1=value1",
            signedHeaders: "content-type;host;x-amz-date",
            signature: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
        Vector(
            name: "post-x-www-form-urlencoded, body hash among the headers",
            headers: header("Content-Type", "application/x-www-form-urlencoded") + header("Content-Length", "13")
                + header(
                    "X-Amz-Content-Sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"),
            body: "Param1=value1",
            signedHeaders: "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
            signature: "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"),
        Vector(
            name: "post-x-www-form-urlencoded-parameters",
            headers: header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
                + header("Content-Length", "13")
                + header(
                    "X-Amz-Content-Sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"),
            body: "Param1=value1",
            signedHeaders: "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
            signature: "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422"),
    ]
}
