#include "base/iso.h"

#include <stdio.h>

#include "base/clock.h"

enum { DAY_S = 86400, YEAR_MAX = 9999 };

static bool leap(unsigned year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned days_of_year(unsigned year)
{
    return leap(year) ? 366 : 365;
}

static unsigned days_of_month(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && leap(year) ? 1u : 0u);
}

void iso_write(char to[ISO_TEXT], uint64_t wall)
{
    const unsigned in_day = (unsigned)(wall / NS_PER_S % DAY_S);
    uint64_t day = wall / NS_PER_S / DAY_S;
    unsigned year = 1970, month = 1;
    while (year < YEAR_MAX && day >= days_of_year(year))
        day -= days_of_year(year++);
    while (month < 12 && day >= days_of_month(year, month))
        day -= days_of_month(year, month++);
    snprintf(to, ISO_TEXT, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ", year % 10000u, month % 100u,
             (unsigned)(day % 31) + 1, in_day / 3600, in_day / 60 % 60, in_day % 60,
             (unsigned)(wall % NS_PER_S / NS_PER_US));
}

/* A number of exactly n digits, at most `most`. */
static bool number(const char **p, unsigned n, unsigned most, unsigned *out)
{
    *out = 0;
    for (; n > 0; n--, ++*p) {
        if (**p < '0' || **p > '9')
            return false;
        *out = *out * 10 + (unsigned)(**p - '0');
    }
    return *out <= most;
}

static bool after(const char **p, char c)
{
    const bool there = **p == c;
    *p += there;
    return there;
}

static bool fraction(const char **p, uint64_t *ns)
{
    unsigned n = 0;
    for (uint64_t worth = NS_PER_S / 10; **p >= '0' && **p <= '9'; ++*p, worth /= 10, n++)
        *ns += (uint64_t)(**p - '0') * worth;
    return n > 0 && n <= 9;
}

static bool clock_part(const char **p, uint64_t *out)
{
    unsigned hour, minute, second = 0;
    uint64_t ns = 0;
    if (!number(p, 2, 23, &hour) || !after(p, ':') || !number(p, 2, 59, &minute))
        return false;
    if (after(p, ':') && !number(p, 2, 59, &second))
        return false;
    if (after(p, '.') && !fraction(p, &ns))
        return false;
    *out += (hour * 3600u + minute * 60u + second) * NS_PER_S + ns;
    return true;
}

bool iso_read(const char *text, uint64_t *wall)
{
    unsigned year, month, day;
    uint64_t days = 0, ns = 0;
    if (!number(&text, 4, 2500, &year) || year < 1970 || !after(&text, '-') ||
        !number(&text, 2, 12, &month) || month == 0 || !after(&text, '-') ||
        !number(&text, 2, days_of_month(year, month), &day) || day == 0)
        return false;
    if (after(&text, 'T') && !clock_part(&text, &ns))
        return false;
    (void)after(&text, 'Z');
    for (unsigned y = 1970; y < year; y++)
        days += days_of_year(y);
    for (unsigned m = 1; m < month; m++)
        days += days_of_month(year, m);
    *wall = (days + day - 1) * DAY_S * NS_PER_S + ns;
    return *text == '\0';
}
