/* Canonical label texts: made here, taken apart here. */
#include "base/buf.h"
#include "store/read.h"
#include "store/series.h"
#include "wire/decode.h"

static char clean(char c, bool first)
{
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    const bool digit = c >= '0' && c <= '9';
    return letter || (digit && !first) ? c : '_';
}

/* The key that is written for one, but for clean(). Some mean something to
 * Prometheus: a histogram's le and a summary's quantile are written by us, and
 * what begins with two underscores is its own. One producer's label of such a
 * name would spoil the page for all. */
static struct str written(struct str key)
{
    if (str_eq(key, STR("le")))
        return STR("exported_le");
    if (str_eq(key, STR("quantile")))
        return STR("exported_quantile");
    while (key.n > 1 && clean(key.p[0], true) == '_' && clean(key.p[1], false) == '_') {
        key.p++;
        key.n--;
    }
    return key;
}

/* Order of two keys as they will be written. */
static int compare_keys(struct str key, struct str other)
{
    const struct str a = written(key), b = written(other);
    for (size_t i = 0; i < a.n && i < b.n; i++) {
        const char x = clean(a.p[i], i == 0), y = clean(b.p[i], i == 0);
        if (x != y)
            return (unsigned char)x < (unsigned char)y ? -1 : 1;
    }
    return (a.n > b.n) - (a.n < b.n);
}

/* By insertion: there are at most LIMIT_LABELS, and mostly few. Stable. */
static void sort(struct label *labels, unsigned n)
{
    for (unsigned i = 1; i < n; i++) {
        const struct label l = labels[i];
        unsigned at = i;
        for (; at > 0 && compare_keys(labels[at - 1].key, l.key) > 0; at--)
            labels[at] = labels[at - 1];
        labels[at] = l;
    }
}

static void add_value(struct buf *to, struct str v)
{
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] == '\n') {
            buf_adds(to, "\\n");
            continue;
        }
        if (v.p[i] == '"' || v.p[i] == '\\')
            buf_addc(to, '\\');
        buf_addc(to, v.p[i]);
    }
}

/* Appends a key as it is written; whether that is how it came. */
static bool add_key(struct buf *to, struct str key)
{
    const struct str w = written(key);
    bool same = w.n == key.n;
    for (size_t k = 0; k < w.n; k++) {
        const char c = clean(w.p[k], k == 0);
        same = same && c == key.p[k];
        buf_addc(to, c);
    }
    return same;
}

static void add_original(struct buf *keys, struct str key, bool first)
{
    if (!keys)
        return;
    if (!first)
        buf_addc(keys, '\0');
    buf_add(keys, key.p, key.n);
}

void labels_canonical_keys(struct buf *to, struct buf *keys, struct label *labels, unsigned n)
{
    sort(labels, n);
    const struct label *last = NULL;
    bool same = true;
    for (unsigned i = 0; i < n; i++) {
        const struct label *l = &labels[i];
        if (l->value.n == 0 || (last && compare_keys(last->key, l->key) == 0))
            continue;
        if (last)
            buf_addc(to, ',');
        if (!add_key(to, l->key))
            same = false;
        add_original(keys, l->key, !last);
        buf_adds(to, "=\"");
        add_value(to, l->value);
        buf_addc(to, '"');
        last = l;
    }
    if (keys && (same || keys->failed))
        buf_reset(keys);
}

void labels_canonical(struct buf *to, struct label *labels, unsigned n)
{
    labels_canonical_keys(to, NULL, labels, n);
}

bool labels_next(struct str *text, struct str *key, struct str *value)
{
    const char *eq = text->n ? memchr(text->p, '=', text->n) : NULL;
    if (!eq || (size_t)(eq - text->p) + 2 > text->n || eq[1] != '"')
        return false;
    const char *end = text->p + text->n, *v = eq + 2, *q = v;
    while (q < end && *q != '"')
        q += *q == '\\' && q + 1 < end ? 2 : 1;
    if (q >= end)
        return false;
    *key = (struct str){text->p, (size_t)(eq - text->p)};
    *value = (struct str){v, (size_t)(q - v)};
    q++;
    if (q < end && *q == ',')
        q++;
    *text = (struct str){q, (size_t)(end - q)};
    return true;
}

struct str labels_get(struct str text, struct str key)
{
    struct str k, v;
    while (labels_next(&text, &k, &v))
        if (str_eq(k, key))
            return v;
    return (struct str){0};
}
