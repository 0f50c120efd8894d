#include "daemon/appender.h"

void appender_init(struct appender *a, unsigned slot, const char *path,
                   const struct helper_lines_options *o, const struct appender_owner *owner)
{
    *a = (struct appender){.slot = slot, .path = path, .o = *o, .owner = *owner};
    buf_init(&a->waiting, APPENDER_BYTES);
    buf_init(&a->flying, APPENDER_BYTES);
}

/* To the owner, the older ones first. What waits goes too: after a failure it would be part of
 * what the owner tries the file with, and that is not missed when it fails. */
static void give_back(struct appender *a)
{
    struct buf *const bufs[] = {&a->flying, &a->waiting};
    for (unsigned i = 0; i < sizeof bufs / sizeof *bufs; i++)
        if (bufs[i]->n > 0) {
            a->owner.back(a->owner.arg, buf_str(bufs[i]));
            buf_reset(bufs[i]);
        }
}

/* What was under way goes before what waits, or both to the owner. */
static void take_back(struct appender *a)
{
    struct buf all;
    if (a->owner.back) {
        give_back(a);
        return;
    }
    if (a->flying.n == 0)
        return;
    buf_init(&all, APPENDER_BYTES);
    buf_addstr(&all, buf_str(&a->flying));
    buf_addstr(&all, buf_str(&a->waiting));
    if (all.failed) { /* memory is out: they are tried again as they are */
        buf_fini(&all);
        return;
    }
    buf_fini(&a->waiting);
    a->waiting = all;
    buf_reset(&a->flying);
}

static void fail(struct appender *a, int error)
{
    a->state = APPENDER_SHUT;
    take_back(a);
    a->owner.failed(a->owner.arg, error);
}

static void on_added(void *arg, int error, struct str tail);

static void add_more(struct appender *a)
{
    if (a->state != APPENDER_OPEN || a->adding)
        return;
    if (a->flying.n == 0) {
        const struct buf empty = a->flying;
        a->flying = a->waiting;
        a->waiting = empty;
    }
    if (a->flying.n == 0)
        return;
    a->adding = helper_lines_add(a->helper, a->slot, buf_str(&a->flying), on_added, a);
    if (!a->adding)
        fail(a, -ERR_NOMEM);
}

static void on_added(void *arg, int error, struct str tail)
{
    struct appender *a = arg;
    (void)tail;
    a->adding = NULL;
    if (error < 0) {
        fail(a, error);
        return;
    }
    buf_reset(&a->flying);
    a->owner.added(a->owner.arg);
    if (a->waiting.n == 0) {
        buf_trim(&a->flying);
        buf_trim(&a->waiting);
    }
    add_more(a);
}

static void on_opened(void *arg, int error, struct str tail)
{
    struct appender *a = arg;
    a->opening = NULL;
    if (error < 0) {
        fail(a, error);
        return;
    }
    a->state = APPENDER_OPEN;
    a->owner.opened(a->owner.arg, tail);
    add_more(a);
}

static void open_file(struct appender *a)
{
    if (!a->helper || a->opening)
        return;
    if (a->state == APPENDER_SHUT)
        a->state = APPENDER_OPENING;
    a->opening = helper_lines_open(a->helper, a->slot, a->path, &a->o, on_opened, a);
    if (!a->opening)
        fail(a, -ERR_NOMEM);
}

void appender_start(struct appender *a, struct helper *h)
{
    a->helper = h;
    open_file(a);
}

void appender_set(struct appender *a, const char *path, const struct helper_lines_options *o)
{
    a->path = path;
    a->o = *o;
}

bool appender_add(struct appender *a, struct str line)
{
    if (a->flying.n + a->waiting.n + line.n > APPENDER_BYTES)
        return false;
    buf_addstr(&a->waiting, line);
    if (a->waiting.failed) {
        a->waiting.failed = false;
        return false;
    }
    add_more(a);
    return true;
}

void appender_reopen(struct appender *a)
{
    open_file(a);
}

void appender_tick(struct appender *a)
{
    if (a->state == APPENDER_SHUT)
        open_file(a);
}

const char *appender_error(int error)
{
    switch (error) {
    case -ERR_FULL:
        return "no space is left";
    case -ERR_NOTFOUND:
        return "its directory is not there";
    case -ERR_PERM:
        return "not permitted, or no regular file";
    case -ERR_CLOSED:
        return "the helper process has ended";
    case -ERR_IO:
        return "the disk fails";
    default:
        return err_help(error);
    }
}

bool appender_busy(const struct appender *a)
{
    return a->helper && a->state != APPENDER_SHUT &&
           (a->opening || a->adding || a->waiting.n || a->flying.n);
}

void appender_stop(struct appender *a)
{
    helper_forget(a->opening);
    helper_forget(a->adding);
    a->opening = a->adding = NULL;
    a->helper = NULL;
    a->state = APPENDER_SHUT;
}

void appender_fini(struct appender *a)
{
    appender_stop(a);
    if (a->owner.back)
        give_back(a);
    buf_fini(&a->flying);
    buf_fini(&a->waiting);
}
