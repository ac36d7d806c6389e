// SPDX-License-Identifier: Apache-2.0
#include "call.h"
#include "clock.h"
#include "control.h"
#include "faults.h"
#include "operations.h"
#include "watch.h"

static _Atomic bool initialized;

bool call_is_initialized(void) { return atomic_load(&initialized); }

void call_set_initialized(bool is_initialized) { atomic_store(&initialized, is_initialized); }

bool call_token_is_lost(struct token *token) { return control_has(token_label(token), RULE_LOSE_TOKEN); }

/// `turns`: as faults_strike has it.
static CK_RV strike(struct call *call, struct token *turns) {
    const char *label = token_label(call->token);
    call->count = counts_add(call->function, label);
    struct strike strike = faults_strike(call->function, label, turns);
    call->flips = strike.flips;
    call->has_turn = strike.has_turn;
    call->began = strike.began;
    return strike.code;
}

CK_RV call_on_library(struct call *call, enum function function) {
    *call = (struct call){.function = function};
    watch_poll();
    return strike(call, NULL);
}

CK_RV call_on_slot(struct call *call, enum function function, CK_SLOT_ID slot) {
    *call = (struct call){.function = function};
    watch_poll();
    if (!call_is_initialized()) return CKR_CRYPTOKI_NOT_INITIALIZED;
    call->token = token_in(slot);
    return strike(call, NULL);
}

/// What calls on a session that is dead return.
static CK_RV condition(const struct session *session) {
    switch (atomic_load(&session->life)) {
    case SESSION_OPEN: return CKR_OK;
    case SESSION_REMOVED: return CKR_DEVICE_REMOVED;
    default: return CKR_SESSION_HANDLE_INVALID;
    }
}

CK_RV call_on_session(struct call *call, enum function function, CK_SESSION_HANDLE handle) {
    *call = (struct call){.function = function};
    watch_poll();
    if (!call_is_initialized()) return CKR_CRYPTOKI_NOT_INITIALIZED;
    call->session = session_acquire(handle);
    if (call->session == NULL) return CKR_SESSION_HANDLE_INVALID;
    call->token = call->session->token;
    CK_RV rv = condition(call->session);
    if (rv != CKR_OK) return rv;
    rv = strike(call, call->token);
    // It may have died while the call was delayed.
    CK_RV now = condition(call->session);
    if (now != CKR_OK) return now;
    if (rv != CKR_OK) operation_abandon(call->session, function);
    return rv;
}

CK_RV call_end(struct call *call, CK_RV rv, CK_BYTE *output, const CK_ULONG *length) {
    if (call->flips && rv == CKR_OK && length != NULL) faults_flip(output, *length);
    if (call->count != NULL) counts_add_time(call->count, now_nanoseconds() - call->began);
    if (call->has_turn) token_end_turn(call->token);
    if (call->session != NULL) session_release(call->session);
    return rv;
}

CK_RV call_resolve(const struct call *call, CK_OBJECT_HANDLE handle, CK_RV invalid, struct object_target *target) {
    return object_resolve(session_view(call->session), handle, target) ? CKR_OK : invalid;
}
