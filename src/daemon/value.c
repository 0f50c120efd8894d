#include "daemon/value.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

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
    for (uint64_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = LOG_LEVEL_ERROR + i;
            return true;
        }
    }
    return false;
}

static bool host_of(const char *host, struct sockaddr_storage *out, socklen_t *size)
{
    struct sockaddr_in *v4 = (void *)out;
    struct sockaddr_in6 *v6 = (void *)out;
    memset(out, 0, sizeof *out);
    if (strcmp(host, "*") == 0)
        host = "::";
    else if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        out->ss_family = AF_INET;
        *size = sizeof *v4;
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        out->ss_family = AF_INET6;
        *size = sizeof *v6;
        return true;
    }
    return false;
}

bool value_address(const char *text, struct sockaddr_storage *out, socklen_t *size)
{
    char host[INET6_ADDRSTRLEN + 2];
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (!colon || (size_t)(colon - text) >= sizeof host || !value_count(colon + 1, &port) ||
        port > UINT16_MAX)
        return false;
    size_t n = (size_t)(colon - text);
    memcpy(host, text, n);
    host[n] = '\0';
    bool brackets = n >= 2 && host[0] == '[' && host[n - 1] == ']';
    if (brackets)
        host[n - 1] = '\0';
    struct sockaddr_storage a;
    socklen_t a_size;
    if (!host_of(host + brackets, &a, &a_size))
        return false;
    bool star = strcmp(host, "*") == 0;
    if ((a.ss_family == AF_INET6) != (brackets || star))
        return false;
    /* sin_port and sin6_port lie at the same place. */
    ((struct sockaddr_in *)(void *)&a)->sin_port = htons((uint16_t)port);
    *out = a;
    *size = a_size;
    return true;
}

bool value_off(const char *text)
{
    return strcmp(text, "off") == 0;
}

void value_print_address(struct buf *to, const struct sockaddr_storage *a)
{
    char host[INET6_ADDRSTRLEN] = "?";
    unsigned port;
    if (a->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)a;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        port = ntohs(v6->sin6_port);
        buf_addf(to, "[%s]:%u", host, port);
    } else {
        const struct sockaddr_in *v4 = (const void *)a;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        port = ntohs(v4->sin_port);
        buf_addf(to, "%s:%u", host, port);
    }
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
