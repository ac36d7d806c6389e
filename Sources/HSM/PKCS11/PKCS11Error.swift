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

/// What one call gave, without throwing: for the way of a request.
package struct CallResult: Sendable, Equatable {
    package var function: PKCS11Function
    package var code: ReturnCode
    /// Bytes of output, never more than the room that was offered. 0 unless the call succeeded.
    package var length: Int
    /// Bytes of the IV that an encryption used, at the beginning of the call's IV buffer. 0 otherwise.
    package var ivLength: Int

    package init(function: PKCS11Function, code: ReturnCode, length: Int = 0, ivLength: Int = 0) {
        self.function = function
        self.code = code
        self.length = length
        self.ivLength = ivLength
    }

    package static let ok = CallResult(function: .none, code: .ok)

    package var isOK: Bool { code.isOK }
    package var error: PKCS11Error { PKCS11Error(function: function, code: code) }
}

/// Turns a CK_RV into an error.
@inline(__always)
func check(_ code: UInt, _ function: PKCS11Function) throws(PKCS11Error) {
    if code != 0 { throw PKCS11Error(function: function, code: ReturnCode(rawValue: code)) }
}

/// The function's pointer from the library's list; a library may leave out what it does not have.
@inline(__always)
func present<Pointer>(_ pointer: Pointer?, _ function: PKCS11Function) throws(PKCS11Error) -> Pointer {
    guard let pointer else { throw PKCS11Error(function: function, code: .functionNotSupported) }
    return pointer
}
