/* audit: prints the audit log, follows it, and verifies its chain. */
#include <errno.h>
#include <fnmatch.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/iso.h"
#include "cli/attest.h"
#include "cli/cli.h"
#include "cli/duration.h"
#include "cli/options.h"
#include "cli/place.h"
#include "cli/trail.h"
#include "format/log_text.h"

struct audit_options {
    const char *runtime_dir, *state_dir, *since, *what;
    bool follow, json, verify;
    uint64_t from; /* ns since 1970 */
};

#define AT(member) offsetof(struct audit_options, member)

static const struct option_row rows[] = {
    {"since", 0, OPTION_TEXT, AT(since), "TIME",
     "from a moment such as 2026-11-21 or 2026-11-21T13:45 (UTC), or so long ago, such as 2h", 0,
     0},
    {"what", 0, OPTION_TEXT, AT(what), "GLOB", "acts with such a name", 0, 0},
    {"follow", 'f', OPTION_FLAG, AT(follow), NULL, "wait for more", 0, 0},
    {"json", 0, OPTION_FLAG, AT(json), NULL, "print the lines as they are in the file", 0, 0},
    {"verify", 0, OPTION_FLAG, AT(verify), NULL,
     "check that no record was changed or taken out, and print none", 0, 0},
    {"state-dir", 0, OPTION_TEXT, AT(state_dir), "DIR",
     "where audit.log is; else where the running daemon says", 0, 0},
    {"runtime-dir", 0, OPTION_TEXT, AT(runtime_dir), "DIR",
     "where the daemon's sockets and store are", 0, 0},
};

static const struct options options = {
    .command = "audit",
    .usage = "[--since TIME] [--what GLOB] [--follow] [--json]\n--verify",
    .about = "Shows who changed something about the daemon: when, what, to what, and what came "
             "of it. Reads audit.log and the files that it was rotated to.",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
};

enum { POLL_MS = 200, OUT_MAX = 1 << 20 };

/* ---- where it is ---- */

static void ask_head(const struct audit_options *o, struct attest_head *h)
{
    struct place place;
    *h = (struct attest_head){0};
    if (place_find(&place, o->runtime_dir) == 0)
        attest_ask(place.control, h);
}

/* As mcptallyd(8), section FILES, says of the state directory. */
static void default_path(char to[TRAIL_PATH])
{
    const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (geteuid() == 0)
        snprintf(to, TRAIL_PATH, "/var/lib/mcptally/audit.log");
    else if (xdg && *xdg == '/')
        snprintf(to, TRAIL_PATH, "%s/mcptally/audit.log", xdg);
    else
        snprintf(to, TRAIL_PATH, "%s/.local/state/mcptally/audit.log", home ? home : "");
}

static void find_path(const struct audit_options *o, const struct attest_head *h,
                      char to[TRAIL_PATH])
{
    if (o->state_dir)
        snprintf(to, TRAIL_PATH, "%s/audit.log", o->state_dir);
    else if (*h->path)
        snprintf(to, TRAIL_PATH, "%s", h->path);
    else
        default_path(to);
}

/* ---- printing ---- */

static void add_who(struct buf *to, const struct audit_record *r)
{
    const struct passwd *known = r->user ? NULL : getpwuid(r->who.uid);
    const char *program = r->exe ? r->exe : r->comm;
    if (r->user || known)
        log_clean(to, str_of(r->user ? r->user : known->pw_name));
    else
        buf_addf(to, "uid %u", r->who.uid);
    buf_adds(to, " (");
    if (!r->who.peer)
        buf_adds(to, "daemon");
    else if (program)
        log_clean(to, str_of(program));
    if (r->who.peer)
        buf_addf(to, "%s%u", program ? " " : "pid ", r->who.pid);
    buf_addc(to, ')');
}

static void add_text(struct buf *to, const struct audit_record *r)
{
    moment_add(to, r->wall, 3);
    buf_adds(to, "  ");
    add_who(to, r);
    buf_adds(to, "  ");
    log_clean(to, str_of(r->what));
    if (*r->object)
        buf_addc(to, ' ');
    log_clean(to, str_of(r->object));
    buf_adds(to, ": ");
    log_clean(to, str_of(r->outcome));
    buf_addc(to, '\n');
}

static bool wanted(const struct audit_options *o, const struct audit_record *r)
{
    return r->wall >= o->from && (!o->what || fnmatch(o->what, r->what, 0) == 0);
}

/* False for a line that is no record. */
static bool print(const struct audit_options *o, struct str line)
{
    struct audit_record r;
    struct buf out;
    json_t *doc;
    if (audit_read(line, &r, &doc) < 0)
        return false;
    buf_init(&out, OUT_MAX);
    if (wanted(o, &r) && o->json) {
        buf_addstr(&out, line);
        buf_addc(&out, '\n');
    } else if (wanted(o, &r)) {
        add_text(&out, &r);
    }
    cli_write(buf_str(&out));
    buf_fini(&out);
    json_decref(doc);
    return true;
}

static int show(const struct audit_options *o, struct trail *t)
{
    struct str line;
    int status = CLI_OK;
    do {
        while (trail_next(t, &line)) {
            if (print(o, line))
                continue;
            cli_error("%s:%u: no record of an audit log", trail_file(t), t->line);
            status = CLI_FAILURE;
        }
        if (!cli_flush())
            break;
    } while (o->follow && !cli_reader_gone(POLL_MS));
    return status;
}

/* ---- the command ---- */

/* A moment, or so long ago. */
static bool read_since(const char *text, uint64_t *out)
{
    const uint64_t now = clock_now().wall;
    uint64_t ago;
    if (iso_read(text, out))
        return true;
    if (duration_parse(text, &ago) < 0)
        return false;
    *out = ago < now ? now - ago : 0;
    return true;
}

static int run(const struct audit_options *o)
{
    char path[TRAIL_PATH];
    struct trail *t = malloc(sizeof *t);
    struct attest_head head;
    ask_head(o, &head);
    find_path(o, &head, path);
    const int r = t ? trail_open(t, path) : -ERR_NOMEM;
    int status = CLI_FAILURE;
    if (r < 0) {
        const int why = errno;
        cli_error("%s: %s", path, r == -ERR_IO ? strerror(why) : err_help(r));
        status = r == -ERR_IO ? cli_exit_of(why) : CLI_FAILURE;
    } else {
        status = o->verify ? attest(t, &head) : show(o, t);
        trail_close(t);
    }
    free(t);
    return status;
}

int cmd_audit(int argc, char **argv)
{
    struct audit_options o = {0};
    const int n = options_parse(&options, argc, argv, &o);
    if (n < 0)
        return options_exit(n);
    if (n > 0)
        return options_wrong(&options, "what is '%s'?", argv[1]);
    if (o.verify && (o.since || o.what || o.follow || o.json))
        return options_wrong(&options, "--verify looks at all records, and prints none");
    if (o.since && !read_since(o.since, &o.from))
        return options_wrong(&options, "'%s' is no time", o.since);
    return run(&o);
}
