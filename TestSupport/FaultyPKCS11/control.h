// SPDX-License-Identifier: Apache-2.0
// The rules that hold now.
#ifndef FAULTY_CONTROL_H
#define FAULTY_CONTROL_H

#include "rules.h"

/// Called for a rule that appears, or ends, while the rules are locked: it must not ask for rules.
typedef void (*rule_change)(const struct rule *rule, bool appeared);

/// Puts the rules of `fresh` (NULL: the same ones stay) in place of those that hold, ends those whose time is over, and
/// shows each change to `changed` before anybody sees the new rules. `now`: nanoseconds of CLOCK_MONOTONIC. Returns when
/// the time of another rule is over, UINT64_MAX for never. One caller at a time.
LOCAL uint64_t control_change(const struct rule_list *fresh, uint64_t now, rule_change changed);

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

#endif
