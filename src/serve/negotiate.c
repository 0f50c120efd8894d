#include "serve/negotiate.h"

#include <string.h>
#include <strings.h>

/* A header such as "a/b;version=1.0;q=0.5, c/d" is a list of ranges, a range is
 * a name and parameters. */

static struct str trim(struct str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* Cuts off what comes before `sep`, which *rest is moved past. */
static struct str cut(struct str *rest, char sep)
{
    const char *at = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
    const size_t n = at ? (size_t)(at - rest->p) : rest->n;
    const struct str head = {rest->p, n};
    rest->p += n + (at ? 1 : 0);
    rest->n -= n + (at ? 1 : 0);
    return trim(head);
}

static bool same(struct str s, const char *word)
{
    return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

/* A q value in thousandths: "1", "0.5", "0.123"; anything else is 0. */
static unsigned parse_q(struct str s)
{
    if (s.n == 0 || (s.p[0] != '0' && s.p[0] != '1'))
        return 0;
    unsigned q = s.p[0] == '1' ? 1000 : 0, place = 100;
    for (size_t i = 2; i < s.n && s.p[1] == '.' && place; i++, place /= 10) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return 0;
        q += place * (unsigned)(s.p[i] - '0');
    }
    return q > 1000 ? 1000 : q;
}

struct range {
    struct str name, version;
    unsigned q; /* thousandths */
};

static bool next_range(struct str *header, struct range *out)
{
    if (header->n == 0)
        return false;
    struct str rest = cut(header, ',');
    *out = (struct range){.name = cut(&rest, ';'), .q = 1000};
    while (rest.n) {
        struct str value = cut(&rest, ';');
        const struct str key = cut(&value, '=');
        if (same(key, "q"))
            out->q = parse_q(trim(value));
        else if (same(key, "version"))
            out->version = trim(value);
    }
    return true;
}

/* The format of a media range, -1 for one that we do not write. */
static int format_of(const struct range *r)
{
    const struct str v = r->version;
    if (same(r->name, "application/openmetrics-text"))
        return v.n == 0 || same(v, "1.0.0") || same(v, "0.0.1") ? PROM_OPENMETRICS : -1;
    if (same(r->name, "text/plain"))
        return v.n == 0 || same(v, "0.0.4") ? PROM_TEXT : -1;
    return same(r->name, "*/*") || same(r->name, "text/*") ? PROM_TEXT : -1;
}

enum prom_format negotiate_format(const char *accept)
{
    struct str header = str_of(accept);
    struct range r;
    unsigned best = 0;
    enum prom_format format = PROM_TEXT;
    while (next_range(&header, &r)) {
        const int f = format_of(&r);
        if (f < 0 || r.q <= best)
            continue;
        best = r.q;
        format = (enum prom_format)f;
    }
    return format;
}

bool negotiate_gzip(const char *accept_encoding)
{
    struct str header = str_of(accept_encoding);
    struct range r;
    bool any = false;
    while (next_range(&header, &r)) {
        if (same(r.name, "gzip") || same(r.name, "x-gzip"))
            return r.q > 0;
        if (same(r.name, "*"))
            any = r.q > 0;
    }
    return any;
}
