#include "cli/observer.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/recording.h"
#include "cli/report.h"

enum {
    NICE = 5,         /* the conversation comes first */
    LOOK_MS = 200,    /* how long notes gather */
    BUSY = 8192,      /* bytes of notes in this time that only a busy conversation has */
    TICK_MS = 1000,   /* while requests wait */
    USAGE_MS = 5000,  /* between looks at the server's processes */
    FLUSH_MS = 1000,  /* at the end, with the daemon there */
    LINGER_MS = 3000, /* at the end, for a daemon that may be starting */
};

struct observer {
    const struct observer_options *options;
    struct tee_reader *tee;
    struct mcp_session session;
    struct report *report;
    struct recording recording;
    uint64_t lost[TEE_STREAMS]; /* as last heard of */
    bool heard[TEE_STREAMS];
    pid_t server; /* 0: not running, or not known */
    bool exited;
    int status;                                /* 0 while not exited */
    bool news;                                 /* notes have been read since the daemon was told */
    struct when look_due, tick_due, usage_due; /* mono 0: not */
};

static struct when later(struct when now, unsigned ms)
{
    now.mono += ms * NS_PER_MS;
    return now;
}

static bool is_due(struct when at, struct when now)
{
    return at.mono && now.mono >= at.mono;
}

/* ---- notes ---- */

/* What was missed before this note, also by an observer before this one. */
static void note_gap(struct observer *o, const struct tee_head *note)
{
    const enum tee_stream s = (enum tee_stream)note->stream;
    uint64_t lost = note->lost - o->lost[s];
    bool mid_line = !o->heard[s] && note->kind == TEE_DATA && !note->line_start;
    o->heard[s] = true;
    o->lost[s] = note->lost;
    if (lost == 0 && !mid_line)
        return;
    recording_lost(&o->recording, s, lost, note->when);
    if (s != TEE_STDERR)
        mcp_session_lost(&o->session, s == TEE_UP ? MCP_UP : MCP_DOWN, lost, note->line_start,
                         note->when);
}

static void take_data(struct observer *o, const struct tee_head *note)
{
    const enum tee_stream s = (enum tee_stream)note->stream;
    const char *data = (const char *)(note + 1);
    recording_data(&o->recording, s, data, note->size, note->when);
    if (s == TEE_STDERR)
        mcp_session_stderr(&o->session, data, note->size);
    else
        mcp_session_feed(&o->session, s == TEE_UP ? MCP_UP : MCP_DOWN, data, note->size,
                         note->when);
}

static void take_eof(struct observer *o, const struct tee_head *note)
{
    const enum tee_stream s = (enum tee_stream)note->stream;
    recording_eof(&o->recording, s, note->when);
    if (s != TEE_STDERR)
        mcp_session_close(&o->session, s == TEE_UP ? MCP_UP : MCP_DOWN, note->when);
}

static void take_exit(struct observer *o, const struct tee_head *note)
{
    o->exited = true;
    o->status = note->value;
    o->server = 0;
    recording_exit(&o->recording, o->status, note->when);
}

static void take_note(struct observer *o, const struct tee_head *note)
{
    assert(note->stream < TEE_STREAMS);
    if (note->kind <= TEE_LOST)
        note_gap(o, note);
    switch ((enum tee_kind)note->kind) {
    case TEE_DATA:
        take_data(o, note);
        break;
    case TEE_EOF:
        take_eof(o, note);
        break;
    case TEE_LOST:
    case TEE_SKIP:
        break;
    case TEE_STARTED:
    case TEE_RESUMED:
        o->server = note->value;
        report_started(o->report, note->kind == TEE_RESUMED);
        break;
    case TEE_EXITED:
        take_exit(o, note);
        break;
    }
}

/* At all that there is. What comes meanwhile is taken too, so that the ring becomes empty; a
 * ring's worth at most, so that nothing else that is due is late. */
static void look(struct observer *o)
{
    const uint64_t from = o->tee->head;
    const struct tee_head *note;
    while (o->tee->head - from < TEE_RING && tee_look(o->tee)) {
        o->news = true;
        while ((note = tee_next(o->tee)))
            take_note(o, note);
    }
    if (o->tee->head - from > BUSY)
        tee_ready(o->tee, TEE_MANY + TEE_MANY / 2);
}

/* ---- the loop ---- */

static void tell(struct observer *o, struct when now)
{
    mcp_session_tick(&o->session, now);
    report_session(o->report, &o->session, now);
    bool waiting = mcp_session_oldest(&o->session, now) > 0;
    o->tick_due = waiting ? later(now, TICK_MS) : (struct when){0};
}

