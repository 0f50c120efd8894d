#include "export/retry_after.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

static const uint64_t longest = 86400;

static uint64_t bounded(uint64_t seconds)
{
    return (seconds < longest ? seconds : longest) * NS_PER_S;
}

static int month_of(const char *name)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const char *found = strlen(name) == 3 ? strstr(names, name) : NULL;
    return found && (found - names) % 3 == 0 ? (int)(found - names) / 3 : -1;
}

/* The one form of HTTP dates that servers still make: "Sun, 06 Nov 1994 08:49:37 GMT". */
static uint64_t date(const char *text, uint64_t wall)
{
    struct tm tm = {0};
    char month[4];
    int end = 0;
    const int n = sscanf(text, "%*3[A-Za-z], %2d %3s %4d %2d:%2d:%2d GMT%n", &tm.tm_mday, month,
                         &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end);
    if (n != 6 || !end || text[end])
        return 0;
    tm.tm_mon = month_of(month);
    tm.tm_year -= 1900;
    if (tm.tm_mon < 0)
        return 0;
    const time_t at = timegm(&tm);
    const uint64_t now = wall / NS_PER_S;
    return at > 0 && (uint64_t)at > now ? bounded((uint64_t)at - now) : 0;
}

uint64_t retry_after(const char *text, uint64_t wall)
{
    uint64_t seconds = 0;
    const char *c = text;
    for (; *c >= '0' && *c <= '9'; c++)
        if (seconds < longest)
            seconds = seconds * 10 + (uint64_t)(*c - '0');
    if (c > text)
        return *c ? 0 : bounded(seconds);
    return date(text, wall);
}
