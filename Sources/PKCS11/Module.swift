// SPDX-License-Identifier: Apache-2.0
import CPKCS11
import Glibc
import LaneProtocol

/// Why a library cannot be used.
package enum ModuleError: Error, Sendable, Equatable, CustomStringConvertible {
    /// dlopen failed; the text is the loader's.
    case notLoaded(String)
    /// It has no C_GetFunctionList, or one that gives nothing.
    case noFunctionList
    case call(PKCS11Error)

    package var description: String {
        switch self {
        case .notLoaded(let reason): "the library cannot be loaded: \(reason)"
        case .noFunctionList: "it is no PKCS#11 library: it has no usable C_GetFunctionList"
        case .call(let error): error.description
        }
    }
}

/// A loaded and initialised PKCS#11 library. It stays loaded for the life of the process: a library's threads may
/// outlive C_Finalize.
///
/// `@unchecked Sendable`: the function list is written by the library before `load` returns and only read afterwards;
/// CKF_OS_LOCKING_OK makes the library itself safe to call from several threads (PKCS#11 2.40, section 5.4).
package struct Module: @unchecked Sendable {
    package let path: String
    let functions: UnsafeMutablePointer<CK_FUNCTION_LIST>

    /// Loads the library and calls C_Initialize. A library that is initialised already (by an earlier `load`) is fine.
    package static func load(path: String) throws(ModuleError) -> Module {
        guard let library = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            throw .notLoaded(dlerror().map { String(cString: $0) } ?? "no reason given")
        }
        guard let symbol = dlsym(library, "C_GetFunctionList") else { throw .noFunctionList }
        let getFunctionList = unsafeBitCast(symbol, to: GetFunctionList.self)
        var list: UnsafeMutablePointer<CK_FUNCTION_LIST>?
        let code = getFunctionList(&list)
        guard code == 0 else {
            throw .call(PKCS11Error(function: .getFunctionList, code: ReturnCode(rawValue: code)))
        }
        guard let list else { throw .noFunctionList }
        let module = Module(path: path, functions: list)
        do {
            try module.initialize()
        } catch {
            throw .call(error)
        }
        return module
    }

    private typealias GetFunctionList =
        @convention(c) (UnsafeMutablePointer<UnsafeMutablePointer<CK_FUNCTION_LIST>?>?) -> UInt

    private func initialize() throws(PKCS11Error) {
        let call = try present(functions.pointee.C_Initialize, .initialize)
        var arguments = CK_C_INITIALIZE_ARGS()
        arguments.flags = UInt(CKF_OS_LOCKING_OK)
        let code = ReturnCode(rawValue: call(&arguments))
        guard code.isOK || code == .cryptokiAlreadyInitialized else {
            throw PKCS11Error(function: .initialize, code: code)
        }
    }

    /// C_Finalize. All sessions of the process end. The library stays loaded; `load` initialises it again.
    package func finalize() throws(PKCS11Error) {
        try check(try present(functions.pointee.C_Finalize, .finalize)(nil), .finalize)
    }

    /// Who made the library: C_GetInfo.
    package func information() throws(PKCS11Error) -> ModuleInformation {
        let call = try present(functions.pointee.C_GetInfo, .getInfo)
        var info = CK_INFO()
        try check(call(&info), .getInfo)
        return ModuleInformation(
            manufacturer: fixedWidthText(of: info.manufacturerID),
            description: fixedWidthText(of: info.libraryDescription),
            version: "\(info.libraryVersion.major).\(info.libraryVersion.minor)",
            cryptokiVersion: "\(info.cryptokiVersion.major).\(info.cryptokiVersion.minor)")
    }
}

/// What a library says about itself (CK_INFO).
package struct ModuleInformation: Sendable, Equatable {
    package var manufacturer: String
    package var description: String
    /// Of the library, `major.minor`.
    package var version: String
    /// Of the interface, `major.minor`.
    package var cryptokiVersion: String
}
