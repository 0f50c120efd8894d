#include "daemon/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct unit {
    const char *name;
    uint64_t worth;
};

static const struct unit sizes[] = {
    {"GiB", UINT64_C(1) << 30},
    {"MiB", UINT64_C(1) << 20},
    {"KiB", UINT64_C(1) << 10},
    {"B", 1},
    {"", 1},
    {0},
};

static const struct unit durations[] = {
    {"d", 86400 * NS_PER_S}, {"h", 3600 * NS_PER_S}, {"m", 60 * NS_PER_S},
    {"s", NS_PER_S},         {"ms", NS_PER_MS},      {0},
};

bool value_bool(const char *text, bool *out)
{
    static const char *const words[][2] = {{"true", "false"}, {"yes", "no"}, {"on", "off"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        for (int no = 0; no < 2; no++) {
            if (strcmp(text, words[i][no]) == 0) {
                *out = !no;
                return true;
            }
        }
    }
    return false;
}

/* Digits in a base of 8 or 10; `end` is set to what follows them. */
static bool digits(const char *text, uint64_t base, uint64_t *out, const char **end)
{
    uint64_t v = 0;
    const char *p = text;
    for (; *p >= '0' && (uint64_t)(*p - '0') < base; p++) {
        uint64_t d = (uint64_t)(*p - '0');
        if (v > (UINT64_MAX - d) / base)
            return false;
        v = v * base + d;
    }
    if (p == text)
        return false;
    *out = v;
    *end = p;
    return true;
}

bool value_count(const char *text, uint64_t *out)
{
    const char *end;
    uint64_t v;
    if (!digits(text, 10, &v, &end) || *end)
        return false;
    *out = v;
    return true;
}

static bool with_unit(const char *text, const struct unit *units, uint64_t *out)
{
    const char *end;
    uint64_t v;
    if (!digits(text, 10, &v, &end))
        return false;
    for (; units->name; units++) {
        if (strcmp(end, units->name) == 0) {
            if (v > UINT64_MAX / units->worth)
                return false;
            *out = v * units->worth;
            return true;
        }
    }
    return false;
}

bool value_size(const char *text, uint64_t *out)
{
    return with_unit(text, sizes, out);
}

bool value_duration(const char *text, uint64_t *out)
{
    if (strcmp(text, "0") == 0) {
        *out = 0;
        return true;
    }
    return with_unit(text, durations, out);
}

/* Which of the words it is. */
static bool word_of(const char *const *words, size_t n, const char *text, uint64_t *out)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

bool value_metrics(const char *text, uint64_t *out)
{
    static const char *const words[] = {"forward", "cumulative", "delta", "off"};
    return word_of(words, sizeof words / sizeof *words, text, out);
}

bool value_format(const char *text, uint64_t *out)
{
    static const char *const words[] = {"auto", "plain", "json", "journal"};
    return word_of(words, sizeof words / sizeof *words, text, out);
}

bool value_f64(const char *text, double *out)
{
    /* strtod also takes hexadecimal, infinities and leading blanks. */
    if (strspn(text, "0123456789+-.eE") != strlen(text) || !*text)
        return false;
    char *end;
    double v = strtod(text, &end);
    if (*end || !isfinite(v))
        return false;
    *out = v;
    return true;
}

bool value_ratio(const char *text, double *out)
{
    char number[32];
    size_t n = strlen(text);
    bool percent = n > 0 && text[n - 1] == '%';
    n -= percent;
    if (n >= sizeof number)
        return false;
    memcpy(number, text, n);
    number[n] = '\0';
    double v;
    if (!value_f64(number, &v))
        return false;
    v = percent ? v / 100 : v;
    if (v < 0 || v > 1)
        return false;
    *out = v;
    return true;
}

bool value_mode(const char *text, uint64_t *out)
{
    const char *end;
    uint64_t v;
    if (strncmp(text, "0o", 2) == 0)
        text += 2;
    if (!digits(text, 8, &v, &end) || *end || v > 07777)
        return false;
    *out = v;
    return true;
}

bool value_level(const char *text, uint64_t *out)
{
    static const char *const words[] = {"error", "warning", "info", "debug"};
    return word_of(words, sizeof words / sizeof *words, text, out);
}

bool value_off(const char *text)
{
    return strcmp(text, "off") == 0;
}

static void print_with_unit(struct buf *to, const struct unit *units, uint64_t v)
{
    if (v == 0) {
        buf_addc(to, '0');
        return;
    }
    while (units[1].name && v % units->worth)
        units++;
    buf_addu(to, v / units->worth);
    buf_adds(to, units->name);
}

void value_print_size(struct buf *to, uint64_t bytes)
{
    print_with_unit(to, sizes, bytes);
}

void value_print_duration(struct buf *to, uint64_t ns)
{
    print_with_unit(to, durations, ns);
}
