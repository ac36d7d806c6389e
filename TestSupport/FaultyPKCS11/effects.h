// SPDX-License-Identifier: Apache-2.0
// What happens in the moment that a line comes into the control file, or goes.
#ifndef FAULTY_EFFECTS_H
#define FAULTY_EFFECTS_H

#include "rules.h"

/// Called while the rules change: marks sessions and handles as dead, and calls nothing of the wrapped library.
LOCAL void effects_mark(const struct rule *rule, bool appeared);

/// Called after the change: does in the wrapped library what was marked.
LOCAL void effects_settle(void);

#endif
