// SPDX-License-Identifier: Apache-2.0
#include "tokens.h"
#include "clock.h"
#include "real.h"

#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct token **tokens;
static size_t count;

/// Labels are never freed, so that they can be read without a lock; there are as many as there are tokens.
static const char **labels;
static size_t label_count;

/// Under the lock.
static const char *interned(const char *label) {
    for (size_t index = 0; index < label_count; index++) {
        if (strcmp(labels[index], label) == 0) return labels[index];
    }
    const char **grown = realloc(labels, (label_count + 1) * sizeof *grown);
    if (grown == NULL) return NULL;
    labels = grown;
    const char *copy = strdup(label);
    if (copy != NULL) labels[label_count++] = copy;
    return copy;
}

void token_read(struct token *token) {
    CK_TOKEN_INFO info;
    if (REAL(C_GetTokenInfo, token->slot, &info) != CKR_OK) return;
    // Blank-padded (PKCS#11 2.40, section 3.2); some pad with zeroes.
    char label[sizeof info.label + 1] = {0};
    memcpy(label, info.label, sizeof info.label);
    for (size_t end = strlen(label); end > 0 && label[end - 1] == ' '; end--) label[end - 1] = 0;
    pthread_mutex_lock(&lock);
    atomic_store_explicit(&token->label, interned(label), memory_order_release);
    pthread_mutex_unlock(&lock);
}

struct token *token_in(CK_SLOT_ID slot) {
    struct token *token = NULL;
    pthread_mutex_lock(&lock);
    for (size_t index = 0; index < count && token == NULL; index++) {
        if (tokens[index]->slot == slot) token = tokens[index];
    }
    if (token == NULL) {
        struct token **grown = realloc(tokens, (count + 1) * sizeof *grown);
        if (grown != NULL) tokens = grown;
        if (grown != NULL && (token = calloc(1, sizeof *token)) != NULL) {
            token->slot = slot;
            pthread_mutex_init(&token->turns, NULL);
            pthread_cond_init(&token->turn_ended, NULL);
            tokens[count++] = token;
        }
    }
    pthread_mutex_unlock(&lock);
    const char *label = token_label(token);
    // One that was not initialised may be by now.
    if (token != NULL && (label == NULL || *label == 0)) token_read(token);
    return token;
}

uint64_t token_await_turn(struct token *token) {
    uint64_t came = now_nanoseconds();
    pthread_mutex_lock(&token->turns);
    uint64_t before = token->came++;
    while (token->ended != before) pthread_cond_wait(&token->turn_ended, &token->turns);
    uint64_t began = token->last_end > came ? token->last_end : came;
    pthread_mutex_unlock(&token->turns);
    return began;
}

void token_end_turn(struct token *token) {
    pthread_mutex_lock(&token->turns);
    token->ended++;
    token->last_end = now_nanoseconds();
    pthread_cond_broadcast(&token->turn_ended);
    pthread_mutex_unlock(&token->turns);
}

void tokens_forget(void) {
    pthread_mutex_lock(&lock);
    for (size_t index = 0; index < count; index++) atomic_store(&tokens[index]->label, NULL);
    pthread_mutex_unlock(&lock);
}
