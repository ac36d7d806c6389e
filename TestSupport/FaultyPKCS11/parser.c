// SPDX-License-Identifier: Apache-2.0
// The control file's text becomes rules.
#include "rules.h"
#include "values.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WORDS = 12 };

/// A line in work.
struct line {
    char *words[MOST_WORDS];
    size_t count;
    /// Words that were read.
    size_t next;
};

static char *next_word(struct line *line) { return line->next < line->count ? line->words[line->next++] : NULL; }

/// Splits at blanks; a word in double quotes may hold blanks. False when there are too many words, or a quote is open.
static bool split(char *text, struct line *line) {
    line->count = 0;
    line->next = 0;
    for (;;) {
        while (isspace((unsigned char)*text)) text++;
        if (*text == 0 || *text == '#') return true;
        if (line->count == MOST_WORDS) return false;
        bool quoted = *text == '"';
        if (quoted) text++;
        line->words[line->count++] = text;
        while (*text != 0 && (quoted ? *text != '"' : !isspace((unsigned char)*text))) text++;
        if (*text == 0) return !quoted;
        *text++ = 0;
    }
}

static bool read_function(struct line *line, struct rule *rule) {
    const char *word = next_word(line);
    return word != NULL && function_named(word, &rule->facts.function);
}

static bool read_code(struct line *line, struct rule *rule) {
    const char *word = next_word(line);
    return word != NULL && code_named(word, &rule->facts.code) && rule->facts.code != CKR_OK;
}

static bool read_label(struct line *line, char *label) {
    const char *word = next_word(line);
    if (word == NULL || *word == 0 || strlen(word) > LABEL_LIMIT) return false;
    strcpy(label, word);
    return true;
}

/// One of these words, as its number.
static bool read_choice(struct line *line, struct rule *rule, const char *const *words, const uint64_t *numbers,
                        size_t count) {
    const char *word = next_word(line);
    for (size_t index = 0; word != NULL && index < count; index++) {
        if (strcmp(word, words[index]) == 0) {
            rule->facts.low = numbers[index];
            return true;
        }
    }
    return false;
}

static bool read_delay(struct line *line, struct rule *rule) {
    if (!read_function(line, rule)) return false;
    const char *word = next_word(line);
    rule->facts.is_exponential = word != NULL && strcmp(word, "exp") == 0;
    if (rule->facts.is_exponential) word = next_word(line);
    // The mean of an exponential distribution is one time, no range.
    return value_range(word, &rule->facts.low, &rule->facts.high) &&
           (!rule->facts.is_exponential || rule->facts.low == rule->facts.high);
}

static bool read_return(struct line *line, struct rule *rule) {
    return read_code(line, rule) && read_function(line, rule);
}

static bool read_text(struct line *line, struct rule *rule) {
    return read_function(line, rule) && read_label(line, rule->facts.label);
}

static bool read_exit(struct line *line, struct rule *rule) {
    return read_function(line, rule) && value_number(next_word(line), &rule->facts.low) && rule->facts.low < 256;
}

static bool read_limit(struct line *line, struct rule *rule) { return value_number(next_word(line), &rule->facts.low); }

static bool read_lost_key(struct line *line, struct rule *rule) { return read_label(line, rule->facts.label); }

static bool read_swapped_key(struct line *line, struct rule *rule) {
    return read_label(line, rule->facts.label) && read_label(line, rule->facts.other);
}

static bool read_nothing(struct line *line, struct rule *rule) {
    (void)line;
    (void)rule;
    return true;
}

static bool read_iv_maker(struct line *line, struct rule *rule) {
    static const char *const words[] = {"caller", "buffer", "appended"};
    static const uint64_t numbers[] = {IV_BY_CALLER, IV_IN_BUFFER, IV_APPENDED};
    return read_choice(line, rule, words, numbers, 3);
}

static bool read_gcm_size(struct line *line, struct rule *rule) {
    static const char *const words[] = {"40", "48"};
    static const uint64_t numbers[] = {40, 48};
    return read_choice(line, rule, words, numbers, 2);
}

/// First words, and how the words behind them are read. `counts`: may say `every N` and `share P%`.
static const struct kind {
    const char *word, *second;
    enum rule_kind kind;
    bool (*read)(struct line *, struct rule *);
    bool counts;
} kinds[] = {
    {"delay", NULL, RULE_DELAY, read_delay, true},
    {"hang", NULL, RULE_HANG, read_function, true},
    {"crash", NULL, RULE_CRASH, read_function, true},
    {"print", NULL, RULE_PRINT, read_text, true},
    {"run", NULL, RULE_RUN, read_text, true},
    {"exit", NULL, RULE_EXIT, read_exit, true},
    {"return", NULL, RULE_RETURN, read_return, true},
    {"flip-bits", NULL, RULE_FLIP_BITS, read_function, true},
    {"serial", NULL, RULE_SERIAL, read_function, false},
    {"lose-sessions", NULL, RULE_LOSE_SESSIONS, read_nothing, false},
    {"lose-token", NULL, RULE_LOSE_TOKEN, read_nothing, false},
    {"session-limit", NULL, RULE_SESSION_LIMIT, read_limit, false},
    {"refuse-login", NULL, RULE_REFUSE_LOGIN, read_code, true},
    {"lose-key", NULL, RULE_LOSE_KEY, read_lost_key, false},
    {"swap-key", NULL, RULE_SWAP_KEY, read_swapped_key, false},
    {"swap-value", NULL, RULE_SWAP_VALUE, read_swapped_key, false},
    {"repeat-iv", NULL, RULE_REPEAT_IV, read_nothing, false},
    {"zero-iv", NULL, RULE_ZERO_IV, read_nothing, false},
    {"vendor", "iv", RULE_IV, read_iv_maker, false},
    {"vendor", "gcm-params", RULE_GCM_PARAMS, read_gcm_size, false},
    {"vendor", "bad-tag", RULE_BAD_TAG, read_code, false},
    {"vendor", "busy", RULE_BUSY, read_code, true},
    {"vendor", "no-gcm", RULE_NO_GCM, read_nothing, false},
    {"vendor", "cant-lock", RULE_CANT_LOCK, read_nothing, false},
    {"vendor", "message-api", RULE_MESSAGE_API, read_nothing, false},
};

