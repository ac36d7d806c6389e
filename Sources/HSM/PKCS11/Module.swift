// SPDX-License-Identifier: Apache-2.0
import CPKCS11
import CPlatform
import Glibc
import LaneProtocol

/// The functions of a library. Handed out by `Module.exclusively` alone.
struct FunctionTable {
    let base: UnsafeMutablePointer<CK_FUNCTION_LIST>
    /// The same list, where the library has it in the layout of PKCS#11 3.0.
    let newer: UnsafeMutablePointer<claviger_function_list_3_0>?
}

/// A loaded and initialised PKCS#11 library. It stays loaded for the life of the process: a library's threads may
/// outlive C_Finalize.
///
/// `@unchecked Sendable`: the function list is written by the library before `load` returns and only read afterwards;
/// CKF_OS_LOCKING_OK makes the library itself safe to call from several threads (PKCS#11 2.40, section 5.4), and one
/// that refuses it is called under a lock.
package struct Module: @unchecked Sendable {
    package let path: String
    private let functions: FunctionTable
    private let lock: CallLock?

    init(path: String, functions: FunctionTable, lock: CallLock?) {
        self.path = path
        self.functions = functions
        self.lock = lock
    }

    /// False when the library refused CKF_OS_LOCKING_OK. Then all calls of the process into it stand in one line, and
    /// more than one lane gains nothing.
    package var allowsThreads: Bool { lock == nil }

    /// True when the library has the function list of PKCS#11 3.0, so that message-based encryption may be tried.
    package var hasMessageFunctions: Bool { functions.newer != nil }

    /// Lends the library's functions. This is the only way to them, so that no call can forget the lock of a library
    /// that cannot lock by itself. Calls within `body` must not come back here: the lock is not recursive.
    @inline(__always)
    func exclusively<Result, Failure: Error>(
        _ body: (FunctionTable) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        lock?.lock()
        defer {
            note(.none)
            lock?.unlock()
        }
        return try body(functions)
    }

    /// As `exclusively`, for a call that changes what the token keeps: the process does not end within it (`awaitLastChange`).
    func changing<Result, Failure: Error>(
        _ body: (FunctionTable) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        claviger_begin_change()
        defer { claviger_end_change() }
        return try exclusively(body)
    }

    /// Waits until no thread is in a call that changes what a token keeps, and lets none begin one any more. To be called
    /// before the process ends by itself: SoftHSM empties and rewrites a file of the token in every C_Login (it keeps the
    /// flags of PIN tries there), and a token whose file was cut short is lost.
    ///
    /// - Parameter milliseconds: the most that is waited for. A call that hangs does not keep the process.
    package static func awaitLastChange(atMost milliseconds: Int32) {
        _ = claviger_await_last_change(milliseconds)
    }

    /// C_Finalize. All sessions of the process end. The library stays loaded; `load` initialises it again.
    package func finalize() throws(PKCS11Error) {
        try exclusively { functions throws(PKCS11Error) in
            try check(try present(functions.base.pointee.C_Finalize, .finalize)(nil), .finalize)
        }
    }

    /// Who made the library: C_GetInfo.
    package func information() throws(PKCS11Error) -> ModuleInformation {
        var info = CK_INFO()
        try exclusively { functions throws(PKCS11Error) in
            try check(try present(functions.base.pointee.C_GetInfo, .getInfo)(&info), .getInfo)
        }
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

/// Lets one thread at a time into a library that cannot be called by several. Not recursive.
///
/// `@unchecked Sendable`: the mutex is the system's, at an address that never moves, and is used by any thread.
final class CallLock: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>

    init() {
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    func lock() { pthread_mutex_lock(mutex) }
    func unlock() { pthread_mutex_unlock(mutex) }
}
