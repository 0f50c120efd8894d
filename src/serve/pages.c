#include "serve/pages.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "serve/process.h"
#include "serve/squeeze.h"
#include "store/series.h"

enum {
    SLICE_LINES = 512,       /* about 60 KB: 0.05 ms, with gzip 0.2 ms */
    SLICE_MAX = 64 << 20,    /* bound of one slice, never near */
    SLICE_KEEP = 256 << 10,  /* what is kept of its memory between pages */
    LOOP_SHARE = 8,          /* of a busy loop's time pages get one part in so many */
    SLICES_NS = 1000 * 1000, /* but never more at a time */
    VARIANTS = 4,            /* two formats, with and without gzip */
    PAGES_MAGIC = 0x70616765
};

struct page {
    TAILQ_ENTRY(page) link; /* while it is in the making */
    struct pages *owner;
    unsigned holds;
    enum prom_format format;
    bool gzip;
    bool begun;     /* its first slice is made */
    uint64_t asked; /* mono ns */
    uint64_t spent; /* ns in its slices */
    struct prom_page at;
    uint32_t held;           /* series that it comes to next: cannot be freed meanwhile */
    struct squeeze *squeeze; /* of a gzip page in the making */
    struct buf text;
    size_t counted; /* bytes of it in the owner's `used` */
    struct page_wait *first, **last;
};

struct pages {
    unsigned magic;
    bool stopped;
    struct serve_env env;
    struct pages_options o;
    double start_time;             /* of the process */
    TAILQ_HEAD(, page) makings;    /* each gets a slice in turn */
    struct page *cached[VARIANTS]; /* finished less than cache_ttl ago */
    struct event *work;            /* pending while a page is in the making */
    struct event *expire;          /* pending while one is cached */
    uint64_t worked;               /* mono ns when the last slice ended */
    size_t used;                   /* bytes of all pages alive */
    unsigned alive;                /* pages */
    struct buf slice;              /* what is about to be compressed */
};

static unsigned variant(enum prom_format format, bool gzip)
{
    return (unsigned)format * 2 + gzip;
}

static void at_once(struct event *e)
{
    const struct timeval now = {0};
    event_add(e, &now);
}

/* ---- one page ---- */

struct str page_text(const struct page *page)
{
    return buf_str(&page->text);
}

enum prom_format page_format(const struct page *page)
{
    return page->format;
}

bool page_gzip(const struct page *page)
{
    return page->gzip;
}

struct page *page_hold(struct page *page)
{
    page->holds++;
    return page;
}

void page_drop(struct page *page)
{
    if (!page || --page->holds > 0)
        return;
    page->owner->used -= page->counted;
    page->owner->alive--;
    squeeze_free(page->squeeze);
    buf_fini(&page->text);
    free(page);
}

static struct page *page_new(struct pages *ps, enum prom_format format, bool gzip)
{
    struct page *page = calloc(1, sizeof *page);
    if (!page)
        return NULL;
    page->owner = ps;
    page->holds = 1;
    page->format = format;
    page->gzip = gzip;
    page->asked = clock_now().mono;
    page->last = &page->first;
    buf_init(&page->text, ps->o.bytes);
    ps->alive++;
    if (gzip)
        page->squeeze = squeeze_new();
    if (!gzip || page->squeeze)
        return page;
    page_drop(page);
    return NULL;
}

/* Counts its memory; false when all pages together are over the budget. */
static bool count(struct page *page)
{
    struct pages *ps = page->owner;
    ps->used += page->text.cap - page->counted;
    page->counted = page->text.cap;
    return ps->used <= ps->o.bytes;
}

/* ---- what is kept for a while ---- */

static void forget(struct pages *ps, unsigned v)
{
    page_drop(ps->cached[v]);
    ps->cached[v] = NULL;
}

static bool fresh(const struct pages *ps, const struct page *page, uint64_t now)
{
    return page && now - page->asked < ps->o.cache_ttl;
}

