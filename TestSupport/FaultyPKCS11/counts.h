// SPDX-License-Identifier: Apache-2.0
// How many calls of each function a token has had: in a file that whoever tests may read at any time.
#ifndef FAULTY_COUNTS_H
#define FAULTY_COUNTS_H

#include "functions.h"

/// Reads the environment and opens the file. Once per process, before any other function here.
LOCAL void counts_start(void);

/// What is counted of a function on a token.
struct count;

/// Counts a call on the token of that label; NULL: on none. A label's address stands for it: those of
/// tokens.h stay.
/// NULL when nothing is counted.
LOCAL struct count *counts_add(enum function function, const char *token);

/// Adds what a call took.
LOCAL void counts_add_time(struct count *count, uint64_t nanoseconds);

#endif
