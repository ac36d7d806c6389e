// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// A PKCS#11 function returned something else than CKR_OK.
package struct PKCS11Error: Error, Sendable, Equatable, CustomStringConvertible {
    package var function: PKCS11Function
    package var code: ReturnCode

    package init(function: PKCS11Function, code: ReturnCode) {
        self.function = function
        self.code = code
    }

    package var description: String { "\(function.name) returned \(code.name)" }
}

extension CallResult {
    /// The result as an error, for those who throw.
    package var error: PKCS11Error { PKCS11Error(function: function, code: code) }
}

/// Turns a CK_RV into an error.
@inline(__always)
func check(_ code: UInt, _ function: PKCS11Function) throws(PKCS11Error) {
    if code != 0 { throw PKCS11Error(function: function, code: ReturnCode(rawValue: code)) }
}

/// The function's pointer from the library's list, to be called next; a library may leave out what it does not have.
@inline(__always)
func present<Pointer>(_ pointer: Pointer?, _ function: PKCS11Function) throws(PKCS11Error) -> Pointer {
    guard let pointer else { throw PKCS11Error(function: function, code: .functionNotSupported) }
    note(function)
    return pointer
}