/* Drops what is too old and comes again for the rest. */
static void expire(struct pages *ps, uint64_t now)
{
    uint64_t next = 0;
    for (unsigned v = 0; v < VARIANTS; v++) {
        if (ps->cached[v] && !fresh(ps, ps->cached[v], now))
            forget(ps, v);
        const uint64_t end = ps->cached[v] ? ps->cached[v]->asked + ps->o.cache_ttl : 0;
        if (end && (!next || end < next))
            next = end;
    }
    if (!next)
        return;
    const uint64_t us = (next - now) / NS_PER_US + 1;
    const struct timeval tv = {.tv_sec = (time_t)(us / 1000000),
                               .tv_usec = (suseconds_t)(us % 1000000)};
    event_add(ps->expire, &tv);
}

static void on_expire(evutil_socket_t fd, short what, void *arg)
{
    struct pages *ps = arg;
    (void)fd;
    (void)what;
    assert(ps->magic == PAGES_MAGIC);
    const uint64_t now = clock_now().mono;
    expire(ps, now);
    serve_spent(&ps->env, now);
}

static void keep(struct pages *ps, struct page *page)
{
    const unsigned v = variant(page->format, page->gzip);
    if (ps->o.cache_ttl == 0)
        return;
    forget(ps, v);
    ps->cached[v] = page_hold(page);
    expire(ps, clock_now().mono);
}

/* ---- making ---- */

/* Brings what is read off the process and the store into the own metrics. */
static void begin(struct page *page)
{
    const struct pages *ps = page->owner;
    pipeline_refresh(ps->env.pl);
    process_refresh(&ps->env.pl->own, ps->start_time);
    store_commit(ps->env.pl->st);
    prom_begin(&page->at, ps->env.pl->st, page->format, clock_now().mono);
    page->at.exemplars = &ps->env.pl->exemplars;
    page->begun = true;
}

/* Between two slices the sweep may free series, but not the one that the page
 * comes to next. */
static void hold_series(struct page *page, uint32_t series)
{
    struct store *st = page->owner->env.pl->st;
    if (series)
        series_hold(st, series);
    if (page->held)
        series_let_go(st, page->held);
    page->held = series;
}

/* True while more is to come. */
static bool add_slice(struct page *page)
{
    if (!page->begun)
        begin(page);
    if (!page->gzip)
        return prom_step(&page->at, &page->text, SLICE_LINES);
    struct buf *slice = &page->owner->slice;
    buf_reset(slice);
    const bool more = prom_step(&page->at, slice, SLICE_LINES);
    squeeze_add(page->squeeze, buf_str(slice), !more, &page->text);
    if (slice->failed)
        page->text.failed = true;
    return more;
}

/* Takes it out of the making and tells who waits; `page` may be gone then. */
static void finish(struct page *page, bool ok)
{
    struct pages *ps = page->owner;
    struct page_wait *w = page->first;
    TAILQ_REMOVE(&ps->makings, page, link);
    hold_series(page, 0);
    squeeze_free(page->squeeze);
    page->squeeze = NULL;
    page->first = NULL;
    page->last = &page->first;
    if (ok) {
        buf_trim(&page->text);
        count(page);
        keep(ps, page);
        own_setf(&ps->env.pl->own, OWN_SCRAPE_SECONDS, (double)page->spent / (double)NS_PER_S);
        store_commit(ps->env.pl->st);
    }
    while (w) {
        struct page_wait *next = w->next;
        w->ready(w, ok ? page_hold(page) : NULL);
        w = next;
    }
    page_drop(page);
    if (TAILQ_EMPTY(&ps->makings) && ps->slice.cap > SLICE_KEEP)
        buf_fini(&ps->slice);
}

static void make_slice(struct pages *ps)
{
    struct page *page = TAILQ_FIRST(&ps->makings);
    const uint64_t began = clock_now().mono;
    const bool more = add_slice(page);
    hold_series(page, more ? page->at.series : 0);
    const bool fits = count(page) && !page->text.failed;
    page->spent += clock_now().mono - began;
    if (!more || !fits) {
        finish(page, fits);
        return;
    }
    TAILQ_REMOVE(&ps->makings, page, link);
    TAILQ_INSERT_TAIL(&ps->makings, page, link);
}

