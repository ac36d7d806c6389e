// SPDX-License-Identifier: Apache-2.0
// Which token is in which slot: rules name tokens by label, calls name slots.
#ifndef FAULTY_TOKENS_H
#define FAULTY_TOKENS_H

#include "cryptoki.h"

#include <pthread.h>
#include <stdatomic.h>

/// A slot. Lives as long as the process.
struct token {
    CK_SLOT_ID slot;
    /// The label of the token in it, NULL before it is known. Strings that it points to stay.
    _Atomic(const char *) label;
    /// The sessions of the token were lost, and with them the login, which the wrapped library still has.
    _Atomic bool logout_due;
    /// Calls that are one at a time: how many came, and how many ended.
    pthread_mutex_t turns;
    pthread_cond_t turn_ended;
    uint64_t came, ended;
    /// When the last one ended, nanoseconds of CLOCK_MONOTONIC.
    uint64_t last_end;
};

/// The slot's token, its label read from the wrapped library if it is not known. NULL when there is no memory.
LOCAL struct token *token_in(CK_SLOT_ID slot);

/// Reads the label anew.
LOCAL void token_read(struct token *token);

/// Waits until all calls that began to wait earlier have ended their turns: first come, first served. Returns when this
/// turn began: with the end of the one before, however long it takes a thread to wake up.
LOCAL uint64_t token_await_turn(struct token *token);
LOCAL void token_end_turn(struct token *token);

/// Forgets all labels: slots may have other tokens after an initialisation.
LOCAL void tokens_forget(void);

static inline const char *token_label(struct token *token) {
    return token == NULL ? NULL : atomic_load_explicit(&token->label, memory_order_acquire);
}

#endif
