// SPDX-License-Identifier: Apache-2.0
import CPKCS11
import Glibc
import LaneProtocol
import Synchronization

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

/// The locks of the libraries that cannot lock by themselves, by the loader's handle: a library loaded twice is one
/// library, and has one lock.
private let locks = Mutex<[UInt: CallLock]>([:])

extension Module {
    /// Loads the library and calls C_Initialize. A library that is initialised already (by an earlier `load`) is fine.
    ///
    /// A library that refuses CKF_OS_LOCKING_OK is initialised without it; then `allowsThreads` is false.
    ///
    /// - Parameter initializeArguments: passed to C_Initialize as `pReserved`, a C string, as NSS softoken wants it.
    package static func load(path: String, initializeArguments: String? = nil) throws(ModuleError) -> Module {
        guard let library = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            throw .notLoaded(dlerror().map { String(cString: $0) } ?? "no reason given")
        }
        let functions = try functionTable(of: library)
        do {
            let lock = try initialize(
                functions, library: UInt(bitPattern: library), initializeArguments: initializeArguments)
            return Module(path: path, functions: functions, lock: lock)
        } catch {
            throw .call(error)
        }
    }

    private typealias GetFunctionList =
        @convention(c) (UnsafeMutablePointer<UnsafeMutablePointer<CK_FUNCTION_LIST>?>?) -> UInt

    private typealias GetInterface =
        @convention(c) (
            UnsafePointer<CChar>?, UnsafeMutablePointer<CK_VERSION>?,
            UnsafeMutablePointer<UnsafeMutablePointer<claviger_interface>?>?, UInt
        ) -> UInt

    /// The list of PKCS#11 3.0 where the library offers it: it begins as the older one does (PKCS#11 3.0, section 5.4).
    private static func functionTable(of library: UnsafeMutableRawPointer) throws(ModuleError) -> FunctionTable {
        if let symbol = dlsym(library, "C_GetInterface") {
            let getInterface = unsafeBitCast(symbol, to: GetInterface.self)
            var version = CK_VERSION(major: 3, minor: 0)
            var interface: UnsafeMutablePointer<claviger_interface>?
            if getInterface("PKCS 11", &version, &interface, 0) == 0, let list = interface?.pointee.pFunctionList {
                let base = list.assumingMemoryBound(to: CK_FUNCTION_LIST.self)
                if base.pointee.version.major >= 3 {
                    return FunctionTable(
                        base: base, newer: list.assumingMemoryBound(to: claviger_function_list_3_0.self))
                }
            }
        }
        guard let symbol = dlsym(library, "C_GetFunctionList") else { throw .noFunctionList }
        let getFunctionList = unsafeBitCast(symbol, to: GetFunctionList.self)
        var list: UnsafeMutablePointer<CK_FUNCTION_LIST>?
        let code = getFunctionList(&list)
        guard code == 0 else {
            throw .call(PKCS11Error(function: .getFunctionList, code: ReturnCode(rawValue: code)))
        }
        guard let list else { throw .noFunctionList }
        return FunctionTable(base: list, newer: nil)
    }

    /// Returns the lock under which the library must be called, or `nil` when it locks by itself.
    private static func initialize(
        _ functions: FunctionTable, library: UInt, initializeArguments: String?
    ) throws(PKCS11Error) -> CallLock? {
        let call = try present(functions.base.pointee.C_Initialize, .initialize)
        let parameters = initializeArguments.flatMap { strdup($0) }
        func initialize(flags: UInt) -> ReturnCode {
            var structure = claviger_initialize_arguments()
            structure.arguments.flags = flags
            structure.arguments.pReserved = parameters.map { UnsafeMutableRawPointer($0) }
            return withUnsafeMutablePointer(to: &structure) { ReturnCode(rawValue: call($0)) }
        }
        let (code, lock): (ReturnCode, CallLock?) = locks.withLock { locks in
            var code = initialize(flags: UInt(CKF_OS_LOCKING_OK))
            if code == .cantLock || code == .needToCreateThreads {
                // "The application will not call from several threads": PKCS#11 2.40, section 5.4, first case.
                code = initialize(flags: 0)
                if code.isOK, locks[library] == nil { locks[library] = CallLock() }
            } else if code.isOK {
                locks[library] = nil
            }
            return (code, locks[library])
        }
        note(.none)
        // A library may keep the pointer, so the text lives as long as the process once it was taken.
        if !code.isOK { free(parameters) }
        guard code.isOK || code == .cryptokiAlreadyInitialized else {
            throw PKCS11Error(function: .initialize, code: code)
        }
        return lock
    }
}
