// SPDX-License-Identifier: Apache-2.0
// Random numbers.
#ifndef FAULTY_CHANCE_H
#define FAULTY_CHANCE_H

#include "cryptoki.h"

/// Evenly among 0 ..< limit, near enough for a delay; 0 for a limit of 0. Not for keys and IVs.
LOCAL uint64_t chance_below(uint64_t limit);

/// From the exponential distribution of that mean.
LOCAL uint64_t chance_exponential(uint64_t mean);

/// Bytes from the system's generator.
LOCAL bool chance_fill(CK_BYTE *bytes, CK_ULONG length);

/// Bytes of a generator that is stuck: the same ones each time in a process.
LOCAL void chance_repeat(CK_BYTE *bytes, CK_ULONG length);

#endif
