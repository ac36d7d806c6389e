// SPDX-License-Identifier: Apache-2.0
#include "effects.h"
#include "objects.h"
#include "sessions.h"

void effects_mark(const struct rule *rule, bool appeared) {
    switch (rule->facts.kind) {
    case RULE_LOSE_SESSIONS:
        if (appeared) sessions_kill(rule->section, SESSION_GONE);
        break;
    case RULE_LOSE_TOKEN:
        if (appeared) sessions_kill(rule->section, SESSION_REMOVED);
        else
            sessions_forget_removed(rule->section);
        break;
    case RULE_LOSE_KEY:
    case RULE_SWAP_KEY:
        // Also when the line goes: what the handle led to meanwhile is not what it leads to now.
        objects_kill(rule->section, rule->facts.label);
        break;
    default:
        break;
    }
}

void effects_settle(void) { sessions_settle(); }
