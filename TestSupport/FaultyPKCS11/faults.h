// SPDX-License-Identifier: Apache-2.0
// What befalls one call.
#ifndef FAULTY_FAULTS_H
#define FAULTY_FAULTS_H

#include "functions.h"

struct strike {
    /// The call returns this instead of being passed on; CKR_OK: it is passed on.
    CK_RV code;
    /// One bit of its output is to be turned.
    bool flips;
};

/// Decides what befalls a call of the function on the token of that label (NULL: on none), and carries out what comes
/// before the call: delays, hangs, crashes.
LOCAL struct strike faults_strike(enum function function, const char *token);

/// Turns one bit, anywhere in the output.
LOCAL void faults_flip(CK_BYTE *output, CK_ULONG length);

#endif
