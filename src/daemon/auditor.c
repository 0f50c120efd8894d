#include "daemon/auditor.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/procfile.h"

enum {
    FILE_MODE = 0640,
    FILE_SLOT = 1,
    /* While the helper of a daemon that was killed finishes; a start is not to take longer. */
    LOCK_TRIES = 50,
    LOCK_US = 1000,
};

/* ---- one act ---- */

static void copy(const struct auditor *a, char *to, size_t size, const char *from)
{
    struct buf clean;
    buf_init(&clean, AUDIT_LINE_MAX);
    const size_t found = redact_text(a->logger->redact, str_of(from), &clean);
    if (found && !clean.failed)
        snprintf(to, size, "%.*s", STR_ARG(buf_str(&clean)));
    else
        snprintf(to, size, "%s", found ? "[REDACTED]" : from);
    buf_fini(&clean);
}

/* The executable's path is for us to read of our own processes only, its short name of all. */
static void read_program(struct auditor_act *act)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/exe", act->who.pid);
    const ssize_t n = readlink(path, act->exe, sizeof act->exe - 1);
    act->exe[n > 0 ? n : 0] = '\0';
    snprintf(path, sizeof path, "/proc/%u/comm", act->who.pid);
    if (n <= 0 && procfile_read(path, act->comm, sizeof act->comm))
        act->comm[strcspn(act->comm, "\n")] = '\0';
}

static void take(const struct auditor *a, struct auditor_act *to, const struct audit_act *act)
{
    *to = (struct auditor_act){.wall = clock_now().wall, .who = act->who};
    copy(a, to->what, sizeof to->what, act->what);
    copy(a, to->object, sizeof to->object, act->object);
    copy(a, to->outcome, sizeof to->outcome, act->outcome);
    if (!act->who.peer) {
        to->who.uid = geteuid();
        to->who.pid = (uint32_t)getpid();
    }
    read_program(to);
}

static void tell(const struct auditor_act *act)
{
    log_with(LOG_LEVEL_INFO, "audit",
             LOG_FIELDS(LOG_TEXT("what", act->what), LOG_TEXT("object", act->object),
                        LOG_TEXT("outcome", act->outcome), LOG_U64("uid", act->who.uid),
                        LOG_U64("pid", act->who.pid)),
             "%s%s%s: %s", act->what, *act->object ? " " : "", act->object, act->outcome);
}

static const char *text_or_null(const char *text)
{
    return *text ? text : NULL;
}

/* Name of a user without asking anything that could wait. */
static const char *user_of(const struct auditor *a, uint32_t uid)
{
    return uid == geteuid() ? text_or_null(a->user) : uid == 0 ? "root" : NULL;
}

/* False when there is no room for it. */
static bool record(struct auditor *a, const struct auditor_act *act)
{
    struct buf line;
    struct audit_record r = {
        .seq = a->seq + 1,
        .wall = act->wall,
        .who = act->who,
        .user = user_of(a, act->who.uid),
        .exe = text_or_null(act->exe),
        .comm = text_or_null(act->comm),
        .what = act->what,
        .object = act->object,
        .outcome = act->outcome,
    };
    memcpy(r.prev, a->hash, sizeof r.prev);
    buf_init(&line, AUDIT_LINE_MAX * 2);
    audit_write(&line, &r);
    const bool kept = !line.failed && appender_add(&a->file, buf_str(&line));
    if (kept) {
        a->seq++;
        a->records++;
        audit_hash(a->hash, (struct str){line.p, line.n - 1});
    }
    buf_fini(&line);
    return kept;
}

static void record_lost(struct auditor *a)
{
    struct auditor_act act = {.wall = clock_now().wall,
                              .who = {.uid = geteuid(), .pid = (uint32_t)getpid()},
                              .what = "audit.lost",
                              .outcome = "they are in the log alone"};
    if (a->unwritten == 0)
        return;
    snprintf(act.object, sizeof act.object, "%llu acts", (unsigned long long)a->unwritten);
    if (record(a, &act))
        a->unwritten = 0;
}

static void lose(struct auditor *a)
{
    a->lost++;
    a->unwritten++;
}

static void on_act(void *arg, const struct audit_act *said)
{
    struct auditor *a = arg;
    struct auditor_act act;
    take(a, &act, said);
    tell(&act);
    record_lost(a);
    if (a->unwritten || !record(a, &act))
        lose(a);
}

/* ---- the file ---- */

/* The newest whole line of a file's end; empty: there is none. */
static struct str last_line(struct str tail)
{
    while (tail.n > 0 && tail.p[tail.n - 1] != '\n')
        tail.n--;
    if (tail.n == 0)
        return tail;
    size_t from = --tail.n;
    while (from > 0 && tail.p[from - 1] != '\n')
        from--;
    return (struct str){tail.p + from, tail.n - from};
}

/* What a helper that has died may have written before it could say so is not added again. */
static void drop_written(struct auditor *a, uint64_t seq)
{
    struct buf *waiting = &a->file.waiting;
    struct audit_record r;
    json_t *doc;
    while (waiting->n > 0) {
        const char *end = memchr(waiting->p, '\n', waiting->n);
        const size_t n = end ? (size_t)(end - waiting->p) : waiting->n;
        if (audit_read((struct str){waiting->p, n}, &r, &doc) < 0)
            return;
        json_decref(doc);
        if (r.seq > seq)
            return;
        buf_drop(waiting, n + (end != NULL));
    }
}