static void keep_house(struct observer *o, struct when now)
{
    struct usage usage;
    const bool looked = is_due(o->look_due, now);
    if (is_due(o->tick_due, now) || (looked && o->news))
        tell(o, now);
    if (looked) {
        o->look_due = o->news ? later(now, LOOK_MS) : (struct when){0};
        o->news = false;
    }
    if (is_due(o->usage_due, now)) {
        if (o->server && usage_read(&usage, o->server))
            report_usage(o->report, &usage);
        o->usage_due = later(now, USAGE_MS);
    }
    if (!recording_flush(&o->recording))
        report_trouble(o->report, "the recording cannot be written and ends here");
}

/* Milliseconds until the next of the things that are due, and `wish` at most
 * unless that is negative. */
static int time_left(const struct observer *o, struct when now, int wish)
{
    const struct when due[] = {o->look_due, o->tick_due, o->usage_due};
    int least = wish;
    for (unsigned i = 0; i < sizeof due / sizeof *due; i++) {
        if (!due[i].mono)
            continue;
        uint64_t left = due[i].mono > now.mono ? due[i].mono - now.mono : 0;
        int ms = (int)((left + NS_PER_MS - 1) / NS_PER_MS);
        least = least < 0 || ms < least ? ms : least;
    }
    return least;
}

/* A silence ends with a kick, and notes gather from then on: it would slow the conversation
 * down to look at each. Then we look when it is time, or are kicked before the ring is full.
 * The daemon's answers wake us as well, and change nothing in that. */
static bool wait_for_kick(struct observer *o)
{
    const unsigned unread = o->look_due.mono ? TEE_MANY : 0;
    const bool armed = tee_arm(o->tee, unread);
    struct pollfd p[] = {
        {.fd = o->tee->fd, .events = POLLIN},
        {.fd = o->tee->kick, .events = POLLIN},
        {.fd = report_fd(o->report), .events = POLLIN},
    };
    const int left = time_left(o, clock_now(), report_poll(o->report));
    const int n = poll(p, sizeof p / sizeof *p, armed ? left : 0);
    return !armed || (n > 0 && (p[0].revents || p[1].revents) && tee_kicked(o->tee));
}

static void turn(struct observer *o)
{
    const bool quiet = !o->look_due.mono, kicked = wait_for_kick(o);
    const struct when now = clock_now();
    if (kicked && quiet)
        o->look_due = later(now, LOOK_MS);
    else if (kicked || is_due(o->look_due, now))
        look(o);
    keep_house(o, now);
}

/* ---- beginning and end ---- */

static bool begin(struct observer *o)
{
    struct when now = clock_now();
    struct mcp_limits limits;
    mcp_limits_default(&limits);
    o->report = report_new(o->options->service, o->options->socket, getenv("TRACEPARENT"),
                           o->options->stamp);
    if (!o->report || mcp_session_init(&o->session, &limits, report_sink(), o->report) != 0)
        return false;
    recording_begin(&o->recording, o->options->record, o->options->service, now);
    tee_ready(o->tee, 2 * BUSY);
    o->usage_due = later(now, USAGE_MS / 10);
    return true;
}

/* The relay waits, not long, for the tee to be closed: with no daemon there
 * is nothing to wait for, and whatever is left to do is done on our own time. */
static void end(struct observer *o)
{
    struct when now = clock_now();
    look(o);
    mcp_session_end(&o->session, report_manner(&o->session, o->status), now);
    report_session(o->report, &o->session, now);
    if (o->exited)
        report_exited(o->report, o->status);
    recording_end(&o->recording);
    bool there = report_connected(o->report);
    if (there)
        report_flush(o->report, FLUSH_MS);
    tee_reader_close(o->tee);
    report_free(o->report, LINGER_MS);
    mcp_session_fini(&o->session);
}

/* Ends when the relay does, and not of the signals that end a whole group. */
static void settle(void)
{
    static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGTSTP};
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        sigaction(ignored[i], &ignore, NULL);
    setsid();
    setpriority(PRIO_PROCESS, 0, NICE);
    sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
}

int observer_run(void *arg, struct tee_reader *tee)
{
    struct observer *o = calloc(1, sizeof *o);
    settle();
    if (!o)
        return EXIT_FAILURE;
    o->options = arg;
    o->tee = tee;
    if (!begin(o))
        return EXIT_FAILURE;
    while (!tee->over)
        turn(o);
    end(o);
    free(o);
    return EXIT_SUCCESS;
}
