// SPDX-License-Identifier: Apache-2.0
// Calls on the library itself.
#include "call.h"
#include "control.h"
#include "watch.h"

/// NSS reads a longer structure: what others call pReserved it calls LibraryParameters, and its own pReserved, which
/// must be NULL, stands behind.
struct initialize_arguments {
    CK_C_INITIALIZE_ARGS standard;
    void *behind;
};

CK_RV faulty_C_Initialize(CK_VOID_PTR arguments) {
    struct call call;
    CK_RV rv = call_on_library(&call, FN_C_Initialize);
    if (rv != CKR_OK) return rv;
    struct initialize_arguments given = {0};
    CK_C_INITIALIZE_ARGS *standard = &given.standard;
    if (arguments != NULL) *standard = *(CK_C_INITIALIZE_ARGS *)arguments;
    bool wants_locks = (standard->flags & CKF_OS_LOCKING_OK) != 0 || standard->CreateMutex != NULL;
    if (wants_locks && control_has_anywhere(RULE_CANT_LOCK)) return CKR_CANT_LOCK;
    // Sessions are closed by whichever thread finds them dead, so the wrapped library must always lock.
    standard->flags |= CKF_OS_LOCKING_OK;
    tokens_forget();
    rv = REAL(C_Initialize, &given);
    if (rv == CKR_OK) call_set_initialized(true);
    return rv;
}

CK_RV faulty_C_Finalize(CK_VOID_PTR reserved) {
    struct call call;
    CK_RV rv = call_on_library(&call, FN_C_Finalize);
    if (rv != CKR_OK) return rv;
    watch_freeze();
    rv = REAL(C_Finalize, reserved);
    if (rv == CKR_OK) {
        call_set_initialized(false);
        sessions_finalized();
        objects_finalized();
    }
    watch_thaw();
    return rv;
}

CK_RV faulty_C_GetInfo(CK_INFO *info) {
    struct call call;
    CK_RV rv = call_on_library(&call, FN_C_GetInfo);
    if (rv == CKR_OK) rv = REAL(C_GetInfo, info);
    if (rv == CKR_OK && control_has_anywhere(RULE_MESSAGE_API)) info->cryptokiVersion = (CK_VERSION){3, 0};
    return rv;
}

CK_RV faulty_C_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID *slot, CK_VOID_PTR reserved) {
    struct call call;
    CK_RV rv = call_on_library(&call, FN_C_WaitForSlotEvent);
    return rv == CKR_OK ? REAL(C_WaitForSlotEvent, flags, slot, reserved) : rv;
}
