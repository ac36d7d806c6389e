// SPDX-License-Identifier: Apache-2.0
#include "control.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/// Guards the list and all that the rules say. Readers copy what they need.
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static uint64_t last_id;
static struct rule_list current;
static _Atomic bool quiet = true;

/// A line that was there before goes on: its number, its time, its calls. Two equal lines are two rules.
static void carry_over(struct rule_list *fresh, uint64_t now, rule_change changed) {
    for (size_t index = 0; index < fresh->count; index++) {
        struct rule *rule = fresh->rules[index];
        for (size_t old = 0; old < current.count; old++) {
            struct rule *before = current.rules[old];
            if (before == NULL || strcmp(before->section, rule->section) != 0 || strcmp(before->text, rule->text) != 0)
                continue;
            fresh->rules[index] = before;
            current.rules[old] = NULL;
            rule_free(rule);
            rule = NULL;
            break;
        }
        if (rule == NULL) continue;
        rule->since = now;
        rule->facts.id = ++last_id;
        changed(rule, true);
    }
}

/// Puts new rules in place of the old. Under the lock.
static void replace(struct rule_list fresh, uint64_t now, rule_change changed) {
    carry_over(&fresh, now, changed);
    for (size_t old = 0; old < current.count; old++) {
        struct rule *gone = current.rules[old];
        if (gone == NULL) continue;
        if (!gone->expired) changed(gone, false);
        rule_free(gone);
    }
    free(current.rules);
    current = fresh;
}

/// Ends the rules whose time is over; when the next one's is, or UINT64_MAX. Under the lock.
static uint64_t expire(uint64_t now, rule_change changed) {
    uint64_t next = UINT64_MAX;
    for (size_t index = 0; index < current.count; index++) {
        struct rule *rule = current.rules[index];
        if (rule->lasts == 0 || rule->expired) continue;
        uint64_t end = rule->since + rule->lasts;
        if (end <= now) {
            rule->expired = true;
            changed(rule, false);
        } else if (end < next) {
            next = end;
        }
    }
    return next;
}

uint64_t control_change(const struct rule_list *fresh, uint64_t now, rule_change changed) {
    pthread_rwlock_wrlock(&lock);
    if (fresh != NULL) replace(*fresh, now, changed);
    uint64_t next = expire(now, changed);
    atomic_store(&quiet, current.count == 0);
    pthread_rwlock_unlock(&lock);
    return next;
}

bool control_is_quiet(void) { return atomic_load_explicit(&quiet, memory_order_relaxed); }

static bool concerns(const struct rule *rule, const char *token) {
    if (rule->expired) return false;
    return rule->section[0] == 0 || (token != NULL && strcmp(rule->section, token) == 0);
}

void control_visit(const char *token, void (*visit)(struct rule *rule, void *context), void *context) {
    pthread_rwlock_rdlock(&lock);
    for (size_t index = 0; index < current.count; index++) {
        if (concerns(current.rules[index], token)) visit(current.rules[index], context);
    }
    pthread_rwlock_unlock(&lock);
}

bool control_find(const char *token, enum rule_kind kind, struct rule_facts *found) {
    if (control_is_quiet()) return false;
    bool has = false;
    pthread_rwlock_rdlock(&lock);
    for (size_t index = current.count; index > 0 && !has; index--) {
        const struct rule *rule = current.rules[index - 1];
        if (rule->facts.kind != kind || !concerns(rule, token)) continue;
        has = true;
        if (found != NULL) *found = rule->facts;
    }
    pthread_rwlock_unlock(&lock);
    return has;
}

bool control_has(const char *token, enum rule_kind kind) { return control_find(token, kind, NULL); }

bool control_has_anywhere(enum rule_kind kind) {
    if (control_is_quiet()) return false;
    bool has = false;
    pthread_rwlock_rdlock(&lock);
    for (size_t index = 0; index < current.count && !has; index++) {
        has = current.rules[index]->facts.kind == kind && !current.rules[index]->expired;
    }
    pthread_rwlock_unlock(&lock);
    return has;
}

static bool find_for_label(const char *token, const char *key, bool (*wanted)(enum rule_kind kind),
                           struct rule_facts *found) {
    if (control_is_quiet()) return false;
    bool has = false;
    pthread_rwlock_rdlock(&lock);
    for (size_t index = current.count; index > 0 && !has; index--) {
        const struct rule *rule = current.rules[index - 1];
        if (!wanted(rule->facts.kind) || !concerns(rule, token) || strcmp(rule->facts.label, key) != 0) continue;
        has = true;
        *found = rule->facts;
    }
    pthread_rwlock_unlock(&lock);
    return has;
}

static bool is_about_handles(enum rule_kind kind) { return kind == RULE_LOSE_KEY || kind == RULE_SWAP_KEY; }

static bool is_about_value(enum rule_kind kind) { return kind == RULE_SWAP_VALUE; }

bool control_find_key(const char *token, const char *key, struct rule_facts *found) {
    return find_for_label(token, key, is_about_handles, found);
}

bool control_find_value(const char *token, const char *key, struct rule_facts *found) {
    return find_for_label(token, key, is_about_value, found);
}

bool control_holds(uint64_t id) {
    bool holds = false;
    pthread_rwlock_rdlock(&lock);
    for (size_t index = 0; index < current.count && !holds; index++) {
        holds = current.rules[index]->facts.id == id && !current.rules[index]->expired;
    }
    pthread_rwlock_unlock(&lock);
    return holds;
}
