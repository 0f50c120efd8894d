#include "store/sketch.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "store/space.h"

enum { WORD = 8, MANTISSA_BITS = 52, SLOT_BITS = 6 };

/* ---- where a value falls ---- */

/* Key of a page: 0 for values that are not positive, else biased exponent + 1. */
static uint64_t key_of(double v, unsigned *slot)
{
    *slot = 0;
    if (!(v > 0))
        return 0;
    const uint64_t bits = f64_bits(v) >> (MANTISSA_BITS - SLOT_BITS);
    *slot = (unsigned)(bits & (PAGE_SLOTS - 1));
    return (bits >> SLOT_BITS) + 1;
}

static double middle_of(uint64_t key, unsigned slot)
{
    if (key == 0)
        return 0;
    const uint64_t low = ((key - 1) << SLOT_BITS | slot) << (MANTISSA_BITS - SLOT_BITS);
    return bits_f64(low | UINT64_C(1) << (MANTISSA_BITS - SLOT_BITS - 1));
}

/* ---- pages ---- */

static uint64_t find_page(const struct store *st, uint64_t first, uint64_t key, unsigned *pages)
{
    *pages = 0;
    for (uint64_t p = first; p != 0 && *pages < SKETCH_PAGES; p = store_get(st, p)) {
        if (!store_at(st, p, PAGE_WORDS * WORD))
            return 0;
        if (store_get(st, p + PAGE_KEY * WORD) == key)
            return p;
        ++*pages;
    }
    return 0;
}

uint64_t sketch_page(struct store *st)
{
    if ((st->sketch_pages + 1) * heap_bytes(PAGE_WORDS) > st->head->section[SECTION_HEAP].size / 4)
        return 0;
    const uint64_t p = heap_alloc(st, PAGE_WORDS);
    st->sketch_pages += p != 0;
    return p;
}

static void free_pages(struct store *st, uint64_t first)
{
    const uint64_t n = heap_free_chain(st, first, PAGE_WORDS);
    assert(n <= st->sketch_pages);
    st->sketch_pages -= n;
}

uint64_t sketch_count(const struct store *st, uint64_t sketch)
{
    uint64_t n = 0;
    for (int w = SKETCH_NOW; w <= SKETCH_BEFORE; w++)
        for (uint64_t p = store_get(st, sketch + (uint64_t)w * WORD); p; p = store_get(st, p))
            n++;
    return n;
}

static uint64_t add_page(struct store *st, uint64_t head, uint64_t key)
{
    const uint64_t p = sketch_page(st);
    if (!p)
        return 0;
    memset(st->base + p + WORD, 0, (PAGE_WORDS - 1) * WORD);
    *store_word(st, p + PAGE_KEY * WORD) = key;
    store_set(st, p, store_get(st, head));
    store_set(st, head, p);
    return p;
}

/* ---- windows ---- */

uint64_t sketch_new(struct store *st, uint64_t minute)
{
    const uint64_t s = heap_alloc(st, SKETCH_WORDS);
    if (!s)
        return 0;
    *store_word(st, s + SKETCH_NOW * WORD) = 0;
    *store_word(st, s + SKETCH_BEFORE * WORD) = 0;
    store_set(st, s, minute);
    return s;
}

void sketch_free(struct store *st, uint64_t sketch)
{
    free_pages(st, store_get(st, sketch + SKETCH_NOW * WORD));
    free_pages(st, store_get(st, sketch + SKETCH_BEFORE * WORD));
    heap_free(st, sketch, SKETCH_WORDS);
}

static void turn_windows(struct store *st, uint64_t sketch, uint64_t minute)
{
    const uint64_t age = minute - store_get(st, sketch);
    if (age == 0)
        return;
    uint64_t now = store_get(st, sketch + SKETCH_NOW * WORD);
    free_pages(st, store_get(st, sketch + SKETCH_BEFORE * WORD));
    if (age > 1) {
        free_pages(st, now);
        now = 0;
    }
    store_set(st, sketch + SKETCH_BEFORE * WORD, now);
    store_set(st, sketch + SKETCH_NOW * WORD, 0);
    store_set(st, sketch, minute);
}

