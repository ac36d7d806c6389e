// SPDX-License-Identifier: Apache-2.0
import Mustache

/// The status page and what it is made of: values in, bytes out.
package struct StatusPage: Sendable {
    /// A file that the page refers to.
    package struct Asset: Sendable {
        package let path: String
        package let contentType: String
        package let body: [UInt8]
        /// Of its content, as of ETag, without quotation marks.
        package let digest: String

        /// Where the page finds it: what stands there never changes.
        package var reference: String { "\(path)?v=\(digest)" }

        init(_ path: String, _ contentType: String, _ body: [UInt8]) {
            self.path = path
            self.contentType = contentType
            self.body = body
            digest = Self.digest(body)
        }

        /// FNV-1a of 64 bits, for caches alone.
        private static func digest(_ bytes: [UInt8]) -> String {
            let hash = bytes.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
            let digits = String(hash, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
    }

    /// What the browser may load and do: this node's own stylesheet, script and icon, and the page again.
    package static let contentSecurityPolicy =
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        + "form-action 'none'; frame-ancestors 'none'"

    package let stylesheet: Asset
    package let script: Asset
    package let icon: Asset
    private let template: MustacheTemplate

    /// Throws where the template, which is a part of the program, is wrong.
    package init() throws {
        HTMLText.register()
        template = try MustacheTemplate(
            string: String(decoding: PackageResources.status_html_mustache, as: UTF8.self))
        stylesheet = Asset("/status.css", "text/css; charset=utf-8", PackageResources.status_css)
        script = Asset("/status.js", "text/javascript; charset=utf-8", PackageResources.status_js)
        icon = Asset("/status.svg", "image/svg+xml", PackageResources.icon_svg)
    }

    /// `nil` for a path that is none of theirs.
    package func asset(_ path: String) -> Asset? { [stylesheet, script, icon].first { $0.path == path } }

    /// The page in UTF-8. Takes as long as what it shows is large, which is bounded (`PageView`, `KeyView`).
    package func html(_ snapshot: StatusSnapshot) -> [UInt8] {
        let view = PageView(snapshot: snapshot)
        var fields = view.fields
        fields["stylesheet"] = stylesheet.reference
        fields["script"] = script.reference
        fields["icon"] = icon.reference
        if !view.moreNodes.isEmpty { fields["moreNodes"] = view.moreNodes }
        return Array(template.render(fields).utf8)
    }
}
