// SPDX-License-Identifier: Apache-2.0

/// A page for people, or a file that it refers to.
package struct PageFile: Sendable, Equatable {
    package var contentType: String
    package var body: [UInt8]
    /// Of its content, for caches, without quotation marks; `nil` for what is made anew each second.
    package var digest: String?
    /// Content-Security-Policy.
    package var policy: String

    package init(contentType: String, body: [UInt8], digest: String?, policy: String) {
        self.contentType = contentType
        self.body = body
        self.digest = digest
        self.policy = policy
    }
}

/// Gives the status page and its files. Never asks an HSM, and never waits.
package protocol PageSource: Sendable {
    /// `nil` for a path that is none of theirs.
    func file(at path: String) -> PageFile?
}

extension ControlAnswer {
    /// - Parameter request: its query is `v=DIGEST` where the file of that content is meant, which never changes.
    static func make(_ file: PageFile, to request: ControlRequest) -> ControlAnswer {
        var answer = ControlAnswer(status: 200, contentType: file.contentType, body: file.body)
        answer.fields = [
            "Content-Security-Policy": file.policy, "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
        ]
        guard let digest = file.digest else { return answer }
        let tag = "\"\(digest)\""
        answer.fields["ETag"] = tag
        // During an upgrade a page of one version may ask a node of another one: what that gives is not kept for it.
        answer.caching = request.query == "v=\(digest)" ? "private, max-age=31536000, immutable" : "no-cache"
        if let known = request.ifNoneMatch, known == "*" || known.contains(tag) {
            answer.status = 304
            answer.body = []
        }
        return answer
    }
}
