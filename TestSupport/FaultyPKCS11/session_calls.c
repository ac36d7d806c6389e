// SPDX-License-Identifier: Apache-2.0
// Calls on sessions: their state, logins, PINs, random numbers.
#include "chance.h"
#include "pass.h"
#include "vendor.h"
#include "watch.h"

CK_RV faulty_C_CloseSession(CK_SESSION_HANDLE session) {
    struct call call;
    CK_RV rv = call_on_session(&call, FN_C_CloseSession, session);
    if (rv == CKR_OK) rv = session_close(call.session);
    return call_end(&call, rv, NULL, NULL);
}

/// Like PASS, while no session of the token can be lost.
static CK_RV log_in(struct call *call, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG pin_len) {
    watch_freeze();
    // The sessions may have been lost since the call began, and the login with them.
    CK_RV rv = atomic_load(&call->session->life) == SESSION_OPEN
                   ? REAL(C_Login, call->session->real, user, pin, pin_len)
                   : CKR_SESSION_HANDLE_INVALID;
    watch_thaw();
    return rv;
}

CK_RV faulty_C_Login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG pin_len) {
    struct call call;
    CK_RV rv = call_on_session(&call, FN_C_Login, session);
    if (rv == CKR_OK) rv = log_in(&call, user, pin, pin_len);
    return call_end(&call, rv, NULL, NULL);
}

CK_RV faulty_C_LoginUser(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG pin_len,
                         CK_UTF8CHAR *name, CK_ULONG name_len) {
    (void)name;
    struct call call;
    CK_RV rv = call_on_session(&call, FN_C_LoginUser, session);
    if (rv == CKR_OK) rv = name_len > 0 ? CKR_ARGUMENTS_BAD : log_in(&call, user, pin, pin_len);
    return call_end(&call, rv, NULL, NULL);
}

CK_RV faulty_C_Logout(CK_SESSION_HANDLE session) {
    struct call call;
    CK_RV rv = call_on_session(&call, FN_C_Logout, session);
    if (rv == CKR_OK) {
        watch_freeze();
        rv = REAL(C_Logout, call.session->real);
        if (rv == CKR_OK) objects_logged_out(call.token->slot);
        watch_thaw();
    }
    return call_end(&call, rv, NULL, NULL);
}

PASS(C_InitPIN, (CK_SESSION_HANDLE session, CK_UTF8CHAR *pin, CK_ULONG pin_len), NULL, NULL, pin, pin_len)

PASS(C_SetPIN,
     (CK_SESSION_HANDLE session, CK_UTF8CHAR *old_pin, CK_ULONG old_len, CK_UTF8CHAR *new_pin, CK_ULONG new_len), NULL,
     NULL, old_pin, old_len, new_pin, new_len)

PASS(C_GetSessionInfo, (CK_SESSION_HANDLE session, CK_SESSION_INFO *info), NULL, NULL, info)

PASS(C_GetOperationState, (CK_SESSION_HANDLE session, CK_BYTE *state, CK_ULONG *state_len), state, state_len, state,
     state_len)

CK_RV faulty_C_SetOperationState(CK_SESSION_HANDLE session, CK_BYTE *state, CK_ULONG state_len,
                                 CK_OBJECT_HANDLE encryption_key, CK_OBJECT_HANDLE authentication_key) {
    struct call call;
    struct object_target encryption = {0, 0}, authentication = {0, 0};
    CK_RV rv = call_on_session(&call, FN_C_SetOperationState, session);
    // 0 stands for no key.
    if (rv == CKR_OK && encryption_key != 0) {
        rv = call_resolve(&call, encryption_key, CKR_KEY_HANDLE_INVALID, &encryption);
    }
    if (rv == CKR_OK && authentication_key != 0) {
        rv = call_resolve(&call, authentication_key, CKR_KEY_HANDLE_INVALID, &authentication);
    }
    if (rv == CKR_OK) {
        rv = REAL(C_SetOperationState, call.session->real, state, state_len, encryption.value, authentication.value);
    }
    return call_end(&call, rv, NULL, NULL);
}

PASS(C_SeedRandom, (CK_SESSION_HANDLE session, CK_BYTE *seed, CK_ULONG seed_len), NULL, NULL, seed, seed_len)

CK_RV faulty_C_GenerateRandom(CK_SESSION_HANDLE session, CK_BYTE *bytes, CK_ULONG length) {
    struct call call;
    CK_RV rv = call_on_session(&call, FN_C_GenerateRandom, session);
    if (rv == CKR_OK && (bytes == NULL || !vendor_broken_random(call.token, bytes, length))) {
        rv = REAL(C_GenerateRandom, call.session->real, bytes, length);
    }
    return call_end(&call, rv, bytes, &length);
}

PASS(C_GetFunctionStatus, (CK_SESSION_HANDLE session), NULL, NULL)
PASS(C_CancelFunction, (CK_SESSION_HANDLE session), NULL, NULL)
