#include "cli/recent.h"

#include <stdlib.h>
#include <string.h>

#include "mcp/method.h"
#include "otlp/record.h"

/* ---- one operation's spans ---- */

struct timing {
    uint64_t received, lasted; /* ns; received since 1970 */
};

struct recent_window {
    struct str service, name, detail; /* as in a row; no name: all operations of a server */
    bool client;
    char *text;          /* owns them */
    struct timing *kept; /* the newest, in a circle once there are RECENT_SPANS */
    unsigned n, room, next;
    uint64_t newest; /* received */
    bool counted;    /* what follows is up to date */
    unsigned counts; /* spans that the quantiles are of */
    double quantile[SHEET_QUANTILES];
};

static int grow(struct recent_window *w)
{
    const unsigned room = w->room ? 2 * w->room : 8;
    struct timing *kept = realloc(w->kept, room * sizeof *kept);
    if (!kept)
        return -ERR_NOMEM;
    w->kept = kept;
    w->room = room;
    return 0;
}

static int window_add(struct recent_window *w, const struct timing *t)
{
    if (w->n < RECENT_SPANS) {
        if (w->n == w->room && grow(w) < 0)
            return -ERR_NOMEM;
        w->kept[w->n++] = *t;
    } else {
        w->kept[w->next] = *t;
        w->next = (w->next + 1) % RECENT_SPANS;
    }
    w->newest = t->received > w->newest ? t->received : w->newest;
    w->counted = false;
    return 0;
}

static int compare_u64(const void *va, const void *vb)
{
    const uint64_t a = *(const uint64_t *)va, b = *(const uint64_t *)vb;
    return a < b ? -1 : a > b;
}

/* The smallest duration that at least this share of them did not exceed. */
static double quantile_of(const uint64_t *sorted, unsigned n, double q)
{
    unsigned rank = (unsigned)(q * n);
    rank += rank < q * n;
    return (double)sorted[rank > 0 ? rank - 1 : 0] / 1e9;
}

static void window_count(struct recent_window *w)
{
    uint64_t sorted[RECENT_SPANS];
    unsigned n = 0;
    for (unsigned i = 0; i < w->n; i++)
        if (w->newest - w->kept[i].received <= RECENT_SECONDS * NS_PER_S)
            sorted[n++] = w->kept[i].lasted;
    qsort(sorted, n, sizeof *sorted, compare_u64);
    for (int q = 0; n > 0 && q < SHEET_QUANTILES; q++)
        w->quantile[q] = quantile_of(sorted, n, sheet_quantiles[q]);
    w->counts = n;
    w->counted = true;
}

static void window_fini(struct recent_window *w)
{
    free(w->text);
    free(w->kept);
}

/* ---- all of them ---- */

static int compare(const struct recent_window *a, const struct recent_window *b)
{
    int c = str_cmp(a->service, b->service);
    c = c ? c : (int)a->client - (int)b->client;
    c = c ? c : str_cmp(a->name, b->name);
    return c ? c : str_cmp(a->detail, b->detail);
}