static const struct kind *read_kind(struct line *line) {
    const char *word = next_word(line);
    for (size_t index = 0; index < sizeof kinds / sizeof kinds[0]; index++) {
        if (strcmp(word, kinds[index].word) != 0) continue;
        if (kinds[index].second == NULL) return &kinds[index];
        if (line->next < line->count && strcmp(line->words[line->next], kinds[index].second) == 0) {
            line->next++;
            return &kinds[index];
        }
    }
    return NULL;
}

/// `every N`, `share P%` and `for 5s`, in any order.
static bool read_conditions(struct line *line, struct rule *rule, bool counts) {
    const char *word;
    while ((word = next_word(line)) != NULL) {
        const char *value = next_word(line);
        if (value == NULL) return false;
        if (counts && strcmp(word, "every") == 0) {
            if (!value_number(value, &rule->every) || rule->every == 0) return false;
        } else if (counts && strcmp(word, "share") == 0) {
            if (!value_share(value, &rule->share)) return false;
        } else if (strcmp(word, "for") == 0) {
            if (!value_duration(value, strlen(value), &rule->lasts) || rule->lasts == 0) return false;
        } else {
            return false;
        }
    }
    return true;
}

static char *joined(const struct line *line) {
    size_t length = 1;
    for (size_t index = 0; index < line->count; index++) length += strlen(line->words[index]) + 1;
    char *text = calloc(1, length);
    for (size_t index = 0; text != NULL && index < line->count; index++) {
        if (index > 0) strcat(text, " ");
        strcat(text, line->words[index]);
    }
    return text;
}

/// NULL when the line cannot be read.
static struct rule *read_rule(struct line *line, const char *section) {
    struct rule *rule = calloc(1, sizeof *rule);
    if (rule == NULL) return NULL;
    rule->every = 1;
    rule->share = WHOLE_SHARE;
    rule->text = joined(line);
    strcpy(rule->section, section);
    const struct kind *kind = read_kind(line);
    if (rule->text != NULL && kind != NULL) {
        rule->facts.kind = kind->kind;
        rule->facts.function = ANY_FUNCTION;
        if (kind->read(line, rule) && read_conditions(line, rule, kind->counts)) return rule;
    }
    rule_free(rule);
    return NULL;
}

/// `[label]` or `[*]`; the label may hold blanks. False when it is no such line.
static bool read_section(char *text, char *section) {
    while (isspace((unsigned char)*text)) text++;
    if (*text != '[') return false;
    char *end = strchr(text, ']');
    if (end == NULL) return false;
    const char *rest = end + 1;
    while (isspace((unsigned char)*rest)) rest++;
    *end = 0;
    text++;
    if ((*rest != 0 && *rest != '#') || *text == 0 || strlen(text) > LABEL_LIMIT) return false;
    strcpy(section, strcmp(text, "*") == 0 ? "" : text);
    return true;
}

static void append(struct rule_list *list, struct rule *rule) {
    struct rule **grown = realloc(list->rules, (list->count + 1) * sizeof *grown);
    if (grown == NULL) {
        rule_free(rule);
        return;
    }
    list->rules = grown;
    grown[list->count++] = rule;
}

struct rule_list rules_parse(char *text) {
    struct rule_list list = {NULL, 0};
    char section[LABEL_LIMIT + 1];
    bool has_section = false;
    int number = 0;
    for (char *start = text; start != NULL && *start != 0;) {
        char *end = strchr(start, '\n');
        if (end != NULL) *end++ = 0;
        number++;
        struct line line;
        if (start[strspn(start, " \t\r")] == '[') {
            has_section = read_section(start, section);
            if (!has_section) fprintf(stderr, "FaultyPKCS11: control file, line %d: no [token label]\n", number);
        } else if (!split(start, &line)) {
            fprintf(stderr, "FaultyPKCS11: control file, line %d: not understood\n", number);
        } else if (line.count > 0) {
            struct rule *rule = has_section ? read_rule(&line, section) : NULL;
            if (rule != NULL) append(&list, rule);
            else
                fprintf(stderr, "FaultyPKCS11: control file, line %d: %s\n", number,
                        has_section ? "not understood" : "stands in no section");
        }
        start = end;
    }
    return list;
}

void rule_free(struct rule *rule) {
    if (rule == NULL) return;
    free(rule->text);
    free(rule);
}
