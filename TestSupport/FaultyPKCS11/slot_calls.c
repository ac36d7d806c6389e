// SPDX-License-Identifier: Apache-2.0
// Calls on slots and tokens.
#include "call.h"
#include "control.h"
#include "watch.h"

#include <stdlib.h>
#include <string.h>

/// Hands out a list as PKCS#11 does (2.40, section 5.2): the count alone, or the list if there is room.
static CK_RV give_list(const CK_ULONG *list, CK_ULONG count, CK_ULONG *target, CK_ULONG *room) {
    CK_ULONG available = *room;
    *room = count;
    if (target == NULL) return CKR_OK;
    if (available < count) return CKR_BUFFER_TOO_SMALL;
    if (count > 0) memcpy(target, list, count * sizeof *list);
    return CKR_OK;
}

static bool any_token_is_lost(void) { return control_has_anywhere(RULE_LOSE_TOKEN); }

/// The slots with a token, less those whose token a rule takes away.
static CK_RV list_present(CK_SLOT_ID *list, CK_ULONG *count) {
    if (count == NULL) return CKR_ARGUMENTS_BAD;
    CK_ULONG total = 0, kept = 0;
    CK_RV rv = REAL(C_GetSlotList, CK_TRUE, NULL, &total);
    if (rv != CKR_OK) return rv;
    CK_SLOT_ID *slots = calloc(total + 1, sizeof *slots);
    if (slots == NULL) return CKR_HOST_MEMORY;
    rv = REAL(C_GetSlotList, CK_TRUE, slots, &total);
    for (CK_ULONG index = 0; rv == CKR_OK && index < total; index++) {
        if (!call_token_is_lost(token_in(slots[index]))) slots[kept++] = slots[index];
    }
    if (rv == CKR_OK) rv = give_list(slots, kept, list, count);
    free(slots);
    return rv;
}

CK_RV faulty_C_GetSlotList(CK_BBOOL token_present, CK_SLOT_ID *list, CK_ULONG *count) {
    struct call call;
    CK_RV rv = call_on_library(&call, FN_C_GetSlotList);
    if (rv != CKR_OK) return rv;
    if (token_present && any_token_is_lost()) return list_present(list, count);
    return REAL(C_GetSlotList, token_present, list, count);
}

CK_RV faulty_C_GetSlotInfo(CK_SLOT_ID slot, CK_SLOT_INFO *info) {
    struct call call;
    CK_RV rv = call_on_slot(&call, FN_C_GetSlotInfo, slot);
    if (rv == CKR_OK) rv = REAL(C_GetSlotInfo, slot, info);
    if (rv == CKR_OK && call_token_is_lost(call.token)) info->flags &= ~(CK_FLAGS)CKF_TOKEN_PRESENT;
    return rv;
}

/// A call that needs the token to be there.
static CK_RV call_on_token(struct call *call, enum function function, CK_SLOT_ID slot) {
    CK_RV rv = call_on_slot(call, function, slot);
    return rv == CKR_OK && call_token_is_lost(call->token) ? CKR_TOKEN_NOT_PRESENT : rv;
}

CK_RV faulty_C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info) {
    struct call call;
    CK_RV rv = call_on_token(&call, FN_C_GetTokenInfo, slot);
    if (rv == CKR_OK) rv = REAL(C_GetTokenInfo, slot, info);
    struct rule_facts limit;
    if (rv == CKR_OK && control_find(token_label(call.token), RULE_SESSION_LIMIT, &limit)) {
        info->ulMaxSessionCount = limit.low;
        info->ulMaxRwSessionCount = limit.low;
        info->ulSessionCount = sessions_open(slot);
    }
    return rv;
}

