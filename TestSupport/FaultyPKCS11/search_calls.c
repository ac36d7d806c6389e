// SPDX-License-Identifier: Apache-2.0
// Searches. The wrapped library's search is carried out whole by C_FindObjectsInit, so that what it found can be
// looked at, and looked for, before it is handed out.
#include "call.h"

#include <stdlib.h>

static void forget_findings(struct session *session) {
    free(session->found);
    session->found = NULL;
    session->found_count = session->found_next = 0;
    session->searching = false;
}

/// All objects of the wrapped library that fit, in `*list`, to be freed.
static CK_RV find_all(CK_SESSION_HANDLE session, CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE **list,
                      CK_ULONG *found) {
    CK_RV rv = REAL(C_FindObjectsInit, session, attributes, count);
    if (rv != CKR_OK) return rv;
    CK_ULONG room = 0, more = 1;
    while (rv == CKR_OK && more > 0) {
        if (room - *found < 64) {
            CK_OBJECT_HANDLE *grown = realloc(*list, (room * 2 + 256) * sizeof **list);
            if (grown == NULL) {
                rv = CKR_HOST_MEMORY;
                break;
            }
            *list = grown;
            room = room * 2 + 256;
        }
        more = 0;
        rv = REAL(C_FindObjects, session, *list + *found, room - *found, &more);
        if (rv == CKR_OK) *found += more;
    }
    (void)REAL(C_FindObjectsFinal, session);
    return rv;
}

static CK_RV search(struct session *session, CK_ATTRIBUTE *attributes, CK_ULONG count) {
    if (session->searching) return CKR_OPERATION_ACTIVE;
    CK_OBJECT_HANDLE *list = NULL;
    CK_ULONG found = 0, shown = 0;
    CK_RV rv = find_all(session->real, attributes, count, &list, &found);
    if (rv != CKR_OK) {
        free(list);
        return rv;
    }
    for (CK_ULONG index = 0; index < found; index++) {
        CK_OBJECT_HANDLE handle = object_shown(session_view(session), list[index]);
        if (handle != 0) list[shown++] = handle;
    }
    session->found = list;
    session->found_count = shown;
    session->found_next = 0;
    session->searching = true;
    return CKR_OK;
}

CK_RV faulty_C_FindObjectsInit(CK_SESSION_HANDLE session, CK_ATTRIBUTE *attributes, CK_ULONG count) {
    struct call call;
    CK_RV rv = call_on_session(&call, FN_C_FindObjectsInit, session);
    if (rv == CKR_OK) rv = search(call.session, attributes, count);
    return call_end(&call, rv, NULL, NULL);
}

static CK_RV hand_out(struct session *session, CK_OBJECT_HANDLE *objects, CK_ULONG most, CK_ULONG *count) {
    if (!session->searching) return CKR_OPERATION_NOT_INITIALIZED;
    if (objects == NULL || count == NULL) return CKR_ARGUMENTS_BAD;
    CK_ULONG given = 0;
    while (given < most && session->found_next < session->found_count) {
        objects[given++] = session->found[session->found_next++];
    }
    *count = given;
    return CKR_OK;
}

CK_RV faulty_C_FindObjects(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *objects, CK_ULONG most, CK_ULONG *count) {
    struct call call;
    CK_RV rv = call_on_session(&call, FN_C_FindObjects, session);
    if (rv == CKR_OK) rv = hand_out(call.session, objects, most, count);
    return call_end(&call, rv, NULL, NULL);
}

CK_RV faulty_C_FindObjectsFinal(CK_SESSION_HANDLE session) {
    struct call call;
    CK_RV rv = call_on_session(&call, FN_C_FindObjectsFinal, session);
    if (rv == CKR_OK && !call.session->searching) rv = CKR_OPERATION_NOT_INITIALIZED;
    if (rv == CKR_OK) forget_findings(call.session);
    return call_end(&call, rv, NULL, NULL);
}

CK_RV faulty_C_SessionCancel(CK_SESSION_HANDLE session, CK_FLAGS flags) {
    struct call call;
    CK_RV rv = call_on_session(&call, FN_C_SessionCancel, session);
    if (rv == CKR_OK) {
        // What the wrapped library has under way, 2.40 has no way to cancel.
        const CK_FLAGS known = CKF_FIND_OBJECTS | CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT;
        if ((flags & CKF_FIND_OBJECTS) != 0) forget_findings(call.session);
        if ((flags & CKF_MESSAGE_ENCRYPT) != 0) call.session->message_encryption.active = false;
        if ((flags & CKF_MESSAGE_DECRYPT) != 0) call.session->message_decryption.active = false;
        if ((flags & ~known) != 0) rv = CKR_OPERATION_CANCEL_FAILED;
    }
    return call_end(&call, rv, NULL, NULL);
}