int sketch_add(struct store *st, uint64_t sketch, double v, uint64_t minute)
{
    return sketch_add_n(st, sketch, v, 1, minute);
}

int sketch_add_n(struct store *st, uint64_t sketch, double v, uint64_t n, uint64_t minute)
{
    unsigned slot, pages;
    const uint64_t key = key_of(v, &slot), head = sketch + SKETCH_NOW * WORD;
    turn_windows(st, sketch, minute);
    uint64_t page = find_page(st, store_get(st, head), key, &pages);
    if (!page && pages < SKETCH_PAGES)
        page = add_page(st, head, key);
    if (!page)
        return -ERR_FULL;
    store_add(st, page + (PAGE_COUNTS + slot) * WORD, n);
    return 0;
}

/* ---- reading ---- */

struct gathered {
    struct {
        uint64_t page, key, total;
    } row[2 * SKETCH_PAGES];
    unsigned n;
    uint64_t total;
};

static uint64_t page_total(const struct store *st, uint64_t page)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < PAGE_SLOTS; i++)
        sum += store_get(st, page + (PAGE_COUNTS + i) * WORD);
    return sum;
}

/* Pages in ascending order of their key. */
static void gather(const struct store *st, uint64_t first, struct gathered *g)
{
    unsigned pages = 0;
    for (uint64_t p = first; p != 0 && pages++ < SKETCH_PAGES; p = store_get(st, p)) {
        if (!store_at(st, p, PAGE_WORDS * WORD))
            return;
        const uint64_t key = store_get(st, p + PAGE_KEY * WORD), total = page_total(st, p);
        unsigned at = g->n++;
        for (; at > 0 && g->row[at - 1].key > key; at--)
            g->row[at] = g->row[at - 1];
        g->row[at].page = p;
        g->row[at].key = key;
        g->row[at].total = total;
        g->total += total;
    }
}

/* The pages of both windows that are not too old. */
static void gather_windows(const struct store *st, uint64_t sketch, uint64_t minute,
                           struct gathered *g)
{
    g->n = 0;
    g->total = 0;
    if (!sketch || !store_at(st, sketch, SKETCH_WORDS * WORD))
        return;
    const uint64_t age = minute - store_get(st, sketch);
    if (age <= 1)
        gather(st, store_get(st, sketch + SKETCH_NOW * WORD), g);
    if (age == 0)
        gather(st, store_get(st, sketch + SKETCH_BEFORE * WORD), g);
}

static uint64_t rank_of(double q, uint64_t total)
{
    const uint64_t rank = (uint64_t)ceil(q * (double)total);
    return rank < 1 ? 1 : rank > total ? total : rank;
}

/* The value that has `rank` of a page's counts at or below it. */
static double value_at(const struct store *st, uint64_t page, uint64_t key, uint64_t rank)
{
    uint64_t seen = 0;
    unsigned s = 0;
    while (s < PAGE_SLOTS - 1 && (seen += store_get(st, page + (PAGE_COUNTS + s) * WORD)) < rank)
        s++;
    return middle_of(key, s);
}

void sketch_quantiles(const struct store *st, uint64_t sketch, const double *q, unsigned n,
                      uint64_t minute, double *out)
{
    struct gathered g;
    unsigned done = 0;
    uint64_t below = 0; /* counts of the pages before */
    gather_windows(st, sketch, minute, &g);
    for (unsigned i = 0; i < g.n && g.total > 0; below += g.row[i++].total)
        for (; done < n && rank_of(q[done], g.total) <= below + g.row[i].total; done++)
            out[done] =
                value_at(st, g.row[i].page, g.row[i].key, rank_of(q[done], g.total) - below);
    while (done < n)
        out[done++] = NAN;
}

double sketch_quantile(const struct store *st, uint64_t sketch, double q, uint64_t minute)
{
    double v;
    sketch_quantiles(st, sketch, &q, 1, minute, &v);
    return v;
}
