// SPDX-License-Identifier: Apache-2.0
// The wrapped library.
#ifndef FAULTY_REAL_H
#define FAULTY_REAL_H

#include "cryptoki.h"

/// Loads it. Once per process. False when it cannot be loaded; why stands on standard error.
LOCAL bool real_load(void);

/// Its functions. Only after real_load gave true.
LOCAL extern CK_FUNCTION_LIST *real;

/// `real->name(…)`, or CKR_FUNCTION_NOT_SUPPORTED where the library leaves the function out.
#define REAL(name, ...) (real->name == NULL ? CKR_FUNCTION_NOT_SUPPORTED : real->name(__VA_ARGS__))

#endif
