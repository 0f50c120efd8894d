/* The metrics' half of series.h: definitions, and which names clash. */
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "store/budget.h"
#include "store/read.h"
#include "store/series.h"
#include "store/space.h"

enum { WORD = 8, FAMILY_MAX = LIMIT_NAME + LIMIT_UNIT + 16 };

/* ---- sample names ---- */

static const char *const suffixes[] = {"",     "_total", "_created", "_bucket",
                                       "_sum", "_count", "_quantile"};

enum { NSUFFIXES = sizeof suffixes / sizeof *suffixes };

/* Whether a metric writes samples (or a family line) under family + suffix. */
static bool writes(enum metric_kind kind, unsigned flags, unsigned suffix)
{
    static const uint8_t by_kind[] = {
        [METRIC_COUNTER] = 1 << 0 | 1 << 1 | 1 << 2,
        [METRIC_GAUGE] = 1 << 0,
        [METRIC_HISTOGRAM] = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5,
        [METRIC_SUMMARY] = 1 << 0 | 1 << 2 | 1 << 4 | 1 << 5,
    };
    if (suffix == 6)
        return flags & METRIC_QUANTILES;
    return by_kind[kind] >> suffix & 1;
}

/* The metric that writes this name under this suffix; 0: none. */
static uint32_t taken_by(const struct store *st, struct str name, unsigned suffix)
{
    const struct str tail = str_of(suffixes[suffix]);
    struct metric_view other;
    if (name.n <= tail.n || memcmp(name.p + name.n - tail.n, tail.p, tail.n) != 0)
        return 0;
    const bool found = metric_find(st, (struct str){name.p, name.n - tail.n}, &other) &&
                       writes(other.kind, other.flags, suffix);
    return found ? other.id : 0;
}

/* OpenMetrics has our own X_info as the family X. */
static uint32_t taken_by_info(const struct store *st, struct str family)
{
    char name[FAMILY_MAX + 8];
    struct metric_view other;
    memcpy(name, family.p, family.n);
    memcpy(name + family.n, "_info", 5);
    const bool found = metric_find(st, (struct str){name, family.n + 5}, &other) && other.own;
    return found ? other.id : 0;
}

/* A metric of another family that writes one of the names that this one would; 0: none. */
static uint32_t clashing(const struct store *st, const struct metric_def *def, struct str family)
{
    char name[FAMILY_MAX + 16];
    uint32_t other = taken_by_info(st, family);
    memcpy(name, family.p, family.n);
    for (unsigned mine = 0; mine < NSUFFIXES; mine++) {
        if (!writes(def->kind, def->flags, mine))
            continue;
        const size_t n = strlen(suffixes[mine]);
        memcpy(name + family.n, suffixes[mine], n);
        for (unsigned theirs = 0; theirs < NSUFFIXES && !other; theirs++)
            other = taken_by(st, (struct str){name, family.n + n}, theirs);
    }
    return other;
}

/* ---- definitions ---- */

static uint64_t text_bytes_of(const struct metric_def *def, struct str family)
{
    return def->name.n + family.n + def->unit.n + def->help.n;
}

static uint64_t def_words(uint64_t nbounds, uint64_t text)
{
    return 1 + nbounds + (text + WORD - 1) / WORD;
}

static uint64_t def_new(struct store *st, const struct metric_def *def, struct str family)
{
    const uint64_t at = heap_alloc(st, def_words(def->nbounds, text_bytes_of(def, family)));
    if (!at)
        return 0;
    struct metric_text *t = (struct metric_text *)(void *)store_word(st, at);
    memcpy(t->bounds, def->bounds, def->nbounds * sizeof *def->bounds);
    char *p = (char *)(t->bounds + def->nbounds);
    const struct str texts[] = {def->name, family, def->unit, def->help};
    for (size_t i = 0; i < 4; i++) {
        memcpy(p, texts[i].p ? texts[i].p : "", texts[i].n);
        p += texts[i].n;
    }
    store_set(st, at, def->name.n | family.n << 16 | def->unit.n << 32 | def->help.n << 48);
    return at;
}

static uint64_t family_hash(const struct store *st, struct str family)
{
    return hash_bytes(family.p, family.n, st->head->secret) | 1;
}

/* Who defines a metric: the daemon, or a producer of a domain. */
struct definer {
    uint64_t own; /* metric_rec.own */
    uint32_t budget;
};

static bool may_define(const struct store *st, const struct definer *who, uint64_t words)
{
    const struct budget_item item = {BUDGET_METRIC, (unsigned)(who->own >> METRIC_DOMAIN_SHIFT) - 1,
                                     heap_bytes(words)};
    return who->own <= METRIC_OWN || budget_allows(st, &item, who->budget);
}

