// SPDX-License-Identifier: Apache-2.0
// A call on a session that is passed on as it is.
#ifndef FAULTY_PASS_H
#define FAULTY_PASS_H

#include "call.h"

/// Defines faulty_NAME with these parameters, the first of them `session`; ARGUMENTS are those behind the session.
/// OUTPUT and LENGTH are what it gives, or NULL.
#define PASS(NAME, PARAMETERS, OUTPUT, LENGTH, ...)                                          \
    CK_RV faulty_##NAME PARAMETERS {                                                         \
        struct call call;                                                                    \
        CK_RV rv = call_on_session(&call, FN_##NAME, session);                               \
        if (rv == CKR_OK) rv = REAL(NAME, call.session->real __VA_OPT__(, ) __VA_ARGS__);    \
        return call_end(&call, rv, OUTPUT, LENGTH);                                          \
    }

/// The same with an object handle `key` behind the session and the mechanism.
#define PASS_INIT(NAME)                                                                                 \
    CK_RV faulty_##NAME(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key) {     \
        struct call call;                                                                               \
        struct object_target target;                                                                    \
        CK_RV rv = call_on_session(&call, FN_##NAME, session);                                          \
        if (rv == CKR_OK) rv = call_resolve(&call, key, CKR_KEY_HANDLE_INVALID, &target);               \
        if (rv == CKR_OK) rv = REAL(NAME, call.session->real, mechanism, target.value);                 \
        return call_end(&call, rv, NULL, NULL);                                                         \
    }

#endif