/* At least one slice a turn. When the other callbacks take long, turns are rare,
 * and a page of many slices would take for ever: it gets a share of the time. */
static void on_work(evutil_socket_t fd, short what, void *arg)
{
    struct pages *ps = arg;
    (void)fd;
    (void)what;
    assert(ps->magic == PAGES_MAGIC);
    const uint64_t began = clock_now().mono;
    uint64_t allowed = (began - ps->worked) / LOOP_SHARE;
    if (allowed > SLICES_NS)
        allowed = SLICES_NS;
    do
        make_slice(ps);
    while (!TAILQ_EMPTY(&ps->makings) && clock_now().mono - began < allowed);
    if (!TAILQ_EMPTY(&ps->makings))
        at_once(ps->work);
    ps->worked = clock_now().mono;
    serve_spent(&ps->env, began);
}

/* ---- asking ---- */

static struct page *find_making(struct pages *ps, enum prom_format format, bool gzip)
{
    struct page *page;
    TAILQ_FOREACH(page, &ps->makings, link)
    if (page->format == format && page->gzip == gzip)
        return page;
    return NULL;
}

static struct page *start_making(struct pages *ps, enum prom_format format, bool gzip)
{
    struct page *page = ps->used < ps->o.bytes ? page_new(ps, format, gzip) : NULL;
    if (!page)
        return NULL;
    TAILQ_INSERT_TAIL(&ps->makings, page, link);
    at_once(ps->work);
    return page;
}

void pages_ask(struct pages *ps, enum prom_format format, bool gzip, struct page_wait *w)
{
    struct page *cached = ps->cached[variant(format, gzip)];
    struct page *page = find_making(ps, format, gzip);
    w->next = NULL;
    if (!page && fresh(ps, cached, clock_now().mono)) {
        w->ready(w, page_hold(cached));
        return;
    }
    if (!page && !ps->stopped)
        page = start_making(ps, format, gzip);
    if (!page) {
        w->ready(w, NULL);
        return;
    }
    *page->last = w;
    page->last = &w->next;
}

bool pages_busy(const struct pages *ps)
{
    return !TAILQ_EMPTY(&ps->makings);
}

/* ---- life ---- */

void pages_set_options(struct pages *ps, const struct pages_options *o)
{
    ps->o = *o;
    if (ps->o.bytes == 0)
        ps->o.bytes = PAGES_BYTES_DEFAULT;
    for (unsigned v = 0; v < VARIANTS; v++)
        forget(ps, v);
}

struct pages *pages_new(const struct serve_env *env, const struct pages_options *o)
{
    struct pages *ps = calloc(1, sizeof *ps);
    if (!ps)
        return NULL;
    ps->magic = PAGES_MAGIC;
    ps->env = *env;
    ps->start_time = process_start_time();
    TAILQ_INIT(&ps->makings);
    buf_init(&ps->slice, SLICE_MAX);
    pages_set_options(ps, o);
    ps->work = event_new(env->base, -1, 0, on_work, ps);
    ps->expire = event_new(env->base, -1, 0, on_expire, ps);
    if (ps->work && ps->expire)
        return ps;
    pages_free(ps);
    return NULL;
}

void pages_stop(struct pages *ps)
{
    ps->stopped = true;
    ps->o.cache_ttl = 0;
    while (!TAILQ_EMPTY(&ps->makings))
        finish(TAILQ_FIRST(&ps->makings), false);
    for (unsigned v = 0; v < VARIANTS; v++)
        forget(ps, v);
}

void pages_free(struct pages *ps)
{
    if (!ps)
        return;
    assert(ps->alive == 0);
    if (ps->work)
        event_free(ps->work);
    if (ps->expire)
        event_free(ps->expire);
    buf_fini(&ps->slice);
    ps->magic = 0;
    free(ps);
}
