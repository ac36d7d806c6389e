// SPDX-License-Identifier: Apache-2.0
import Hummingbird

extension Response {
    /// An answer as it goes out. `HEAD` gets the header fields alone.
    init(_ answer: ControlAnswer, to method: String, allowed: String) {
        self.init(
            status: .init(code: answer.status),
            headers: [
                .contentType: answer.contentType, .cacheControl: "no-store", .contentLength: "\(answer.body.count)",
            ],
            body: method == "HEAD" ? .init() : .init(byteBuffer: ByteBuffer(bytes: answer.body)))
        if answer.status == 405 { headers[.allow] = allowed }
    }
}
