/* pages: makes metrics pages, slice by slice over the turns of the loop. Floor 4.
 *
 * Who asks for the same page (format and compression) while one is in the making
 * shares it; with a cache_ttl also one that was begun that long ago. All pages
 * alive, also those that slow readers still receive, share one budget of memory.
 *
 * Memory of a page is used again when the next one comes soon; some of it is kept that
 * long.
 *
 * A page in the making holds the series that it comes to next, so series may
 * expire meanwhile. */
#ifndef MCPTALLY_SERVE_PAGES_H
#define MCPTALLY_SERVE_PAGES_H

#include "format/prom.h"
#include "serve/env.h"

struct pages;
struct page;

enum {
    PAGES_BYTES_DEFAULT = 64 << 20,
    PAGES_KEPT = 4 << 20, /* bytes of a page's memory that are kept for the next one */
};

struct pages_options {
    uint64_t cache_ttl;   /* ns; 0: only a page in the making is shared */
    size_t bytes;         /* of all pages alive; 0: PAGES_BYTES_DEFAULT */
    uint64_t memory_idle; /* ns that memory is kept for another page; 0: a default */
};

/* Who waits for a page; embedded in what the caller has. `ready` is called once,
 * with a page that is good until page_drop(), or with NULL when memory is out. */
struct page_wait {
    void (*ready)(struct page_wait *w, struct page *page);
    struct page_wait *next;
};

/* NULL when memory is out. */
struct pages *pages_new(const struct serve_env *env, const struct pages_options *o);

/* The stop has two steps, for the ports hold pages: no page is made from now on,
 * and whoever waits gets NULL; when all pages are dropped, free. */
void pages_stop(struct pages *ps);
void pages_free(struct pages *ps);

void pages_set_options(struct pages *ps, const struct pages_options *o);
bool pages_busy(const struct pages *ps);   /* a page is in the making */
size_t pages_kept(const struct pages *ps); /* bytes of address space that wait for a page */

/* Work since they began. A turn of the loop does at most PAGES_SLICES of them, of which one comes
 * to PAGES_SLICE_BYTES and a series more, the first one of a page to all of our own metrics. */
enum { PAGES_SLICES = 16, PAGES_SLICE_BYTES = 128 << 10 };
struct pages_work {
    uint64_t slices, bytes; /* bytes: before they are compressed */
};
struct pages_work pages_work(const struct pages *ps);

/* Calls w->ready, now when a page is there, else when it is made. */
void pages_ask(struct pages *ps, enum prom_format format, bool gzip, struct page_wait *w);

struct str page_text(const struct page *page);
enum prom_format page_format(const struct page *page);
bool page_gzip(const struct page *page);

/* One more hold, and the end of one. */
struct page *page_hold(struct page *page);
void page_drop(struct page *page);

#endif
