/* replay: feeds a recorded conversation to the daemon as if it passed now. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/place.h"
#include "cli/recording.h"
#include "cli/report.h"

struct replay_options {
    const char *name, *socket, *runtime_dir, *speed;
};

static const struct option_row rows[] = {
    {"name", 'n', OPTION_TEXT, offsetof(struct replay_options, name), "NAME",
     "the service to report; else the one in the recording", 0, 0},
    {"socket", 's', OPTION_TEXT, offsetof(struct replay_options, socket), "PATH",
     "the daemon's events.sock", 0, 0},
    {"runtime-dir", 0, OPTION_TEXT, offsetof(struct replay_options, runtime_dir), "DIR",
     "where the daemon's events.sock is", 0, 0},
    {"speed", 'x', OPTION_TEXT, offsetof(struct replay_options, speed), "N",
     "times as fast as it was (1); 0: as fast as possible", 0, 0},
};

static const struct options options = {
    .command = "replay",
    .usage = "[--name NAME] [--socket PATH] [--speed N] FILE",
    .about = "Feeds a conversation that 'mcptally run --record' wrote to the daemon, as if it "
             "passed now. Durations are those of the recording, at any speed.",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
};

enum {
    BATCH = 256,      /* entries between two waits for the daemon */
    ANSWER_MS = 5000, /* that the daemon may take */
};

struct replay {
    double speed;
    uint64_t length;   /* ns from the first entry to the last */
    struct when began; /* of the replay */
    uint64_t entries;
    bool exited;
    int status;
    struct report *report;
    struct mcp_session session;
};

static bool parse_speed(const char *text, double *speed)
{
    char *end;
    *speed = text ? strtod(text, &end) : 1;
    return !text || (end != text && *end == 0 && isfinite(*speed) && *speed >= 0);
}

/* Calls `each` for every entry; the first failure is printed and ends it. */
static int read_all(const char *path, struct replay *r,
                    int (*each)(struct replay *r, const struct recorded *e))
{
    struct recording_reader reader;
    struct recorded entry;
    recorded_init(&entry);
    int n = recording_read_open(&reader, path);
    if (n == 0)
        while ((n = recording_read(&reader, &entry)) > 0 && (n = each(r, &entry)) == 0)
            continue;
    if (n == -ERR_IO)
        cli_error("replay: %s: %s", path, strerror(errno));
    else if (n == -ERR_SYNTAX)
        cli_error("replay: %s: %s", path, reader.why);
    recorded_fini(&entry);
    recording_read_close(&reader);
    return n;
}

static int measure(struct replay *r, const struct recorded *e)
{
    if (e->time > r->length)
        r->length = e->time;
    return 0;
}

/* When something of the recording happens in the replay: never in the future. */
static struct when moment(const struct replay *r, uint64_t time)
{
    bool faster = r->speed == 0 || r->speed > 1;
    return (struct when){.mono = r->began.mono + time,
                         .wall = r->began.wall - (faster ? r->length : 0) + time};
}

/* Waits for the time of an entry, talking to the daemon meanwhile. */
static void wait_until(struct replay *r, uint64_t time)
{
    if (r->speed == 0)
        return;
    uint64_t due = r->began.mono + (uint64_t)((double)time / r->speed);
    for (;;) {
        uint64_t now = clock_now().mono;
        int wish = report_poll(r->report);
        if (now >= due)
            return;
        uint64_t left = (due - now + NS_PER_MS - 1) / NS_PER_MS;
        int ms = left < 1000 ? (int)left : 1000;
        struct pollfd p = {.fd = report_fd(r->report), .events = POLLIN};
        poll(&p, 1, wish >= 0 && wish < ms ? wish : ms);
    }
}

static void feed(struct replay *r, const struct recorded *e, struct when now)
{
    enum mcp_direction d = e->stream == TEE_UP ? MCP_UP : MCP_DOWN;
    switch (e->kind) {
    case RECORDED_DATA:
        if (e->stream == TEE_STDERR)
            mcp_session_stderr(&r->session, e->bytes.p, e->bytes.n);
        else
            mcp_session_feed(&r->session, d, e->bytes.p, e->bytes.n, now);
        break;
    case RECORDED_LOST:
        if (e->stream != TEE_STDERR)
            mcp_session_lost(&r->session, d, e->lost, false, now);
        break;
    case RECORDED_EOF:
        if (e->stream != TEE_STDERR)
            mcp_session_close(&r->session, d, now);
        break;
    case RECORDED_EXIT:
        r->exited = true;
        r->status = e->status;
        break;
    }
}

