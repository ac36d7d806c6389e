// SPDX-License-Identifier: Apache-2.0
// The control file, watched: puts its rules in force, and kills the sessions and handles that a change costs.
#ifndef FAULTY_WATCH_H
#define FAULTY_WATCH_H

#include "cryptoki.h"

/// Reads the environment and the file for the first time. Once per process, before any other function here.
LOCAL void watch_start(void);

/// Looks at the file if the last look is long enough ago. A look at the clock, unless it is time.
LOCAL void watch_poll(void);

/// Between these two calls no rule comes or goes, so that a session that is opened, or logs in, does so wholly before
/// or wholly after the loss of the sessions of its token.
LOCAL void watch_freeze(void);
LOCAL void watch_thaw(void);

#endif
