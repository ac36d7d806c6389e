// SPDX-License-Identifier: Apache-2.0
// Sessions with handles of this library's own, so that a lost one is dead although the wrapped library still has it.
#ifndef FAULTY_SESSIONS_H
#define FAULTY_SESSIONS_H

#include "objects.h"
#include "tokens.h"

#include <stdatomic.h>

enum session_life {
    SESSION_OPEN,
    /// Closed, or lost: its handle means nothing.
    SESSION_GONE,
    /// Its token was taken away and is away still: CKR_DEVICE_REMOVED.
    SESSION_REMOVED,
};

/// An AES-GCM operation between its Init and its end.
struct gcm_operation {
    bool active;
    /// The IV stands behind the tag in the output.
    bool appends_iv;
    CK_BYTE iv[16];
    /// What the wrapped library was given; a library may read it until the operation ends.
    CK_GCM_PARAMS parameters;
};

/// Message encryption or decryption of PKCS#11 3.0 between Init and Final.
struct message_operation {
    bool active;
    CK_OBJECT_HANDLE key;
    /// For the generators that count.
    uint64_t counter;
};

/// One thread at a time uses a session, as PKCS#11 wants; `life`, `users` and `is_open` belong to all.
struct session {
    CK_SESSION_HANDLE handle;
    /// Its handle in the wrapped library.
    CK_SESSION_HANDLE real;
    struct token *token;
    _Atomic int life;
    /// Calls that are at work with it.
    _Atomic int users;
    /// The wrapped library has it open.
    _Atomic bool is_open;
    struct gcm_operation encryption, decryption;
    struct message_operation message_encryption, message_decryption;
    /// What a search found and C_FindObjects has not given yet.
    bool searching;
    CK_OBJECT_HANDLE *found;
    CK_ULONG found_count, found_next;
};

static inline struct object_view session_view(const struct session *session) {
    return (struct object_view){session->token, session->handle, session->real};
}

/// A new session with that handle in the wrapped library; NULL when there is no memory.
LOCAL struct session *session_add(struct token *token, CK_SESSION_HANDLE real);

/// The session of that handle, kept until session_release; NULL when there is none.
LOCAL struct session *session_acquire(CK_SESSION_HANDLE handle);
LOCAL void session_release(struct session *session);

/// Ends a session that the caller has acquired; the code is the wrapped library's.
LOCAL CK_RV session_close(struct session *session);

/// Ends all sessions of a slot, in the wrapped library too.
LOCAL CK_RV sessions_close_all(CK_SLOT_ID slot);

/// Open sessions of a slot.
LOCAL CK_ULONG sessions_open(CK_SLOT_ID slot);

/// Marks the open sessions of the tokens of that label (empty: all) as dead.
LOCAL void sessions_kill(const char *label, enum session_life life);

/// The tokens of that label (empty: all) are back: their lost sessions are ordinary invalid handles now.
LOCAL void sessions_forget_removed(const char *label);

/// Logs out and closes in the wrapped library what is dead and not in use.
LOCAL void sessions_settle(void);

/// After C_Finalize: no session is left, here or in the wrapped library.
LOCAL void sessions_finalized(void);

#endif
