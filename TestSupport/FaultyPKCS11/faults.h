// SPDX-License-Identifier: Apache-2.0
// What befalls one call.
#ifndef FAULTY_FAULTS_H
#define FAULTY_FAULTS_H

#include "functions.h"
#include "tokens.h"

struct strike {
    /// The call returns this instead of being passed on; CKR_OK: it is passed on.
    CK_RV code;
    /// One bit of its output is to be turned.
    bool flips;
    /// The call is one at a time on its token, and it is its turn: to be given up by token_end_turn.
    bool has_turn;
    /// When the call began, after it had waited for its turn: nanoseconds of CLOCK_MONOTONIC.
    uint64_t began;
};

/// Decides what befalls a call of the function on the token of that label (NULL: on none), and carries out what comes
/// before the call: waiting for its turn, delays, hangs, crashes. `turns` is the token at which calls wait for their
/// turns; NULL: this one waits for none.
LOCAL struct strike faults_strike(enum function function, const char *label, struct token *turns);

/// Turns one bit, anywhere in the output.
LOCAL void faults_flip(CK_BYTE *output, CK_ULONG length);

#endif
