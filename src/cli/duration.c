#include "cli/duration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"

static const struct unit {
    const char *name;
    double ns;
} units[] = {
    {"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}, {"m", 60e9}, {"h", 3600e9},
};

static const double longest = 100.0 * 365 * 24 * 3600 * 1e9;

int duration_parse(const char *text, uint64_t *out)
{
    /* strtod takes more than digits: signs, hexadecimal, names. */
    const size_t digits = strspn(text, "0123456789.");
    char *end;
    const double v = strtod(text, &end);
    if (digits == 0 || end != text + digits)
        return -ERR_SYNTAX;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].name) != 0)
            continue;
        if (v * units[i].ns > longest)
            return -ERR_RANGE;
        *out = (uint64_t)(v * units[i].ns + 0.5);
        return 0;
    }
    return -ERR_SYNTAX;
}

static void add_three_digits(struct buf *to, double v, const char *unit)
{
    const int decimals = v < 9.995 ? 2 : v < 99.95 ? 1 : 0;
    buf_addf(to, "%.*f %s", decimals, v, unit);
}

static void add_pair(struct buf *to, uint64_t seconds)
{
    static const struct {
        uint64_t big, small;
        char big_name, small_name;
    } pairs[] = {{86400, 3600, 'd', 'h'}, {3600, 60, 'h', 'm'}, {60, 1, 'm', 's'}};
    size_t i = 0;
    while (i < 2 && seconds < pairs[i].big)
        i++;
    buf_addf(to, "%llu%c%02llu%c", (unsigned long long)(seconds / pairs[i].big), pairs[i].big_name,
             (unsigned long long)(seconds % pairs[i].big / pairs[i].small), pairs[i].small_name);
}

void duration_add(struct buf *to, uint64_t ns)
{
    if (ns < NS_PER_US)
        buf_addf(to, "%u ns", (unsigned)ns);
    else if (ns < 999500)
        add_three_digits(to, (double)ns / 1e3, "us");
    else if (ns < 999500000)
        add_three_digits(to, (double)ns / 1e6, "ms");
    else if (ns < 59950 * NS_PER_MS)
        add_three_digits(to, (double)ns / 1e9, "s");
    else
        add_pair(to, (ns + NS_PER_S / 2) / NS_PER_S);
}

void moment_add(struct buf *to, uint64_t ns, unsigned digits)
{
    const time_t seconds = (time_t)(ns / NS_PER_S);
    struct tm tm;
    char text[32], fraction[16];
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    buf_adds(to, text);
    if (digits > 0) {
        snprintf(fraction, sizeof fraction, ".%09u", (unsigned)(ns % NS_PER_S));
        buf_add(to, fraction, 1 + (size_t)digits);
    }
    buf_addc(to, 'Z');
}
