// SPDX-License-Identifier: Apache-2.0
// Numbers and times in a control file. Each function is false for what it cannot read.
#ifndef FAULTY_VALUES_H
#define FAULTY_VALUES_H

#include "cryptoki.h"

/// Digits alone.
LOCAL bool value_number(const char *text, uint64_t *number);

/// `2ms`: whole us, ms or s, at most a day.
LOCAL bool value_duration(const char *text, size_t length, uint64_t *nanoseconds);

/// `0.05%` in parts per million: up to four decimals, above 0 and at most 100.
LOCAL bool value_share(const char *text, uint64_t *share);

/// `2ms` or `1ms..5ms`, in nanoseconds.
LOCAL bool value_range(const char *text, uint64_t *low, uint64_t *high);

#endif
