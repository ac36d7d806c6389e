// SPDX-License-Identifier: Apache-2.0
#include "objects.h"
#include "control.h"
#include "real.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/// A handle is the position in the table, counted from 1, and above that how often the position was used: no handle
/// comes twice.
enum { POSITION_BITS = 24, BUCKETS = 1024 };
static const CK_ULONG position_mask = (1UL << POSITION_BITS) - 1;

struct object {
    /// 0 in a free position.
    CK_OBJECT_HANDLE handle;
    struct token *token;
    struct object_target target;
    /// The RULE_SWAP_KEY that it was made under; 0: none.
    uint64_t swap;
    /// The session that it lives in; 0 for an object of the token.
    CK_SESSION_HANDLE owner;
    bool is_private;
    char label[LABEL_LIMIT + 1];
    /// Position of the next in the same bucket, or of the next free one, counted from 1.
    size_t next;
};

/// What the wrapped library says about an object.
struct traits {
    char label[LABEL_LIMIT + 1];
    bool is_private, is_on_token;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct object *table;
static size_t positions;
static size_t first_free;
static size_t buckets[BUCKETS];
static CK_ULONG uses;

static size_t *bucket_of(const struct token *token, CK_OBJECT_HANDLE real_handle) {
    return &buckets[(token->slot * 31 + real_handle) % BUCKETS];
}

/// Under the lock.
static struct object *with_handle(CK_OBJECT_HANDLE handle) {
    CK_ULONG position = handle & position_mask;
    if (position == 0 || position > positions || table[position - 1].handle != handle) return NULL;
    return &table[position - 1];
}

/// Under the lock.
static struct object *with_real(const struct token *token, CK_OBJECT_HANDLE real_handle) {
    for (size_t position = *bucket_of(token, real_handle); position != 0; position = table[position - 1].next) {
        struct object *object = &table[position - 1];
        if (object->token == token && object->target.named == real_handle) return object;
    }
    return NULL;
}

/// Under the lock.
static void drop(struct object *object) {
    size_t position = (size_t)(object - table) + 1;
    size_t *link = bucket_of(object->token, object->target.named);
    while (*link != position) link = &table[*link - 1].next;
    *link = object->next;
    object->handle = 0;
    object->next = first_free;
    first_free = position;
}

/// Under the lock; NULL when there is no memory.
static struct object *add(struct token *token, CK_OBJECT_HANDLE real_handle) {
    if (first_free == 0) {
        if (positions == position_mask) return NULL;
        struct object *grown = realloc(table, (positions + 1) * 2 * sizeof *grown);
        if (grown == NULL) return NULL;
        table = grown;
        size_t room = (positions + 1) * 2;
        memset(table + positions, 0, (room - positions) * sizeof *table);
        for (; positions < room && positions < position_mask; positions++) {
            table[positions].next = first_free;
            first_free = positions + 1;
        }
    }
    size_t position = first_free;
    struct object *object = &table[position - 1];
    first_free = object->next;
    memset(object, 0, sizeof *object);
    object->handle = ++uses << POSITION_BITS | position;
    object->token = token;
    object->target = (struct object_target){real_handle, real_handle};
    size_t *bucket = bucket_of(token, real_handle);
    object->next = *bucket;
    *bucket = position;
    return object;
}

static void read_traits(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE real_handle, struct traits *traits) {
    memset(traits, 0, sizeof *traits);
    CK_BBOOL is_private = CK_TRUE, is_on_token = CK_TRUE;
    // One at a time: libraries differ in what they fill in when they refuse one of several.
    CK_ATTRIBUTE attributes[] = {{CKA_LABEL, traits->label, LABEL_LIMIT},
                                 {CKA_PRIVATE, &is_private, sizeof is_private},
                                 {CKA_TOKEN, &is_on_token, sizeof is_on_token}};
    for (size_t index = 0; index < 3; index++) {
        (void)REAL(C_GetAttributeValue, session, real_handle, &attributes[index], 1);
    }
    CK_ULONG length = attributes[0].ulValueLen;
    traits->label[length <= LABEL_LIMIT ? length : 0] = 0;
    traits->is_private = is_private != CK_FALSE;
    traits->is_on_token = is_on_token != CK_FALSE;
}

/// The object of that label and of the same class in the wrapped library; 0 when there is none.
static CK_OBJECT_HANDLE find_real(CK_SESSION_HANDLE session, char *label, CK_OBJECT_HANDLE like) {
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_ATTRIBUTE of_like = {CKA_CLASS, &class, sizeof class};
    if (REAL(C_GetAttributeValue, session, like, &of_like, 1) != CKR_OK) return 0;
    CK_ATTRIBUTE wanted[] = {{CKA_LABEL, label, strlen(label)}, {CKA_CLASS, &class, sizeof class}};
    CK_OBJECT_HANDLE found = 0;
    CK_ULONG count = 0;
    if (REAL(C_FindObjectsInit, session, wanted, 2) != CKR_OK) return 0;
    CK_RV rv = REAL(C_FindObjects, session, &found, 1, &count);
    (void)REAL(C_FindObjectsFinal, session);
    return rv == CKR_OK && count == 1 ? found : 0;
}

CK_OBJECT_HANDLE object_shown(struct object_view view, CK_OBJECT_HANDLE real_handle) {
    struct token *token = view.token;
    struct traits traits;
    pthread_mutex_lock(&lock);
    const struct object *known = with_real(token, real_handle);
    bool is_known = known != NULL;
    if (is_known) {
        strcpy(traits.label, known->label);
        traits.is_private = known->is_private;
        traits.is_on_token = known->owner == 0;
    }
    pthread_mutex_unlock(&lock);
    if (!is_known) read_traits(view.real, real_handle, &traits);

    struct rule_facts rule = {0};
    CK_OBJECT_HANDLE value = real_handle;
    if (control_find_key(token_label(token), traits.label, &rule)) {
        if (rule.kind == RULE_LOSE_KEY) return 0;
        value = find_real(view.real, rule.other, real_handle);
        // The label belongs to an object that is not there.
        if (value == 0) return 0;
    }

    CK_OBJECT_HANDLE handle = 0;
    pthread_mutex_lock(&lock);
    struct object *object = with_real(token, real_handle);
    if (object != NULL && object->swap != rule.id) {
        drop(object);
        object = NULL;
    }
    if (object == NULL && (object = add(token, real_handle)) != NULL) {
        object->target.value = value;
        object->swap = rule.id;
        object->owner = traits.is_on_token ? 0 : view.session;
        object->is_private = traits.is_private;
        strcpy(object->label, traits.label);
    }
    if (object != NULL) handle = object->handle;
    pthread_mutex_unlock(&lock);
    return handle;
}

bool object_resolve(struct object_view view, CK_OBJECT_HANDLE handle, struct object_target *target) {
    char label[LABEL_LIMIT + 1];
    uint64_t swap = 0;
    pthread_mutex_lock(&lock);
    const struct object *object = with_handle(handle);
    bool is_alive = object != NULL && object->token == view.token;
    if (is_alive) {
        *target = object->target;
        swap = object->swap;
        strcpy(label, object->label);
    }
    pthread_mutex_unlock(&lock);
    if (!is_alive || (swap == 0 && control_is_quiet())) return is_alive;
    const char *token = token_label(view.token);
    // A handle that was made in the moment that the rule came or went is as dead as the others.
    struct rule_facts rule = {0};
    (void)control_find_key(token, label, &rule);
    if (rule.id != swap || (rule.id != 0 && rule.kind == RULE_LOSE_KEY)) return false;
    // The value behind a handle that lives on. Without the other object the handle leads to nothing.
    if (!control_find_value(token, label, &rule)) return true;
    target->value = find_real(view.real, rule.other, target->named);
    return target->value != 0;
}

void object_relabel(struct object_view view, CK_OBJECT_HANDLE handle) {
    struct object_target target;
    if (!object_resolve(view, handle, &target)) return;
    struct traits traits;
    read_traits(view.real, target.named, &traits);
    pthread_mutex_lock(&lock);
    struct object *object = with_handle(handle);
    if (object != NULL) strcpy(object->label, traits.label);
    pthread_mutex_unlock(&lock);
}

void object_forget(CK_OBJECT_HANDLE handle) {
    pthread_mutex_lock(&lock);
    struct object *object = with_handle(handle);
    if (object != NULL) drop(object);
    pthread_mutex_unlock(&lock);
}

void objects_kill(const char *token, const char *key) {
    pthread_mutex_lock(&lock);
    for (size_t position = 0; position < positions; position++) {
        struct object *object = &table[position];
        if (object->handle == 0 || strcmp(object->label, key) != 0) continue;
        const char *own = token_label(object->token);
        if (*token == 0 || (own != NULL && strcmp(own, token) == 0)) drop(object);
    }
    pthread_mutex_unlock(&lock);
}

void objects_session_closed(CK_SESSION_HANDLE session) {
    pthread_mutex_lock(&lock);
    for (size_t position = 0; position < positions; position++) {
        if (table[position].handle != 0 && table[position].owner == session) drop(&table[position]);
    }
    pthread_mutex_unlock(&lock);
}

void objects_logged_out(CK_SLOT_ID slot) {
    pthread_mutex_lock(&lock);
    for (size_t position = 0; position < positions; position++) {
        struct object *object = &table[position];
        if (object->handle != 0 && object->token->slot == slot && object->is_private) drop(object);
    }
    pthread_mutex_unlock(&lock);
}

void objects_finalized(void) {
    pthread_mutex_lock(&lock);
    for (size_t position = 0; position < positions; position++) {
        if (table[position].handle != 0) drop(&table[position]);
    }
    pthread_mutex_unlock(&lock);
}