CK_RV faulty_C_GetMechanismList(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count) {
    struct call call;
    CK_RV rv = call_on_token(&call, FN_C_GetMechanismList, slot);
    if (rv != CKR_OK) return rv;
    if (!control_has(token_label(call.token), RULE_NO_GCM)) return REAL(C_GetMechanismList, slot, list, count);
    if (count == NULL) return CKR_ARGUMENTS_BAD;
    CK_ULONG total = 0, kept = 0;
    rv = REAL(C_GetMechanismList, slot, NULL, &total);
    CK_MECHANISM_TYPE *types = calloc(total + 1, sizeof *types);
    if (types == NULL) return CKR_HOST_MEMORY;
    if (rv == CKR_OK) rv = REAL(C_GetMechanismList, slot, types, &total);
    for (CK_ULONG index = 0; rv == CKR_OK && index < total; index++) {
        if (types[index] != CKM_AES_GCM) types[kept++] = types[index];
    }
    if (rv == CKR_OK) rv = give_list(types, kept, list, count);
    free(types);
    return rv;
}

CK_RV faulty_C_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info) {
    struct call call;
    CK_RV rv = call_on_token(&call, FN_C_GetMechanismInfo, slot);
    if (rv != CKR_OK) return rv;
    if (type == CKM_AES_GCM && control_has(token_label(call.token), RULE_NO_GCM)) return CKR_MECHANISM_INVALID;
    rv = REAL(C_GetMechanismInfo, slot, type, info);
    if (rv == CKR_OK && type == CKM_AES_GCM && control_has(token_label(call.token), RULE_MESSAGE_API)) {
        info->flags &= ~(CK_FLAGS)(CKF_ENCRYPT | CKF_DECRYPT);
        info->flags |= CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT;
    }
    return rv;
}

CK_RV faulty_C_InitToken(CK_SLOT_ID slot, CK_UTF8CHAR *pin, CK_ULONG pin_len, CK_UTF8CHAR *label) {
    struct call call;
    CK_RV rv = call_on_token(&call, FN_C_InitToken, slot);
    if (rv != CKR_OK) return rv;
    rv = REAL(C_InitToken, slot, pin, pin_len, label);
    if (rv == CKR_OK && call.token != NULL) token_read(call.token);
    return rv;
}

static CK_RV open_session(struct token *token, CK_FLAGS flags, CK_VOID_PTR application, CK_NOTIFY notify,
                          CK_SESSION_HANDLE *handle) {
    struct rule_facts limit;
    if (call_token_is_lost(token)) return CKR_TOKEN_NOT_PRESENT;
    if (handle == NULL) return CKR_ARGUMENTS_BAD;
    if (control_find(token_label(token), RULE_SESSION_LIMIT, &limit) && sessions_open(token->slot) >= limit.low) {
        return CKR_SESSION_COUNT;
    }
    CK_SESSION_HANDLE real_handle = 0;
    CK_RV rv = REAL(C_OpenSession, token->slot, flags, application, notify, &real_handle);
    if (rv != CKR_OK) return rv;
    const struct session *session = session_add(token, real_handle);
    if (session == NULL) {
        (void)REAL(C_CloseSession, real_handle);
        return CKR_HOST_MEMORY;
    }
    *handle = session->handle;
    return CKR_OK;
}

CK_RV faulty_C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR application, CK_NOTIFY notify,
                           CK_SESSION_HANDLE *session) {
    struct call call;
    CK_RV rv = call_on_slot(&call, FN_C_OpenSession, slot);
    if (rv != CKR_OK) return rv;
    if (call.token == NULL) return CKR_HOST_MEMORY;
    token_read(call.token);
    watch_freeze();
    rv = open_session(call.token, flags, application, notify, session);
    watch_thaw();
    return rv;
}

CK_RV faulty_C_CloseAllSessions(CK_SLOT_ID slot) {
    struct call call;
    CK_RV rv = call_on_slot(&call, FN_C_CloseAllSessions, slot);
    if (rv != CKR_OK) return rv;
    watch_freeze();
    rv = sessions_close_all(slot);
    watch_thaw();
    return rv;
}
