/* The spools of a helper, by name. A run of appends is made durable by one sync. */
#include <stdlib.h>
#include <sys/random.h>

#include "helper/child.h"

enum {
    SPOOLS = 64, /* as many as there can be destinations */
    RUN = 64,    /* appends that one sync makes durable */
};

struct entry {
    char name[MESSAGE_NAME];
    struct spool_options options;
    struct disk disk;
    struct spool *spool; /* NULL: not open; tried again by each question */
    int error;           /* why not */
};

struct spools {
    const char *state_dir;
    struct answers *answers;
    struct entry entries[SPOOLS];
    unsigned n;
    struct entry *of_run;
    struct message run[RUN]; /* answers that wait for the sync */
    unsigned nrun;
};

struct spools *spools_new(const char *state_dir, struct answers *answers)
{
    struct spools *all = calloc(1, sizeof *all);
    if (!all)
        return NULL;
    all->state_dir = state_dir;
    all->answers = answers;
    return all;
}

static void shut(struct entry *e)
{
    spool_close(e->spool);
    e->spool = NULL;
    disk_close(&e->disk);
}

void spools_free(struct spools *all)
{
    spools_flush(all);
    for (unsigned i = 0; i < all->n; i++)
        shut(&all->entries[i]);
    free(all);
}

static struct entry *find(struct spools *all, const char *name)
{
    for (unsigned i = 0; i < all->n; i++)
        if (strcmp(all->entries[i].name, name) == 0)
            return &all->entries[i];
    return NULL;
}

static int open_entry(struct spools *all, struct entry *e)
{
    struct spool_io io;
    if (e->spool)
        return 0;
    if (getrandom(&e->options.salt, sizeof e->options.salt, GRND_NONBLOCK) < 0)
        e->options.salt = clock_now().mono;
    e->error = disk_open(&e->disk, all->state_dir, e->name);
    if (e->error < 0)
        return e->error;
    disk_io(&e->disk, &io);
    e->error = spool_open(&e->spool, &io, &e->options, clock_now());
    if (e->error < 0)
        disk_close(&e->disk);
    return e->error;
}

/* A spool that is opened again gets its new options. */
static int on_open(struct spools *all, const struct message *q, struct entry **to)
{
    struct entry *e = find(all, q->name);
    if (!e) {
        if (all->n == SPOOLS || !message_name(q->name))
            return all->n == SPOOLS ? -ERR_FULL : -ERR_NAME;
        e = &all->entries[all->n++];
        memcpy(e->name, q->name, sizeof e->name);
        e->disk.dir = -1;
    } else {
        shut(e);
    }
    e->options = q->options;
    *to = e;
    return open_entry(all, e);
}

static void send_answer(struct spools *all, const struct entry *e, struct message *m,
                        const char *payload)
{
    if (e && e->spool)
        spool_stats(e->spool, &m->stats);
    answers_send(all->answers, m, payload);
}

void spools_flush(struct spools *all)
{
    struct entry *e = all->of_run;
    if (!e)
        return;
    const int r = e->spool ? spool_sync(e->spool) : -ERR_CLOSED;
    for (unsigned i = 0; i < all->nrun; i++) {
        all->run[i].error = r;
        send_answer(all, e, &all->run[i], NULL);
    }
    all->nrun = 0;
    all->of_run = NULL;
}

static void append(struct spools *all, struct entry *e, struct message *m, struct str payload)
{
    m->error = spool_append(e->spool, m->signal, m->items, payload, clock_now(), &m->seq);
    if (m->error < 0) {
        spools_flush(all); /* answers in the order of the questions */
        send_answer(all, e, m, NULL);
        return;
    }
    all->of_run = e;
    all->run[all->nrun++] = *m;
    if (all->nrun == RUN)
        spools_flush(all);
}

static void read_record(struct spools *all, struct entry *e, struct message *m)
{
    struct spool_record r = {0};
    const int found = spool_read(e->spool, m->seq, &r);
    const bool fits = r.payload.n <= HELPER_PAYLOAD;
    m->error = found < 0 ? found : !fits ? -ERR_RANGE : 0;
    m->seq = found > 0 ? r.seq : 0;
    m->written = r.written;
    m->items = r.items;
    m->signal = r.signal;
    m->size = found > 0 && fits ? (uint32_t)r.payload.n : 0;
    send_answer(all, e, m, r.payload.p);
}

void spools_ask(struct spools *all, const struct message *question, const char *payload)
{
    struct message m = *question;
    struct entry *e = find(all, m.name);
    m.size = 0;
    if (m.kind != MESSAGE_APPEND || e != all->of_run)
        spools_flush(all);
    if (m.kind == MESSAGE_OPEN)
        m.error = on_open(all, question, &e);
    else
        m.error = e ? open_entry(all, e) : -ERR_NOTFOUND;
    if (m.error == 0 && m.kind != MESSAGE_APPEND)
        spool_trim(e->spool, clock_now());
    if (m.error == 0 && m.kind == MESSAGE_APPEND) {
        append(all, e, &m, (struct str){payload, question->size});
        return;
    }
    if (m.error == 0 && m.kind == MESSAGE_READ) {
        read_record(all, e, &m);
        return;
    }
    if (m.error == 0 && m.kind == MESSAGE_FINISH)
        m.error = spool_done(e->spool, m.seq);
    send_answer(all, e, &m, NULL);
}
