// SPDX-License-Identifier: Apache-2.0
#include "sessions.h"
#include "objects.h"
#include "real.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/// A handle is the position in the table, counted from 1, and above that how often the position was used: no handle
/// comes twice.
enum { POSITION_BITS = 20 };
static const CK_ULONG position_mask = (1UL << POSITION_BITS) - 1;

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
/// Positions are used again and never freed. `handle` is 0 in a free position.
static struct session **table;
static size_t positions;
static CK_ULONG uses;

struct session *session_add(struct token *token, CK_SESSION_HANDLE real_handle) {
    struct session *session = NULL;
    pthread_rwlock_wrlock(&lock);
    size_t position = 0;
    while (position < positions && table[position]->handle != 0) position++;
    if (position == positions && position < position_mask) {
        struct session **grown = realloc(table, (positions + 1) * sizeof *grown);
        if (grown != NULL) {
            table = grown;
            if ((table[positions] = calloc(1, sizeof **table)) != NULL) positions++;
        }
    }
    if (position < positions) {
        session = table[position];
        free(session->found);
        memset(session, 0, sizeof *session);
        session->token = token;
        session->real = real_handle;
        atomic_store(&session->life, SESSION_OPEN);
        atomic_store(&session->is_open, true);
        session->handle = ++uses << POSITION_BITS | (position + 1);
    }
    pthread_rwlock_unlock(&lock);
    return session;
}

struct session *session_acquire(CK_SESSION_HANDLE handle) {
    struct session *session = NULL;
    pthread_rwlock_rdlock(&lock);
    CK_ULONG position = handle & position_mask;
    if (position > 0 && position <= positions && table[position - 1]->handle == handle) {
        session = table[position - 1];
        atomic_fetch_add(&session->users, 1);
    }
    pthread_rwlock_unlock(&lock);
    return session;
}

/// Gives the position back when nobody needs it any longer.
static void retire(CK_SESSION_HANDLE handle) {
    pthread_rwlock_wrlock(&lock);
    struct session *session = table[(handle & position_mask) - 1];
    if (session->handle == handle && atomic_load(&session->users) == 0 &&
        atomic_load(&session->life) == SESSION_GONE && !atomic_load(&session->is_open)) {
        session->handle = 0;
    }
    pthread_rwlock_unlock(&lock);
}

static CK_RV close_real(CK_SESSION_HANDLE handle, CK_SESSION_HANDLE real_handle, CK_SLOT_ID slot) {
    CK_RV rv = REAL(C_CloseSession, real_handle);
    objects_session_closed(handle);
    if (sessions_open(slot) == 0) objects_logged_out(slot);
    return rv;
}

void session_release(struct session *session) {
    // What is needed after the session is let go; under the lock its position cannot pass to another session.
    pthread_rwlock_rdlock(&lock);
    CK_SESSION_HANDLE handle = session->handle, real_handle = session->real;
    CK_SLOT_ID slot = session->token->slot;
    bool is_last = atomic_fetch_sub(&session->users, 1) == 1;
    bool is_dead = is_last && atomic_load(&session->life) != SESSION_OPEN;
    // Closing a session under the feet of another call would crash some libraries, so its last user closes it.
    bool closes = is_dead && atomic_exchange(&session->is_open, false);
    pthread_rwlock_unlock(&lock);
    if (closes) (void)close_real(handle, real_handle, slot);
    if (is_dead) retire(handle);
}

CK_RV session_close(struct session *session) {
    atomic_store(&session->life, SESSION_GONE);
    if (atomic_load(&session->users) != 1 || !atomic_exchange(&session->is_open, false)) return CKR_OK;
    return close_real(session->handle, session->real, session->token->slot);
}

static bool has_label(const struct session *session, const char *label) {
    const char *own = token_label(session->token);
    return *label == 0 || (own != NULL && strcmp(own, label) == 0);
}

CK_RV sessions_close_all(CK_SLOT_ID slot) {
    pthread_rwlock_rdlock(&lock);
    for (size_t position = 0; position < positions; position++) {
        struct session *session = table[position];
        if (session->handle == 0 || session->token->slot != slot) continue;
        atomic_store(&session->life, SESSION_GONE);
        atomic_store(&session->is_open, false);
    }
    pthread_rwlock_unlock(&lock);
    CK_RV rv = REAL(C_CloseAllSessions, slot);
    objects_logged_out(slot);
    sessions_settle();
    return rv;
}

CK_ULONG sessions_open(CK_SLOT_ID slot) {
    CK_ULONG open = 0;
    pthread_rwlock_rdlock(&lock);
    for (size_t position = 0; position < positions; position++) {
        const struct session *session = table[position];
        if (session->handle == 0 || session->token->slot != slot) continue;
        if (atomic_load(&session->life) == SESSION_OPEN) open++;
    }
    pthread_rwlock_unlock(&lock);
    return open;
}

void sessions_kill(const char *label, enum session_life life) {
    pthread_rwlock_rdlock(&lock);
    for (size_t position = 0; position < positions; position++) {
        struct session *session = table[position];
        if (session->handle == 0 || !has_label(session, label)) continue;
        int open = SESSION_OPEN;
        if (atomic_compare_exchange_strong(&session->life, &open, life)) {
            atomic_store(&session->token->logout_due, true);
        }
    }
    pthread_rwlock_unlock(&lock);
}

void sessions_forget_removed(const char *label) {
    pthread_rwlock_rdlock(&lock);
    for (size_t position = 0; position < positions; position++) {
        struct session *session = table[position];
        if (session->handle == 0 || !has_label(session, label)) continue;
        int removed = SESSION_REMOVED;
        atomic_compare_exchange_strong(&session->life, &removed, SESSION_GONE);
    }
    pthread_rwlock_unlock(&lock);
}

/// A dead session from that position on, acquired; its position in `*position`.
static struct session *next_dead(size_t *position) {
    struct session *session = NULL;
    pthread_rwlock_rdlock(&lock);
    for (; *position < positions && session == NULL; ++*position) {
        struct session *candidate = table[*position];
        if (candidate->handle == 0 || atomic_load(&candidate->life) == SESSION_OPEN) continue;
        session = candidate;
        atomic_fetch_add(&session->users, 1);
    }
    pthread_rwlock_unlock(&lock);
    return session;
}

void sessions_settle(void) {
    struct session *session;
    for (size_t position = 0; (session = next_dead(&position)) != NULL;) {
        // With its sessions a token loses its login (PKCS#11 2.40, section 5.6, C_CloseSession).
        if (atomic_load(&session->is_open) && atomic_exchange(&session->token->logout_due, false)) {
            (void)REAL(C_Logout, session->real);
            objects_logged_out(session->token->slot);
        }
        session_release(session);
    }
}

void sessions_finalized(void) {
    pthread_rwlock_rdlock(&lock);
    for (size_t position = 0; position < positions; position++) {
        struct session *session = table[position];
        if (session->handle == 0) continue;
        atomic_store(&session->life, SESSION_GONE);
        atomic_store(&session->is_open, false);
        atomic_store(&session->token->logout_due, false);
    }
    pthread_rwlock_unlock(&lock);
    sessions_settle();
}