/* Where the window of a key is, or belongs. */
static size_t place_of(const struct recent *r, const struct recent_window *key)
{
    size_t low = 0, high = r->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (compare(&r->windows[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct recent_window *find(const struct recent *r, const struct recent_window *key)
{
    const size_t i = place_of(r, key);
    return i < r->n && compare(&r->windows[i], key) == 0 ? &r->windows[i] : NULL;
}

static struct str keep(char **to, struct str s)
{
    memcpy(*to, s.n ? s.p : "", s.n);
    const struct str kept = {*to, s.n};
    *to += s.n;
    return kept;
}

static void forget_the_oldest(struct recent *r)
{
    size_t oldest = 0;
    for (size_t i = 1; i < r->n; i++)
        if (r->windows[i].newest < r->windows[oldest].newest)
            oldest = i;
    window_fini(&r->windows[oldest]);
    r->n--;
    memmove(&r->windows[oldest], &r->windows[oldest + 1], (r->n - oldest) * sizeof *r->windows);
}

static int make_room(struct recent *r)
{
    if (r->n == RECENT_WINDOWS)
        forget_the_oldest(r);
    if (r->n < r->room)
        return 0;
    const size_t room = r->room ? 2 * r->room : 64;
    struct recent_window *windows = realloc(r->windows, room * sizeof *windows);
    if (!windows)
        return -ERR_NOMEM;
    r->windows = windows;
    r->room = room;
    return 0;
}

/* A new window for a key that has none. NULL: no memory. */
static struct recent_window *insert(struct recent *r, const struct recent_window *key)
{
    char *text = malloc(key->service.n + key->name.n + key->detail.n + 1), *to = text;
    if (!text || make_room(r) < 0) {
        free(text);
        return NULL;
    }
    struct recent_window *w = &r->windows[place_of(r, key)];
    memmove(w + 1, w, (size_t)(r->windows + r->n - w) * sizeof *w);
    r->n++;
    *w = (struct recent_window){.client = key->client, .text = text};
    w->service = keep(&to, key->service);
    w->name = keep(&to, key->name);
    w->detail = keep(&to, key->detail);
    return w;
}

static int add(struct recent *r, const struct recent_window *key, const struct timing *t)
{
    struct recent_window *w = find(r, key);
    if (!w)
        w = insert(r, key);
    return w ? window_add(w, t) : -ERR_NOMEM;
}

void recent_fini(struct recent *r)
{
    for (size_t i = 0; i < r->n; i++)
        window_fini(&r->windows[i]);
    free(r->windows);
    r->windows = NULL;
    r->n = r->room = 0;
}

/* ---- from the ring, and to the rows ---- */

static struct str text_attr(const struct event *e, const char *key)
{
    for (unsigned i = 0; i < e->nattrs; i++)
        if (e->attrs[i].type == ATTR_STRING && str_eq(e->attrs[i].key, str_of(key)))
            return e->attrs[i].s;
    return STR("");
}

static bool is_stream(struct str method)
{
    char name[LIMIT_NAME + 1];
    if (method.n >= sizeof name)
        return false;
    memcpy(name, method.p, method.n);
    name[method.n] = '\0';
    return mcp_method_flags(mcp_method_find(name)) & METHOD_STREAM;
}

int recent_add(struct recent *r, struct str service, uint64_t received, const struct event *span)
{
    const struct timing t = {received, span->end - span->time};
    struct recent_window key = {.service = service, .client = span->span_kind == SPAN_CLIENT};
    const struct str method = text_attr(span, "mcp.method.name");
    if ((span->span_kind != SPAN_SERVER && !key.client) || method.n == 0 || is_stream(method))
        return 0;
    const int e = add(r, &key, &t);
    if (e < 0)
        return e;
    key.name = method;
    key.detail = text_attr(span, "gen_ai.tool.name");
    if (key.detail.n == 0)
        key.detail = text_attr(span, "gen_ai.prompt.name");
    return add(r, &key, &t);
}

int recent_read(struct recent *r, struct feed *f, unsigned most)
{
    for (unsigned n = 0; n < most; n++) {
        const struct ring_view *v = feed_next(f);
        if (!v)
            return 0;
        if (record_event(v->kind, v->body, &r->event, NULL) < 0 || r->event.kind != EVENT_SPAN)
            continue;
        const int e = recent_add(r, v->service, v->received, &r->event);
        if (e < 0)
            return e;
    }
    return 1;
}

void recent_fill(struct recent *r, struct sheet *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct sheet_row *row = &s->rows[i];
        if (row->section > SHEET_OPERATIONS)
            continue;
        struct recent_window *w = find(r, &(struct recent_window){.service = row->service,
                                                                  .name = row->name,
                                                                  .detail = row->detail,
                                                                  .client = row->client});
        if (!w)
            continue;
        if (!w->counted)
            window_count(w);
        row->spans = w->counts;
        memcpy(row->quantile, w->quantile, sizeof row->quantile);
    }
}
