// SPDX-License-Identifier: Apache-2.0
#include "watch.h"
#include "clock.h"
#include "control.h"
#include "file.h"
#include "include/FaultyPKCS11.h"
#include "objects.h"
#include "sessions.h"

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

/// Marks as dead what a line costs when it appears or goes. The rules are locked: nothing of the wrapped library is
/// called before they are in force.
static void mark(const struct rule *rule, bool appeared) {
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

/// Under `changing`.
static void look(uint64_t now) {
    bool changed = file_has_changed(path, &seen);
    if (!changed && now < next_expiry) return;
    char *text = changed ? file_read(path, &seen) : NULL;
    struct rule_list fresh = {NULL, 0};
    if (text != NULL) fresh = rules_parse(text);
    free(text);
    next_expiry = control_change(changed ? &fresh : NULL, now, mark);
    sessions_settle();
}

void watch_start(void) {
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

void watch_poll(void) {
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

void watch_freeze(void) { pthread_mutex_lock(&changing); }

void watch_thaw(void) { pthread_mutex_unlock(&changing); }
