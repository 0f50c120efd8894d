/* The names of all processes: one walk through /proc, some at a time, answers everybody who
 * waits, and for a second those who come later. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "probe/run.h"
#include "serve/procfile.h"

enum {
    STEP = 32,         /* processes of one turn: about 0.3 ms */
    NAME = 15,         /* bytes of a name that the kernel keeps */
    NAMES_MAX = 65536, /* processes whose names are kept */
};
#define FRESH NS_PER_S

struct names {
    struct probes *all;
    struct event *turn;
    DIR *dir; /* NULL: no walk */
    struct buf hashes;
    uint64_t walked; /* mono ns when the newest walk ended; 0: never */
    bool hidden;
    struct name_wait *waiting;
};

static uint64_t hash_of(const char *name)
{
    const size_t n = strnlen(name, NAME);
    return hash_bytes(name, n, 0);
}

static bool is_there(const struct names *n, const char *name)
{
    const uint64_t h = hash_of(name);
    const uint64_t *all = (const uint64_t *)(const void *)n->hashes.p;
    for (size_t i = 0; i < n->hashes.n / sizeof h; i++)
        if (all[i] == h)
            return true;
    return false;
}

/* The state of a process comes after its name, which may hold anything but that it ends with
 * the last parenthesis. A dead one that nobody has waited for does not count. */
static void note(struct names *n, const char *pid)
{
    char path[300], text[512];
    snprintf(path, sizeof path, "%s/%s/stat", n->all->env.proc, pid);
    if (!procfile_read(path, text, sizeof text))
        return;
    char *name = strchr(text, '('), *end = strrchr(text, ')');
    if (!name || !end || end < name || strchr("ZXx", end[1] ? end[2] : 'X'))
        return;
    *end = '\0';
    const uint64_t h = hash_of(name + 1);
    buf_add(&n->hashes, &h, sizeof h);
}

static void answer_all(struct names *n)
{
    struct name_wait *w = n->waiting;
    n->waiting = NULL;
    while (w) {
        struct name_wait *next = w->next;
        w->waits = false;
        w->done(w->arg, is_there(n, w->name), n->hidden);
        w = next;
    }
}

static void end_walk(struct names *n)
{
    char path[300];
    closedir(n->dir);
    n->dir = NULL;
    snprintf(path, sizeof path, "%s/1", n->all->env.proc);
    n->hidden = access(path, F_OK) < 0;
    n->walked = clock_now().mono;
    answer_all(n);
}

/* False at the end. */
static bool step(struct names *n)
{
    for (int i = 0; i < STEP;) {
        const struct dirent *e = readdir(n->dir);
        if (!e)
            return false;
        if (e->d_name[0] < '1' || e->d_name[0] > '9')
            continue;
        note(n, e->d_name);
        i++;
    }
    return true;
}

static void begin_walk(struct names *n)
{
    n->dir = opendir(n->all->env.proc);
    buf_reset(&n->hashes);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct names *n = arg;
    const uint64_t began = clock_now().mono;
    (void)fd;
    (void)what;
    if (!n->dir && n->walked && began - n->walked < FRESH) {
        answer_all(n);
        return;
    }
    if (!n->dir)
        begin_walk(n);
    if (!n->dir) {
        n->hidden = true;
        answer_all(n);
    } else if (step(n)) {
        event_active(n->turn, EV_TIMEOUT, 0);
    } else {
        end_walk(n);
    }
    probe_spent(n->all, began);
}

void names_ask(struct names *n, struct name_wait *w)
{
    w->next = n->waiting;
    w->waits = true;
    n->waiting = w;
    event_active(n->turn, EV_TIMEOUT, 0);
}

void names_forget(struct names *n, struct name_wait *w)
{
    for (struct name_wait **p = &n->waiting; w->waits && *p; p = &(*p)->next) {
        if (*p != w)
            continue;
        *p = w->next;
        w->waits = false;
        return;
    }
}

struct names *names_new(struct probes *all)
{
    struct names *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->all = all;
    buf_init(&n->hashes, NAMES_MAX * sizeof(uint64_t));
    n->turn = event_new(all->env.base, -1, 0, on_turn, n);
    if (n->turn)
        return n;
    free(n);
    return NULL;
}

void names_free(struct names *n)
{
    if (n->dir)
        closedir(n->dir);
    event_free(n->turn);
    buf_fini(&n->hashes);
    free(n);
}
