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
    LOOK_MS = 50,     /* how long packets gather while there is traffic */
    PACKETS = 64,     /* read in one turn at most */
    REPORT_MS = 200,  /* from traffic to the counters that tell of it */
    TICK_MS = 1000,   /* while requests wait */
    USAGE_MS = 5000,  /* between looks at the server's processes */
    FLUSH_MS = 1000,  /* at the end, with the daemon there */
    LINGER_MS = 3000, /* at the end, for a daemon that may be starting */
};

struct observer {
    const struct observer_options *options;
    int socket, kick;
    struct mcp_session session;
    struct report *report;
    struct recording recording;
    uint64_t lost[TEE_STREAMS]; /* as last heard of */
    bool heard[TEE_STREAMS];
    pid_t server; /* 0: not running, or not known */
    bool over;    /* the relay has closed its end */
    bool exited;
    int status;                                  /* 0 while not exited */
    struct when report_due, tick_due, usage_due; /* mono 0: not */
    struct when look_due;                        /* mono 0: a packet wakes us */
    struct tee_head head;                        /* of the note in hand */
    const char *data;
    char packet[TEE_PACKET];
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
static void note_gap(struct observer *o, enum tee_stream s)
{
    const struct tee_head *h = &o->head;
    uint64_t lost = h->lost - o->lost[s];
    bool mid_line = !o->heard[s] && h->kind == TEE_DATA && !h->line_start;
    o->heard[s] = true;
    o->lost[s] = h->lost;
    if (lost == 0 && !mid_line)
        return;
    recording_lost(&o->recording, s, lost, h->when);
    if (s != TEE_STDERR)
        mcp_session_lost(&o->session, s == TEE_UP ? MCP_UP : MCP_DOWN, lost, h->line_start,
                         h->when);
}

static void take_data(struct observer *o, enum tee_stream s)
{
    size_t n = o->head.size;
    recording_data(&o->recording, s, o->data, n, o->head.when);
    if (s == TEE_STDERR)
        mcp_session_stderr(&o->session, o->data, n);
    else
        mcp_session_feed(&o->session, s == TEE_UP ? MCP_UP : MCP_DOWN, o->data, n, o->head.when);
}

static void take_eof(struct observer *o, enum tee_stream s)
{
    recording_eof(&o->recording, s, o->head.when);
    if (s != TEE_STDERR)
        mcp_session_close(&o->session, s == TEE_UP ? MCP_UP : MCP_DOWN, o->head.when);
}

static void take_exit(struct observer *o)
{
    o->exited = true;
    o->status = o->head.value;
    o->server = 0;
    recording_exit(&o->recording, o->status, o->head.when);
}

static void take_note(struct observer *o)
{
    enum tee_stream s = (enum tee_stream)o->head.stream;
    if (o->head.kind <= TEE_LOST)
        note_gap(o, s);
    switch ((enum tee_kind)o->head.kind) {
    case TEE_DATA:
        take_data(o, s);
        break;
    case TEE_EOF:
        take_eof(o, s);
        break;
    case TEE_LOST:
        break;
    case TEE_STARTED:
    case TEE_RESUMED:
        o->server = o->head.value;
        report_started(o->report, o->head.kind == TEE_RESUMED);
        break;
    case TEE_EXITED:
        take_exit(o);
        break;
    }
    if (!o->report_due.mono)
        o->report_due = later(o->head.when, REPORT_MS);
}

static void take_packet(struct observer *o, size_t n)
{
    const char *p = o->packet, *end = o->packet + n;
    while ((size_t)(end - p) >= sizeof o->head) {
        memcpy(&o->head, p, sizeof o->head);
        o->data = p + sizeof o->head;
        assert(o->head.size <= (size_t)(end - o->data) && o->head.stream < TEE_STREAMS);
        take_note(o);
        p = o->data + o->head.size;
    }
}

/* Whether there was one. */
static bool receive(struct observer *o)
{
    ssize_t n = recv(o->socket, o->packet, sizeof o->packet, MSG_DONTWAIT);
    if (n <= 0) {
        o->over |= n == 0 || (errno != EAGAIN && errno != EINTR);
        return false;
    }
    take_packet(o, (size_t)n);
    return true;
}

static void drain(struct observer *o, struct when now)
{
    unsigned packets = 0;
    while (packets < PACKETS && !o->over && receive(o))
        packets++;
    o->look_due = packets > 0 ? later(now, packets < PACKETS ? LOOK_MS : 0) : (struct when){0};
}

/* ---- the loop ---- */

static void keep_house(struct observer *o, struct when now)
{
    struct usage usage;
    if (is_due(o->tick_due, now) || is_due(o->report_due, now)) {
        mcp_session_tick(&o->session, now);
        report_session(o->report, &o->session, now);
        o->report_due.mono = 0;
        bool waiting = mcp_session_oldest(&o->session, now) > 0;
        o->tick_due = waiting ? later(now, TICK_MS) : (struct when){0};
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
    const struct when due[] = {o->report_due, o->tick_due, o->usage_due, o->look_due};
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

/* With traffic about, only a kick or the time makes us look: a wakeup for every
 * packet would slow the conversation down. Whether it is time to look. The daemon's
 * answers wake us as well, and change nothing in that. */
static bool wait_for_packets(struct observer *o)
{
    uint64_t kicks;
    struct pollfd p[] = {
        {.fd = o->look_due.mono ? -1 : o->socket, .events = POLLIN},
        {.fd = o->kick, .events = POLLIN},
        {.fd = report_fd(o->report), .events = POLLIN},
    };
    const int n = poll(p, 3, time_left(o, clock_now(), report_poll(o->report)));
    if (n > 0 && p[1].revents && read(o->kick, &kicks, sizeof kicks) == sizeof kicks)
        return true;
    return (n > 0 && p[0].revents) || is_due(o->look_due, clock_now());
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
    o->usage_due = later(now, USAGE_MS / 10);
    return true;
}

/* The relay waits, not long, for its socket to be closed: with no daemon there
 * is nothing to wait for, and whatever is left to do is done on our own time. */
static void end(struct observer *o)
{
    struct when now = clock_now();
    mcp_session_end(&o->session, report_manner(&o->session, o->status), now);
    report_session(o->report, &o->session, now);
    if (o->exited)
        report_exited(o->report, o->status);
    recording_end(&o->recording);
    bool there = report_connected(o->report);
    if (there)
        report_flush(o->report, FLUSH_MS);
    close(o->socket);
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

int observer_run(void *arg, int socket, int kick)
{
    struct observer *o = calloc(1, sizeof *o);
    settle();
    if (!o)
        return EXIT_FAILURE;
    o->options = arg;
    o->socket = socket;
    o->kick = kick;
    if (!begin(o))
        return EXIT_FAILURE;
    while (!o->over) {
        if (wait_for_packets(o))
            drain(o, clock_now());
        keep_house(o, clock_now());
    }
    end(o);
    free(o);
    return EXIT_SUCCESS;
}
