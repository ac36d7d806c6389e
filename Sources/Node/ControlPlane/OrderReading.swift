// SPDX-License-Identifier: Apache-2.0

/// What the admin socket reads of an order before anything is done. For tests that feed it anything.
package enum OrderReading {
    /// Whether a request is understood. Parameters as of `AdminRequest.parse`.
    package static func isUnderstood(method: String, path: String, query: String?, body: [UInt8]) -> Bool {
        (try? AdminRequest.parse(method: method, path: path, query: query, body: body)) != nil
    }
}