static int play(struct replay *r, const struct recorded *e)
{
    struct when now = moment(r, e->time);
    wait_until(r, e->time);
    feed(r, e, now);
    mcp_session_tick(&r->session, now);
    if (++r->entries % BATCH)
        return 0;
    report_session(r->report, &r->session, now);
    return report_flush(r->report, ANSWER_MS) == 0 ? 0 : -ERR_TIMEOUT;
}

static uint64_t both(const struct replay *r, enum mcp_counter up)
{
    return r->session.counts[up] + r->session.counts[up + 1];
}

static void print_summary(const struct replay *r, const char *service)
{
    printf("%s: %" PRIu64 " requests, %" PRIu64 " results, %" PRIu64 " errors, %" PRIu64
           " notifications in %.3f s of conversation\n",
           service, both(r, MCP_COUNT_REQUESTS_UP), both(r, MCP_COUNT_RESULTS_UP),
           both(r, MCP_COUNT_ERRORS_UP), both(r, MCP_COUNT_NOTIFICATIONS_UP),
           (double)r->length / (double)NS_PER_S);
    printf("%" PRIu64 " bytes to the server, %" PRIu64 " to the client, %" PRIu64
           " lines of stderr\n",
           r->session.counts[MCP_COUNT_BYTES_UP], r->session.counts[MCP_COUNT_BYTES_DOWN],
           r->session.counts[MCP_COUNT_STDERR_LINES]);
}

/* Waits until the daemon has taken all, and says what came of it. */
static int settle(struct replay *r, const char *service)
{
    if (report_flush(r->report, ANSWER_MS) == 0) {
        print_summary(r, service);
        return CLI_OK;
    }
    if (errno == EPROTO) {
        cli_error("replay: the daemon rejected a part: %s", report_rejected(r->report));
        return CLI_FAILURE;
    }
    bool there = report_connected(r->report);
    cli_error(there ? "replay: the daemon did not answer in time" : "replay: no daemon answers");
    return there ? CLI_TIMEOUT : CLI_UNAVAILABLE;
}

static int replay(struct replay *r, const char *path, const struct replay_options *o,
                  const char *service)
{
    struct mcp_limits limits;
    mcp_limits_default(&limits);
    r->report = report_new(service, o->socket, NULL, NULL);
    if (!r->report || mcp_session_init(&r->session, &limits, report_sink(), r->report) != 0) {
        cli_error("replay: %s", strerror(ENOMEM));
        report_free(r->report, 0);
        return CLI_FAILURE;
    }
    r->began = clock_now();
    report_started(r->report, false);
    int n = read_all(path, r, play);
    struct when now = moment(r, r->length);
    mcp_session_end(&r->session, report_manner(&r->session, r->status), now);
    report_session(r->report, &r->session, now);
    if (r->exited)
        report_exited(r->report, r->status);
    int status = n == 0 || n == -ERR_TIMEOUT ? settle(r, service) : CLI_FAILURE;
    report_free(r->report, 0);
    mcp_session_fini(&r->session);
    return status;
}

/* The service of the recording's first line. */
static int read_service(const char *path, char *to, size_t size)
{
    struct recording_reader reader;
    int n = recording_read_open(&reader, path);
    if (n == 0)
        snprintf(to, size, "%s", reader.service[0] ? reader.service : "replay");
    recording_read_close(&reader);
    return n;
}

int cmd_replay(int argc, char **argv)
{
    struct replay_options o = {0};
    struct replay r = {0};
    struct place place;
    char service[128] = "";
    int n = options_parse(&options, argc, argv, &o);
    if (n < 0)
        return options_exit(n);
    if (n != 1)
        return options_wrong(&options, n ? "one file at a time" : "no file to replay");
    if (!parse_speed(o.speed, &r.speed))
        return options_wrong(&options, "--speed wants a number that is not negative, not '%s'",
                             o.speed);
    if (place_socket(&place, o.runtime_dir, o.socket, &o.socket) < 0)
        return options_wrong(&options, "the runtime directory's path is too long");
    if (read_all(argv[1], &r, measure) != 0)
        return CLI_FAILURE;
    if (o.name && *o.name)
        snprintf(service, sizeof service, "%s", o.name);
    else if (read_service(argv[1], service, sizeof service) != 0)
        return CLI_FAILURE;
    return replay(&r, argv[1], &o, service);
}
