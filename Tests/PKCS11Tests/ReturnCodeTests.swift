// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11
import Testing

@Suite("Return codes")
struct ReturnCodeTests {
    @Test(
        "Codes have the names of the specification",
        arguments: [
            (0x0, "CKR_OK"), (0x5, "CKR_GENERAL_ERROR"), (0x6, "CKR_FUNCTION_FAILED"), (0x30, "CKR_DEVICE_ERROR"),
            (0x42, "CKR_AEAD_DECRYPT_FAILED"), (0xa0, "CKR_PIN_INCORRECT"), (0xa4, "CKR_PIN_LOCKED"),
            (0xb3, "CKR_SESSION_HANDLE_INVALID"), (0xf0, "CKR_UNWRAPPING_KEY_HANDLE_INVALID"),
            (0x101, "CKR_USER_NOT_LOGGED_IN"), (0x190, "CKR_CRYPTOKI_NOT_INITIALIZED"),
            (0x202, "CKR_OPERATION_CANCEL_FAILED"),
        ] as [(UInt, String)])
    func names(code: UInt, name: String) {
        #expect(ReturnCode(rawValue: code).name == name)
        #expect(ReturnCode(rawValue: code).isNamed)
    }

    @Test("Vendor codes and unknown ones are shown as numbers")
    func unknownCodes() {
        #expect(ReturnCode(rawValue: 0x8000_0054).name == "CKR_VENDOR_DEFINED|0x54")
        #expect(ReturnCode(rawValue: 0x999).name == "CKR 0x999")
        #expect(ReturnCode(rawValue: .max).name == "CKR 0xffffffffffffffff")
        #expect(!ReturnCode(rawValue: 0x8000_0054).isNamed)
    }

    @Test("A code can stand in a switch")
    func patterns() {
        let isBusy =
            switch ReturnCode(rawValue: 0xb1) {
            case .sessionCount: true
            default: false
            }
        #expect(isBusy)
    }

    @Test("An error names function and code, and no two functions share a name")
    func errors() {
        let error = PKCS11Error(function: .login, code: .pinIncorrect)
        #expect(error.description == "C_Login returned CKR_PIN_INCORRECT")
        #expect(Set(PKCS11Function.allCases.map(\.name)).count == PKCS11Function.allCases.count)
    }
}
