// SPDX-License-Identifier: Apache-2.0
import SecureMemory

/// The body of a request.
package protocol XKSRequest: Sendable {
    /// Where the request comes from, and on whose behalf.
    var metadata: RequestMetadata { get }

    /// Reads a whole body.
    /// - Throws: `validation`, or `unsupportedOperation` for what exceeds `limits`.
    init(body: SecretBytes, limits: XKSLimits) throws(XKSError)

    /// Does the same with a reader that can be asked afterwards.
    init(from reader: inout JSONReader, limits: XKSLimits) throws(XKSError)
}

/// Lends a reader of `body` to `read`.
///
/// Takes its result by a variable: what `SecretBytes` lends its bytes to cannot throw a typed error. Each kind of body
/// calls this from a function of its own that is not generic, so that callers in other modules pay for no generics.
@inline(__always)
func reading<Value>(
    _ body: SecretBytes, _ read: (inout JSONReader) throws(XKSError) -> Value
) throws(XKSError) -> Value {
    var value: Value?
    var failure: XKSError?
    body.withUnsafeBytes { bytes in
        var reader = JSONReader(bytes)
        do throws(XKSError) {
            value = try read(&reader)
        } catch {
            failure = error
        }
    }
    guard let value else { throw failure ?? XKSError(.internalFailure, "the request could not be read") }
    return value
}

/// The value of a field that may not be missing.
func required<Value>(_ value: consuming Value?, _ field: some JSONField) throws(XKSError) -> Value {
    guard let value else { throw XKSError(.validation, "\(field.label) is missing") }
    return value
}