static int define_new(struct store *st, const struct metric_def *def, struct str family,
                      const struct definer *who, uint32_t *out)
{
    if (clashing(st, def, family))
        return -ERR_CONFLICT;
    if (!may_define(st, who, def_words(def->nbounds, text_bytes_of(def, family))))
        return -ERR_FULL;
    const uint32_t i = table_alloc(st, TABLE_METRICS);
    if (!i)
        return -ERR_FULL;
    struct metric_rec *r =
        (struct metric_rec *)(void *)store_word(st, table_offset(st, TABLE_METRICS, i));
    r->traits = (uint64_t)def->kind | (uint64_t)def->type << 8 | (uint64_t)def->join << 16 |
                (uint64_t)def->flags << 24 | (uint64_t)def->nbounds << 32;
    r->own = who->own;
    r->def = def_new(st, def, family);
    if (r->def && table_insert(st, TABLE_METRICS, i, family_hash(st, family))) {
        struct budget_item item;
        if (metric_budget(st, i, &item))
            budget_count(st, &item, 1);
        *out = i;
        return 0;
    }
    if (r->def)
        heap_free(st, r->def, def_words(def->nbounds, text_bytes_of(def, family)));
    table_remove(st, TABLE_METRICS, i);
    return -ERR_FULL;
}

static bool same(const struct metric_view *m, const struct metric_def *def)
{
    return m->kind == def->kind && m->type == def->type && m->join == def->join;
}

static int define(struct store *st, const struct metric_def *def, struct str family,
                  const struct definer *who, uint32_t *out)
{
    const bool own = who->own & METRIC_OWN;
    struct metric_view m;
    if (!metric_find(st, family, &m))
        return define_new(st, def, family, who, out);
    if (m.own && !own)
        return -ERR_PERM;
    if (!same(&m, def))
        return -ERR_CONFLICT;
    *out = m.id;
    struct metric_rec *r = table_get(st, TABLE_METRICS, m.id);
    if (own && !m.own)
        STORE_SET(st, r->own, r->own | METRIC_OWN);
    return 0;
}

static int define_as(struct store *st, const struct metric_def *def, const struct definer *who,
                     uint32_t *out)
{
    struct buf family;
    buf_init(&family, FAMILY_MAX);
    metric_family_name(&family, def->name, def->unit, def->kind);
    const int r = family.failed ? -ERR_NOMEM : define(st, def, buf_str(&family), who, out);
    buf_fini(&family);
    return r;
}

int metric_define(struct store *st, const struct metric_def *def, bool own, uint32_t *out)
{
    const struct definer who = {.own = own ? METRIC_OWN : 0};
    return define_as(st, def, &who, out);
}

int metric_define_by(struct store *st, const struct metric_def *def, unsigned domain,
                     uint32_t budget, uint32_t *out)
{
    const struct definer who = {(domain + UINT64_C(1)) << METRIC_DOMAIN_SHIFT, budget};
    return define_as(st, def, &who, out);
}

static uint64_t words_of(const struct metric_view *m)
{
    return def_words(m->nbounds, m->name.n + m->family.n + m->unit.n + m->help.n);
}

bool metric_budget(const struct store *st, uint32_t metric, struct budget_item *out)
{
    struct metric_view m;
    if (!metric_read(st, metric, &m) || !m.domain_known)
        return false;
    *out = (struct budget_item){BUDGET_METRIC, m.domain_known - 1, heap_bytes(words_of(&m))};
    return true;
}

uint32_t metric_in_the_way(const struct store *st, const struct metric_def *def)
{
    struct buf family;
    struct metric_view m;
    uint32_t other = 0;
    buf_init(&family, FAMILY_MAX);
    metric_family_name(&family, def->name, def->unit, def->kind);
    if (!family.failed) {
        const bool found = metric_find(st, buf_str(&family), &m);
        other = !found ? clashing(st, def, buf_str(&family)) : same(&m, def) ? 0 : m.id;
    }
    buf_fini(&family);
    return other;
}

void metric_hold(struct store *st, uint32_t metric)
{
    assert(metric < st->metric_refs_size);
    st->metric_refs[metric]++;
}

void metric_let_go(struct store *st, uint32_t metric)
{
    assert(metric < st->metric_refs_size && st->metric_refs[metric] > 0);
    st->metric_refs[metric]--;
}

bool metric_remove(struct store *st, uint32_t metric)
{
    struct metric_view m;
    if (!metric_read(st, metric, &m) || m.own || m.nseries || st->metric_refs[metric])
        return false;
    const struct metric_rec *r = table_get(st, TABLE_METRICS, metric);
    struct budget_item item;
    if (metric_budget(st, metric, &item))
        budget_count(st, &item, -1);
    heap_free(st, r->def, words_of(&m));
    table_remove(st, TABLE_METRICS, metric);
    return true;
}
