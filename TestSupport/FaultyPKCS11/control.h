// SPDX-License-Identifier: Apache-2.0
// The rules that hold now: the control file, watched.
#ifndef FAULTY_CONTROL_H
#define FAULTY_CONTROL_H

#include "rules.h"

/// Reads the environment and the file for the first time. Once per process, before any other function here.
LOCAL void control_start(void);

/// Looks at the file if the last look is long enough ago. A look at the clock, unless it is time.
LOCAL void control_poll(void);

/// True while no rule stands in the file: nothing needs to be asked.
LOCAL bool control_is_quiet(void);

/// Shows every rule that holds for the token of that label to `visit`, in the order of the file, under a lock: `visit`
/// must not call back into this library. NULL: only the rules of `[*]`.
LOCAL void control_visit(const char *token, void (*visit)(struct rule *rule, void *context), void *context);

/// The last rule of that kind that holds for the token.
LOCAL bool control_find(const char *token, enum rule_kind kind, struct rule_facts *found);
LOCAL bool control_has(const char *token, enum rule_kind kind);

/// Whether a rule of that kind holds for any token at all: what concerns the whole library.
LOCAL bool control_has_anywhere(enum rule_kind kind);

/// The RULE_LOSE_KEY or RULE_SWAP_KEY that holds for a key's label on a token.
LOCAL bool control_find_key(const char *token, const char *key, struct rule_facts *found);

/// The RULE_SWAP_VALUE that holds for a key's label on a token.
LOCAL bool control_find_value(const char *token, const char *key, struct rule_facts *found);

/// Whether the rule of that id still holds.
LOCAL bool control_holds(uint64_t id);

/// Between these two calls no rule comes or goes, so that a session that is opened, or logs in, does so wholly before
/// or wholly after the loss of the sessions of its token.
LOCAL void control_freeze(void);
LOCAL void control_thaw(void);

#endif
