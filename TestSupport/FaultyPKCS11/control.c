// SPDX-License-Identifier: Apache-2.0
#include "control.h"
#include "clock.h"
#include "effects.h"
#include "file.h"
#include "include/FaultyPKCS11.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *path;
static uint64_t interval;
static _Atomic uint64_t next_look;

/// Held while the file is looked at, and by whoever wants the rules to stay as they are.
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;
static struct file_version seen;
static uint64_t next_expiry = UINT64_MAX;
static uint64_t last_id;

/// Guards the list and all that the rules say. Readers copy what they need.
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct rule_list current;
static _Atomic bool quiet = true;

/// A line that was there before goes on: its number, its time, its calls. Two equal lines are two rules.
static void carry_over(struct rule_list *fresh, uint64_t now) {
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
        effects_mark(rule, true);
    }
}

/// Puts new rules in place of the old. Under both locks.
static void replace(struct rule_list fresh, uint64_t now) {
    carry_over(&fresh, now);
    for (size_t old = 0; old < current.count; old++) {
        struct rule *gone = current.rules[old];
        if (gone == NULL) continue;
        if (!gone->expired) effects_mark(gone, false);
        rule_free(gone);
    }
    free(current.rules);
    current = fresh;
}

/// Ends the rules whose time is over. Under both locks.
static void expire(uint64_t now) {
    next_expiry = UINT64_MAX;
    for (size_t index = 0; index < current.count; index++) {
        struct rule *rule = current.rules[index];
        if (rule->lasts == 0 || rule->expired) continue;
        uint64_t end = rule->since + rule->lasts;
        if (end <= now) {
            rule->expired = true;
            effects_mark(rule, false);
        } else if (end < next_expiry) {
            next_expiry = end;
        }
    }
}

/// Under `changing`.
static void look(uint64_t now) {
    bool changed = file_has_changed(path, &seen);
    if (!changed && now < next_expiry) return;
    char *text = changed ? file_read(path, &seen) : NULL;
    struct rule_list fresh = {NULL, 0};
    if (text != NULL) fresh = rules_parse(text);
    free(text);
    pthread_rwlock_wrlock(&lock);
    if (changed) replace(fresh, now);
    expire(now);
    atomic_store(&quiet, current.count == 0);
    pthread_rwlock_unlock(&lock);
    effects_settle();
}

void control_start(void) {
    path = getenv(FAULTY_PKCS11_CONTROL);
    if (path != NULL && *path == 0) path = NULL;
    if (path == NULL) return;
    path = strdup(path);
    interval = FAULTY_PKCS11_DEFAULT_INTERVAL * millisecond;
    const char *wanted = getenv(FAULTY_PKCS11_INTERVAL);
    if (wanted != NULL) {
        char *end = NULL;
        unsigned long number = strtoul(wanted, &end, 10);
        if (end != wanted && *end == 0 && number <= 1000) interval = number * millisecond;
        else
            fprintf(stderr, "FaultyPKCS11: %s is not 0 to 1000\n", FAULTY_PKCS11_INTERVAL);
    }
    pthread_mutex_lock(&changing);
    if (path != NULL) look(now_nanoseconds());
    pthread_mutex_unlock(&changing);
}

void control_poll(void) {
    if (path == NULL) return;
    uint64_t now = now_nanoseconds();
    if (interval == 0) {
        pthread_mutex_lock(&changing);
    } else {
        uint64_t due = atomic_load_explicit(&next_look, memory_order_relaxed);
        if (now < due || !atomic_compare_exchange_strong(&next_look, &due, now + interval)) return;
        // Someone is at it, or does not want the rules to change now: then the next call looks.
        if (pthread_mutex_trylock(&changing) != 0) return;
    }
    look(now);
    pthread_mutex_unlock(&changing);
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

void control_freeze(void) { pthread_mutex_lock(&changing); }

void control_thaw(void) { pthread_mutex_unlock(&changing); }
