// SPDX-License-Identifier: Apache-2.0
#include "faults.h"
#include "chance.h"
#include "clock.h"
#include "control.h"
#include "watch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// What the rules decided about a call, gathered under their lock and carried out without it.
struct decision {
    enum function function;
    uint64_t delay;
    /// Rule whose end a hanging call waits for; 0: it does not hang.
    uint64_t hang;
    bool crashes;
    /// Empty: nothing.
    char printed[LABEL_LIMIT + 1];
    char command[LABEL_LIMIT + 1];
    bool exits;
    int status;
    bool waits_for_turn;
    struct strike strike;
};

/// Whether the rule strikes this call. Counts for all threads together.
static bool is_due(struct rule *rule) {
    if ((atomic_fetch_add(&rule->calls, 1) + 1) % rule->every != 0) return false;
    return rule->share == WHOLE_SHARE || chance_below(WHOLE_SHARE) < rule->share;
}

static bool is_busy_function(enum function function) {
    return function == FN_C_Encrypt || function == FN_C_Decrypt || function == FN_C_EncryptMessage ||
           function == FN_C_DecryptMessage;
}

static bool concerns(const struct rule *rule, enum function function) {
    switch (rule->facts.kind) {
    case RULE_DELAY:
    case RULE_HANG:
    case RULE_CRASH:
    case RULE_PRINT:
    case RULE_RUN:
    case RULE_EXIT:
    case RULE_RETURN:
    case RULE_FLIP_BITS:
    case RULE_SERIAL:
        return rule->facts.function == ANY_FUNCTION || rule->facts.function == function;
    case RULE_BUSY:
        return is_busy_function(function);
    case RULE_REFUSE_LOGIN:
        return function == FN_C_Login || function == FN_C_LoginUser;
    default:
        return false;
    }
}

static void decide(struct rule *rule, void *context) {
    struct decision *decision = context;
    if (!concerns(rule, decision->function) || !is_due(rule)) return;
    const struct rule_facts *facts = &rule->facts;
    switch (facts->kind) {
    case RULE_DELAY:
        decision->delay += facts->is_exponential ? chance_exponential(facts->low)
                                                 : facts->low + chance_below(facts->high - facts->low + 1);
        break;
    case RULE_HANG:
        if (decision->hang == 0) decision->hang = facts->id;
        break;
    case RULE_CRASH:
        decision->crashes = true;
        break;
    case RULE_PRINT:
        strcpy(decision->printed, facts->label);
        break;
    case RULE_RUN:
        strcpy(decision->command, facts->label);
        break;
    case RULE_EXIT:
        decision->exits = true;
        decision->status = (int)facts->low;
        break;
    case RULE_SERIAL:
        decision->waits_for_turn = true;
        break;
    case RULE_FLIP_BITS:
        decision->strike.flips = true;
        break;
    default:
        if (decision->strike.code == CKR_OK) decision->strike.code = facts->code;
        break;
    }
}

/// What a library does that has no manners.
static void act(const struct decision *decision) {
    if (decision->printed[0] != 0) {
        (void)printf("%s\n", decision->printed);
        (void)fflush(stdout);
        (void)fprintf(stderr, "%s\n", decision->printed);
    }
    if (decision->command[0] != 0 && system(decision->command) == -1) perror("FaultyPKCS11");
    if (decision->exits) exit(decision->status);
}

struct strike faults_strike(enum function function, const char *label, struct token *turns) {
    struct decision decision = {.function = function};
    uint64_t start = decision.strike.began = now_nanoseconds();
    if (control_is_quiet()) return decision.strike;
    control_visit(label, decide, &decision);
    if (decision.waits_for_turn && turns != NULL) {
        // What it waited is not a part of the call.
        start = decision.strike.began = token_await_turn(turns);
        decision.strike.has_turn = true;
    }
    if (decision.delay > 0) sleep_until(start + decision.delay);
    while (decision.hang != 0 && control_holds(decision.hang)) {
        sleep_until(now_nanoseconds() + 2 * millisecond);
        watch_poll();
    }
    act(&decision);
    if (decision.crashes) {
        (void)raise(SIGSEGV);
        abort();
    }
    return decision.strike;
}

void faults_flip(CK_BYTE *output, CK_ULONG length) {
    if (output == NULL || length == 0) return;
    uint64_t bit = chance_below((uint64_t)length * 8);
    output[bit / 8] ^= (CK_BYTE)(1u << (bit % 8));
}
