// SPDX-License-Identifier: Apache-2.0
#include "values.h"
#include "rules.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool value_number(const char *text, uint64_t *number) {
    if (text == NULL || !isdigit((unsigned char)*text)) return false;
    char *end = NULL;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return *end == 0 && errno == 0;
}

bool value_duration(const char *text, size_t length, uint64_t *nanoseconds) {
    static const struct {
        const char *name;
        uint64_t nanoseconds;
    } units[] = {{"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};
    uint64_t number = 0;
    size_t digits = 0;
    while (digits < length && isdigit((unsigned char)text[digits])) {
        number = number * 10 + (uint64_t)(text[digits++] - '0');
        if (digits > 11) return false;
    }
    for (size_t index = 0; digits > 0 && index < sizeof units / sizeof units[0]; index++) {
        if (strlen(units[index].name) == length - digits &&
            strncmp(units[index].name, text + digits, length - digits) == 0) {
            *nanoseconds = number * units[index].nanoseconds;
            return *nanoseconds <= 86400ull * 1000000000ull;
        }
    }
    return false;
}

bool value_share(const char *text, uint64_t *share) {
    enum { DECIMALS = 4 };
    uint64_t number = 0;
    int digits = 0, decimals = -1;
    for (; isdigit((unsigned char)*text) || (*text == '.' && digits > 0 && decimals < 0); text++) {
        if (*text == '.') {
            decimals = 0;
            continue;
        }
        if (decimals >= 0) decimals++;
        if (++digits > 3 + DECIMALS || decimals > DECIMALS) return false;
        number = number * 10 + (uint64_t)(*text - '0');
    }
    if (digits == 0 || decimals == 0 || strcmp(text, "%") != 0) return false;
    for (int position = decimals < 0 ? 0 : decimals; position < DECIMALS; position++) number *= 10;
    *share = number;
    return number > 0 && number <= WHOLE_SHARE;
}

bool value_range(const char *text, uint64_t *low, uint64_t *high) {
    if (text == NULL) return false;
    const char *dots = strstr(text, "..");
    if (dots == NULL) {
        if (!value_duration(text, strlen(text), low)) return false;
        *high = *low;
        return true;
    }
    return value_duration(text, (size_t)(dots - text), low) && value_duration(dots + 2, strlen(dots + 2), high) &&
           *low <= *high;
}
