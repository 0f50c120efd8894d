#include "serve/pages.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "serve/expanse.h"
#include "serve/process.h"
#include "serve/squeeze.h"
#include "store/series.h"

enum {
    SLICE_MAX = 64 << 20,    /* bytes of one slice's text, never near */
    LOOP_SHARE = 8,          /* of a busy loop's time pages get one part in so many */
    SLICES_NS = 1000 * 1000, /* but never more at a time */
    VARIANTS = 4,            /* two formats, with and without gzip */
    PAGES_MAGIC = 0x70616765
};

static const uint64_t MEMORY_IDLE = 5 * NS_PER_S; /* and so long, unless the options say */

/* About 0.05 ms; with gzip 0.2 ms. */
static const struct prom_share plain_slice = {.lines = 4096, .bytes = PAGES_SLICE_BYTES};
static const struct prom_share gzip_slice = {.lines = 1024, .bytes = 64 << 10};

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
    struct expanse memory;   /* its text */
    size_t counted;          /* bytes of it in the owner's `used` */
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
    struct event *idle;            /* pending while memory is kept */
    uint64_t worked;               /* mono ns when the last slice ended */
    size_t used;                   /* bytes of all pages alive */
    unsigned alive;                /* pages */
    struct pages_work work_done;
    struct buf slice;     /* what is about to be compressed */
    struct expanse spare; /* of the newest page that was dropped */
};

static unsigned variant(enum prom_format format, bool gzip)
{
    return (unsigned)format * 2 + gzip;
}

static void later(struct event *e, uint64_t ns)
{
    const struct timeval tv = timeval_of(ns);
    event_add(e, &tv);
}

/* ---- memory of pages ---- */

static void give_back(struct pages *ps)
{
    expanse_fini(&ps->spare);
    buf_fini(&ps->slice);
}

static void on_idle(evutil_socket_t fd, short what, void *arg)
{
    struct pages *ps = arg;
    (void)fd;
    (void)what;
    assert(ps->magic == PAGES_MAGIC);
    const uint64_t began = clock_now().mono;
    give_back(ps);
    serve_spent(&ps->env, began);
}

static bool take_memory(struct pages *ps, struct expanse *memory)
{
    if (!ps->spare.map)
        return expanse_init(memory, ps->o.bytes);
    *memory = ps->spare;
    ps->spare = (struct expanse){0};
    return true;
}

/* Takes it: for the next page, if that comes soon. */
static void keep_memory(struct pages *ps, struct expanse *memory)
{
    if (ps->stopped || ps->spare.map || memory->text.max != ps->o.bytes) {
        expanse_fini(memory);
        return;
    }
    expanse_reset(memory, PAGES_KEPT);
    ps->spare = *memory;
    later(ps->idle, ps->o.memory_idle ? ps->o.memory_idle : MEMORY_IDLE);
}

/* ---- one page ---- */

struct str page_text(const struct page *page)
{
    return buf_str(&page->memory.text);
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
    if (page->memory.map)
        keep_memory(page->owner, &page->memory);
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
    ps->alive++;
    if (gzip)
        page->squeeze = squeeze_new();
    if (take_memory(ps, &page->memory) && (!gzip || page->squeeze))
        return page;
    page_drop(page);
    return NULL;
}

/* Counts its memory; false when all pages together are over the budget. */
static bool count(struct page *page)
{
    struct pages *ps = page->owner;
    const size_t now = expanse_bytes(&page->memory);
    ps->used += now - page->counted;
    page->counted = now;
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
    later(ps->expire, next - now);
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
    struct buf *text = &page->memory.text;
    struct pages_work *work = &page->owner->work_done;
    const size_t before = text->n;
    if (!page->gzip) {
        const bool more = prom_step(&page->at, text, &plain_slice);
        work->bytes += text->n - before;
        return more;
    }
    struct buf *slice = &page->owner->slice;
    buf_reset(slice);
    const bool more = prom_step(&page->at, slice, &gzip_slice);
    work->bytes += slice->n;
    squeeze_add(page->squeeze, buf_str(slice), !more, text);
    if (slice->failed)
        text->failed = true;
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
}

static void make_slice(struct pages *ps)
{
    struct page *page = TAILQ_FIRST(&ps->makings);
    const uint64_t began = clock_now().mono;
    const bool more = add_slice(page);
    hold_series(page, more ? page->at.series : 0);
    const bool fits = count(page) && !page->memory.text.failed;
    page->spent += clock_now().mono - began;
    ps->work_done.slices++;
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
    unsigned slices = 0;
    do
        make_slice(ps);
    while (!TAILQ_EMPTY(&ps->makings) && ++slices < PAGES_SLICES &&
           clock_now().mono - began < allowed);
    if (!TAILQ_EMPTY(&ps->makings))
        later(ps->work, 0);
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
    later(ps->work, 0);
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

struct pages_work pages_work(const struct pages *ps)
{
    return ps->work_done;
}

size_t pages_kept(const struct pages *ps)
{
    return ps->spare.map ? ps->spare.size : 0;
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
    give_back(ps);
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
    ps->idle = event_new(env->base, -1, 0, on_idle, ps);
    if (ps->work && ps->expire && ps->idle)
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
    if (ps->idle)
        event_free(ps->idle);
    give_back(ps);
    ps->magic = 0;
    free(ps);
}