static void on_opened(void *arg, struct str tail)
{
    struct auditor *a = arg;
    struct audit_record r;
    json_t *doc;
    if (audit_read(last_line(tail), &r, &doc) < 0)
        return;
    drop_written(a, r.seq);
    json_decref(doc);
}

static void on_added(void *arg)
{
    struct auditor *a = arg;
    if (a->failing)
        log_info("audit", "%s is written again", a->path);
    a->failing = false;
}

static void on_failed(void *arg, int error)
{
    struct auditor *a = arg;
    a->failures++;
    snprintf(a->why, sizeof a->why, "%s", appender_error(error));
    if (!a->failing)
        log_error("audit",
                  "%s cannot be written: %s; what is done is in the log alone until it "
                  "can",
                  a->path, a->why);
    a->failing = true;
}

static struct helper_lines_options file_options(const struct config *c)
{
    return (struct helper_lines_options){
        .mode = FILE_MODE, .bytes = c->audit_file_bytes, .sync = true};
}

/* ---- the end of the chain ---- */

/* Held by the helper that adds to the file, and so by one that outlives its daemon a little. */
static void wait_for_lock(int fd)
{
    for (int i = 0; i < LOCK_TRIES && flock(fd, LOCK_SH | LOCK_NB) < 0; i++)
        usleep(LOCK_US);
}

/* Whether there is one; it counts when it is newer than what is known. */
static bool read_end(const char *path, struct auditor *a)
{
    char tail[AUDITOR_TAIL];
    struct audit_record r;
    json_t *doc;
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    wait_for_lock(fd);
    ssize_t n = -1;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        n = pread(fd, tail, sizeof tail, st.st_size > AUDITOR_TAIL ? st.st_size - AUDITOR_TAIL : 0);
    close(fd);
    const struct str last = last_line((struct str){tail, n > 0 ? (size_t)n : 0});
    if (audit_read(last, &r, &doc) < 0)
        return false;
    json_decref(doc);
    if (r.seq > a->seq) {
        a->seq = r.seq;
        audit_hash(a->hash, last);
    }
    return true;
}

/* A file that has just given way, to whoever rotates or to its bound, is empty, and its
 * chain goes on from the newer of those before. */
static void find_end(struct auditor *a)
{
    static const char *const before[] = {"1", "old"};
    char path[sizeof a->path + 8];
    if (read_end(a->path, a))
        return;
    for (unsigned i = 0; i < sizeof before / sizeof *before; i++) {
        snprintf(path, sizeof path, "%s.%s", a->path, before[i]);
        (void)read_end(path, a);
    }
}

/* ---- life ---- */

void auditor_init(struct auditor *a, const struct logger *logger, const char *state_dir,
                  const struct config *c)
{
    const struct appender_owner owner = {
        .opened = on_opened, .added = on_added, .failed = on_failed, .arg = a};
    const struct helper_lines_options o = file_options(c);
    const struct passwd *us = getpwuid(geteuid());
    *a = (struct auditor){.logger = logger};
    memset(a->hash, '0', sizeof a->hash - 1);
    snprintf(a->path, sizeof a->path, "%s/audit.log", state_dir);
    snprintf(a->user, sizeof a->user, "%s", us ? us->pw_name : "");
    find_end(a);
    appender_init(&a->file, FILE_SLOT, a->path, &o, &owner);
    audit_set_sink(on_act, a);
}

void auditor_configure(struct auditor *a, const struct config *c)
{
    const struct helper_lines_options o = file_options(c);
    appender_set(&a->file, a->path, &o);
    appender_reopen(&a->file);
}

void auditor_join(struct auditor *a, struct helper *h)
{
    appender_start(&a->file, h);
}

static void count(struct own *own, enum own_metric m, uint64_t n, uint64_t *told)
{
    own_add(own, m, 0, n - *told);
    *told = n;
}

void auditor_tick(struct auditor *a, struct own *own)
{
    appender_tick(&a->file);
    record_lost(a);
    count(own, OWN_AUDIT_RECORDS, a->records, &a->told_records);
    count(own, OWN_AUDIT_FAILURES, a->failures, &a->told_failures);
    count(own, OWN_AUDIT_LOST, a->lost, &a->told_lost);
}

void auditor_reopen(struct auditor *a)
{
    appender_reopen(&a->file);
}

void auditor_check(const struct auditor *a, struct verdict *v)
{
    struct check *c = verdict_add(v, "audit", 0);
    if (!a->failing)
        return;
    c->status = CHECK_WARN;
    snprintf(c->message, sizeof c->message, "%.100s cannot be written: %s", a->path, a->why);
}

void auditor_doc(const struct auditor *a, struct json_writer *j)
{
    json_put_object(j, NULL);
    json_put_text(j, "path", a->path);
    json_put_bool(j, "failing", a->failing);
    json_put_u64(j, "waiting", a->file.waiting.n + a->file.flying.n);
    json_put_u64(j, "seq", a->seq);
    json_put_text(j, "hash", a->hash);
    json_end_object(j);
}

bool auditor_busy(const struct auditor *a)
{
    return appender_busy(&a->file);
}

void auditor_leave(struct auditor *a)
{
    appender_stop(&a->file);
}

void auditor_fini(struct auditor *a)
{
    audit_set_sink(NULL, NULL);
    appender_fini(&a->file);
}
