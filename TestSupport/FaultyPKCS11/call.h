// SPDX-License-Identifier: Apache-2.0
// The frame around every wrapped call: who is called for whom, and what befalls the call.
#ifndef FAULTY_CALL_H
#define FAULTY_CALL_H

#include "calls.h"
#include "counts.h"
#include "functions.h"
#include "objects.h"
#include "real.h"
#include "sessions.h"

struct call {
    enum function function;
    /// NULL for a call that concerns no token.
    struct token *token;
    /// NULL for a call without a session, and after a refusal.
    struct session *session;
    bool flips;
    /// Other calls on the token wait until it ends.
    bool has_turn;
    /// Where it is counted, or NULL; when it began, nanoseconds of CLOCK_MONOTONIC.
    struct count *count;
    uint64_t began;
};

/// Begins a call that concerns the whole library. What is not CKR_OK is to be returned, through call_end.
LOCAL CK_RV call_on_library(struct call *call, enum function function);

/// Begins a call on a slot.
LOCAL CK_RV call_on_slot(struct call *call, enum function function, CK_SLOT_ID slot);

/// Begins a call on a session. A call that is refused by a fault ends the operation that it belongs to.
LOCAL CK_RV call_on_session(struct call *call, enum function function, CK_SESSION_HANDLE session);

/// Ends a call; `output` and `length` are what it gave, or NULL. Returns `rv`.
LOCAL CK_RV call_end(struct call *call, CK_RV rv, CK_BYTE *output, const CK_ULONG *length);

/// Whether C_Initialize was called, and C_Finalize was not since.
LOCAL bool call_is_initialized(void);
LOCAL void call_set_initialized(bool initialized);

/// The token of a slot is taken away.
LOCAL bool call_token_is_lost(struct token *token);

/// What a handle of the caller's stands for in the wrapped library. CKR_OK, or `invalid` for a dead handle.
LOCAL CK_RV call_resolve(const struct call *call, CK_OBJECT_HANDLE handle, CK_RV invalid,
                         struct object_target *target);

#endif
