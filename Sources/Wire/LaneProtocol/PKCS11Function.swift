// SPDX-License-Identifier: Apache-2.0

/// The PKCS#11 functions that a worker calls, by the number they have in lane and control frames.
/// A return code says nothing without the function that returned it.
package enum PKCS11Function: UInt8, Sendable, CaseIterable {
    case none = 0
    case initialize = 1
    case getInfo = 2
    case getSlotList = 3
    case getSlotInfo = 4
    case getTokenInfo = 5
    case getMechanismList = 6
    case getMechanismInfo = 7
    case openSession = 8
    case closeSession = 9
    case login = 10
    case logout = 11
    case findObjects = 12
    case getAttributeValue = 13
    case generateRandom = 14
    case generateKey = 15
    case encryptInit = 16
    case encrypt = 17
    case decryptInit = 18
    case decrypt = 19
    case createObject = 20
    case destroyObject = 21
    case initToken = 22
    case initPIN = 23
    case finalize = 24
    case getFunctionList = 25
    case getSessionInfo = 26
    case getInterface = 27
    case messageEncryptInit = 28
    case encryptMessage = 29
    case messageDecryptInit = 30
    case decryptMessage = 31

    /// The name in the PKCS#11 specification, for logs and messages.
    package var name: String {
        switch self {
        case .none: "none"
        case .initialize: "C_Initialize"
        case .getInfo: "C_GetInfo"
        case .getSlotList: "C_GetSlotList"
        case .getSlotInfo: "C_GetSlotInfo"
        case .getTokenInfo: "C_GetTokenInfo"
        case .getMechanismList: "C_GetMechanismList"
        case .getMechanismInfo: "C_GetMechanismInfo"
        case .openSession: "C_OpenSession"
        case .closeSession: "C_CloseSession"
        case .login: "C_Login"
        case .logout: "C_Logout"
        case .findObjects: "C_FindObjects"
        case .getAttributeValue: "C_GetAttributeValue"
        case .generateRandom: "C_GenerateRandom"
        case .generateKey: "C_GenerateKey"
        case .encryptInit: "C_EncryptInit"
        case .encrypt: "C_Encrypt"
        case .decryptInit: "C_DecryptInit"
        case .decrypt: "C_Decrypt"
        case .createObject: "C_CreateObject"
        case .destroyObject: "C_DestroyObject"
        case .initToken: "C_InitToken"
        case .initPIN: "C_InitPIN"
        case .finalize: "C_Finalize"
        case .getFunctionList: "C_GetFunctionList"
        case .getSessionInfo: "C_GetSessionInfo"
        case .getInterface: "C_GetInterface"
        case .messageEncryptInit: "C_MessageEncryptInit"
        case .encryptMessage: "C_EncryptMessage"
        case .messageDecryptInit: "C_MessageDecryptInit"
        case .decryptMessage: "C_DecryptMessage"
        }
    }
}
