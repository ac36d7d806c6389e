// SPDX-License-Identifier: Apache-2.0
// What one line of the control file says.
#ifndef FAULTY_RULES_H
#define FAULTY_RULES_H

#include "functions.h"

#include <stdatomic.h>

enum rule_kind {
    RULE_DELAY,
    RULE_HANG,
    RULE_CRASH,
    RULE_PRINT,
    RULE_RUN,
    RULE_EXIT,
    RULE_RETURN,
    RULE_FLIP_BITS,
    RULE_SERIAL,
    RULE_LOSE_SESSIONS,
    RULE_LOSE_TOKEN,
    RULE_SESSION_LIMIT,
    RULE_REFUSE_LOGIN,
    RULE_LOSE_KEY,
    RULE_SWAP_KEY,
    RULE_SWAP_VALUE,
    RULE_REPEAT_IV,
    RULE_ZERO_IV,
    RULE_IV,
    RULE_GCM_PARAMS,
    RULE_BAD_TAG,
    RULE_BUSY,
    RULE_NO_GCM,
    RULE_CANT_LOCK,
    RULE_MESSAGE_API,
    RULE_KINDS,
};

/// `number` of a RULE_IV.
enum iv_maker { IV_BY_CALLER, IV_IN_BUFFER, IV_APPENDED };

/// The longest label of a token or key, bytes.
enum { LABEL_LIMIT = 255 };

/// A share of all, in parts per million.
enum { WHOLE_SHARE = 1000000 };

/// What a rule says, apart from when it holds; may be copied.
struct rule_facts {
    /// Different for every appearance of a line; never 0.
    uint64_t id;
    enum rule_kind kind;
    enum function function;
    /// RULE_RETURN, RULE_REFUSE_LOGIN, RULE_BAD_TAG, RULE_BUSY.
    CK_RV code;
    /// RULE_EXIT: `low` is the status.
    /// RULE_DELAY: bounds in nanoseconds, or the mean in `low`. RULE_SESSION_LIMIT, RULE_GCM_PARAMS, RULE_IV: `low` is the number.
    uint64_t low, high;
    /// RULE_DELAY: exponentially distributed.
    bool is_exponential;
    /// RULE_PRINT, RULE_RUN: the text, the command, in `label`.
    /// RULE_LOSE_KEY, RULE_SWAP_KEY, RULE_SWAP_VALUE: the label, and the label whose object takes its place.
    char label[LABEL_LIMIT + 1];
    char other[LABEL_LIMIT + 1];
};

struct rule {
    struct rule_facts facts;
    /// The token's label; an empty one is `[*]`.
    char section[LABEL_LIMIT + 1];
    /// The line with single blanks between its words: a rule stays the same one while its line stays in the file.
    char *text;
    /// Strikes every so many calls; 1: every call.
    uint64_t every;
    /// Strikes so many of a million calls, by chance; WHOLE_SHARE: every call.
    uint64_t share;
    /// For so long, nanoseconds; 0: as long as it stands in the file.
    uint64_t lasts;
    /// When the line was first seen, nanoseconds of CLOCK_MONOTONIC.
    uint64_t since;
    /// Its time is over, though the line is still there.
    bool expired;
    /// Calls that it was asked about.
    _Atomic uint64_t calls;
};

struct rule_list {
    struct rule **rules;
    size_t count;
};

/// Reads the text of a control file. A line that cannot be read is reported on standard error and left out.
LOCAL struct rule_list rules_parse(char *text);
LOCAL void rule_free(struct rule *rule);

/// The code of that CKR_ name or 0x number; false when there is none.
LOCAL bool code_named(const char *name, CK_RV *code);

#endif
