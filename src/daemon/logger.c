#include "daemon/logger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/options.h"
#include "format/log_text.h"

enum {
    FILE_MODE = 0640,
    FILE_SLOT = 0,
    TEXT_BYTES = 64 << 10, /* of one line; a message has at most LOG_MESSAGE_MAX */
};
#define STORM_WINDOW (10 * NS_PER_S)

/* ---- redaction ---- */

/* Appends a text without its secrets and a NUL; where it begins. */
static size_t add_redacted(struct logger *l, struct str s)
{
    const size_t at = l->scratch.n;
    if (redact_text(l->redact, s, &l->scratch) == 0)
        buf_addstr(&l->scratch, s);
    buf_addc(&l->scratch, '\0');
    return at;
}

/* A copy without secrets; its texts lie in l->scratch. */
static struct log_line without_secrets(struct logger *l, const struct log_line *line,
                                       struct log_field fields[LOG_FIELDS_MAX])
{
    size_t at[LOG_FIELDS_MAX];
    struct log_line clean = *line;
    buf_reset(&l->scratch);
    for (unsigned i = 0; i < line->nfields; i++) {
        const struct log_field *f = &line->fields[i];
        const struct str value = str_of(f->text);
        fields[i] = *f;
        if (f->text && redact_value(l->redact, str_of(f->key), value))
            at[i] = add_redacted(l, REDACTED);
        else if (f->text)
            at[i] = add_redacted(l, value);
    }
    const size_t message = add_redacted(l, line->message);
    clean.fields = fields;
    if (l->scratch.failed) { /* out of memory: none of it can be trusted */
        clean.message = REDACTED;
        clean.nfields = 0;
        return clean;
    }
    for (unsigned i = 0; i < line->nfields; i++)
        if (fields[i].text)
            fields[i].text = l->scratch.p + at[i];
    clean.message = (struct str){l->scratch.p + message, l->scratch.n - message - 1};
    return clean;
}

/* ---- writing ---- */

static void to_stderr(struct logger *l, const struct log_line *line, uint64_t wall)
{
    buf_reset(&l->text);
    if (l->place == LOGGER_STDERR && l->json)
        log_json(&l->text, line, wall);
    else
        log_plain(&l->text, line, l->journal_at_stderr);
    spout_add(&l->err, buf_str(&l->text));
}

/* A line of the logger itself, which passes by all limits. */
static struct log_line own_line(struct buf *room, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static struct log_line own_line(struct buf *room, enum log_level level, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    buf_init(room, sizeof text);
    buf_adds(room, text);
    return (struct log_line){
        .level = level, .component = "log", .fmt = fmt, .message = buf_str(room)};
}

static const char *place_name(const struct logger *l)
{
    return l->place == LOGGER_FILE ? l->config->log_file : "the journal";
}

static void fall(struct logger *l, const char *why)
{
    struct buf room;
    snprintf(l->why, sizeof l->why, "%s", why);
    if (l->fallen)
        return;
    l->fallen = true;
    l->seen.fallen++;
    struct log_line line =
        own_line(&room, LOG_LEVEL_WARN, "%s cannot be written: %s; lines come here until it can",
                 place_name(l), why);
    to_stderr(l, &line, clock_now().wall);
    buf_fini(&room);
}

static bool to_file(struct logger *l, const struct log_line *line, uint64_t wall)
{
    buf_reset(&l->text);
    if (l->json)
        log_json(&l->text, line, wall);
    else
        log_plain(&l->text, line, false);
    return appender_add(&l->file, buf_str(&l->text));
}

/* False when it has to go to stderr. */
static bool to_journal(struct logger *l, const struct log_line *line)
{
    buf_reset(&l->text);
    log_journal(&l->text, line);
    const int r = journal_send(&l->journal, buf_str(&l->text));
    if (r == -ERR_IO)
        fall(l, strerror(errno));
    if (r == -ERR_FULL)
        l->seen.lost++;
    return r != -ERR_IO;
}

static void write_line(struct logger *l, const struct log_line *line, uint64_t wall)
{
    bool taken = false;
    if (!l->fallen && l->place == LOGGER_FILE)
        taken = to_file(l, line, wall);
    else if (!l->fallen && l->place == LOGGER_JOURNAL)
        taken = to_journal(l, line);
    /* A file is not open before the loop turns: who starts us has to see why that fails. */
    const bool show = !l->serving && line->level == LOG_LEVEL_ERROR && l->place == LOGGER_FILE;
    if (!taken || show)
        to_stderr(l, line, wall);
}

static void tell_held(struct logger *l, const struct storm_kind *k)
{
    char text[STORM_LAST + 128];
    const int n = snprintf(text, sizeof text,
                           "%llu more lines of this kind were held back within %llu s; the last: "
                           "%s",
                           (unsigned long long)k->held,
                           (unsigned long long)(STORM_WINDOW / NS_PER_S), k->last);
    const struct log_line line = {
        .level = k->level, .component = k->component, .fmt = k->fmt, .message = {text, (size_t)n}};
    write_line(l, &line, clock_now().wall);
}

static void on_line(void *arg, const struct log_line *dirty)
{
    struct logger *l = arg;
    struct log_field fields[LOG_FIELDS_MAX];
    struct storm_kind lost;
    const struct when now = clock_now();
    const struct log_line line = without_secrets(l, dirty, fields);
    const bool pass = storm_admit(&l->storm, &line, now.mono, &lost);
    if (!pass) {
        l->seen.suppressed++;
        return;
    }
    l->seen.lines[line.level]++;
    write_line(l, &line, now.wall);
    if (lost.held)
        tell_held(l, &lost);
}

/* ---- the file ---- */

/* It may be open and still not take a line: one is tried. */
static void probe(struct logger *l)
{
    struct buf room;
    struct log_line line = own_line(&room, LOG_LEVEL_INFO, "%s is written again", place_name(l));
    if (l->place == LOGGER_FILE)
        l->probing = to_file(l, &line, clock_now().wall);
    else if (journal_open(&l->journal) == 0) {
        buf_reset(&l->text);
        log_journal(&l->text, &line);
        l->fallen = journal_send(&l->journal, buf_str(&l->text)) == -ERR_IO;
    }
    buf_fini(&room);
}

static void on_opened(void *arg, struct str tail)
{
    struct logger *l = arg;
    (void)tail;
    if (l->fallen && l->place == LOGGER_FILE)
        probe(l);
}

static void on_added(void *arg)
{
    struct logger *l = arg;
    if (!l->fallen || !l->probing)
        return;
    l->fallen = l->probing = false;
}

static void on_failed(void *arg, int error)
{
    struct logger *l = arg;
    if (l->place == LOGGER_FILE)
        fall(l, appender_error(error));
    l->probing = false;
}

/* What the helper could not write is shown, unless it was only the try. */
static void on_back(void *arg, struct str lines)
{
    struct logger *l = arg;
    struct buf plain;
    if (l->probing)
        return;
    buf_init(&plain, TEXT_BYTES);
    while (lines.n > 0) {
        const char *end = memchr(lines.p, '\n', lines.n);
        const size_t n = end ? (size_t)(end - lines.p) : lines.n;
        buf_reset(&plain);
        log_plain_again(&plain, (struct str){lines.p, n}, l->journal_at_stderr);
        spout_add(&l->err, buf_str(&plain));
        lines.p += n + (end != NULL);
        lines.n -= n + (end != NULL);
    }
    buf_fini(&plain);
}

static struct helper_lines_options file_options(const struct config *c)
{
    return (struct helper_lines_options){.mode = FILE_MODE, .bytes = c->log_file_bytes};
}

/* ---- configuration ---- */

static void choose(struct logger *l)
{
    const struct config *c = l->config;
    const bool file = *c->log_file != '\0';
    l->journal_at_stderr = journal_is_stream(STDERR_FILENO);
    l->place = file                                                       ? LOGGER_FILE
               : c->log_format == LOG_FORMAT_JOURNAL                      ? LOGGER_JOURNAL
               : c->log_format == LOG_FORMAT_AUTO && l->journal_at_stderr ? LOGGER_JOURNAL
                                                                          : LOGGER_STDERR;
    /* A person reads a terminal, a program a file or a pipe. */
    l->json = c->log_format == LOG_FORMAT_AUTO ? file || !isatty(STDERR_FILENO)
                                               : c->log_format == LOG_FORMAT_JSON;
}

static void take(struct logger *l, const struct config *c)
{
    struct redact *redact = options_redact(c);
    const struct helper_lines_options o = file_options(c);
    l->config = c;
    if (redact || !l->redact) {
        redact_free(l->redact);
        l->redact = redact;
    }
    l->storm.burst = (unsigned)c->log_burst;
    log_set_level((enum log_level)c->log_level);
    choose(l);
    appender_set(&l->file, c->log_file, &o);
    l->journal.path = c->log_journal_socket;
    l->fallen = l->probing = false;
    if (l->place == LOGGER_JOURNAL && journal_open(&l->journal) < 0)
        fall(l, strerror(errno));
}

void logger_init(struct logger *l, const struct config *c)
{
    const struct appender_owner owner = {
        .opened = on_opened, .added = on_added, .failed = on_failed, .back = on_back, .arg = l};
    const struct helper_lines_options o = file_options(c);
    *l = (struct logger){.storm = {.window = STORM_WINDOW}};
    buf_init(&l->text, TEXT_BYTES);
    buf_init(&l->scratch, TEXT_BYTES);
    spout_init(&l->err, STDERR_FILENO);
    journal_init(&l->journal, c->log_journal_socket);
    appender_init(&l->file, FILE_SLOT, c->log_file, &o, &owner);
    take(l, c);
    log_set_sink(on_line, l);
}

void logger_configure(struct logger *l, const struct config *c)
{
    take(l, c);
    if (l->place == LOGGER_FILE)
        appender_reopen(&l->file);
}

/* ---- life ---- */

void logger_start(struct logger *l, struct event_base *base)
{
    (void)spout_start(&l->err, base);
    journal_start(&l->journal, base);
}

void logger_join(struct logger *l, struct helper *h)
{
    l->file.helper = h;
    if (l->place == LOGGER_FILE)
        appender_start(&l->file, h);
}

void logger_serving(struct logger *l)
{
    l->serving = true;
}

static void tell_lost(struct logger *l)
{
    struct buf room;
    if (l->err.lost == 0 || l->err.kept.n > 0)
        return;
    struct log_line line =
        own_line(&room, LOG_LEVEL_WARN, "%llu lines were given up: nobody read them",
                 (unsigned long long)l->err.lost);
    l->seen.lost += l->err.lost;
    l->err.lost = 0;
    to_stderr(l, &line, clock_now().wall);
    buf_fini(&room);
}

static void count(struct own *own, enum own_metric m, unsigned index, uint64_t seen, uint64_t *told)
{
    if (seen > *told)
        own_add(own, m, index, seen - *told);
    *told = seen;
}

void logger_tick(struct logger *l, struct own *own)
{
    struct storm_kind k;
    while (storm_over(&l->storm, clock_now().mono, &k))
        tell_held(l, &k);
    tell_lost(l);
    if (l->place == LOGGER_FILE)
        appender_tick(&l->file);
    else if (l->fallen)
        probe(l);
    for (unsigned i = 0; i < LOG_LEVELS; i++)
        count(own, OWN_LOG_LINES, i, l->seen.lines[i], &l->told.lines[i]);
    count(own, OWN_LOG_SUPPRESSED, 0, l->seen.suppressed, &l->told.suppressed);
    count(own, OWN_LOG_LOST, 0, l->seen.lost + l->err.lost, &l->told.lost);
    count(own, OWN_LOG_FALLBACKS, 0, l->seen.fallen, &l->told.fallen);
}

void logger_reopen(struct logger *l)
{
    if (l->place == LOGGER_FILE)
        appender_reopen(&l->file);
}

void logger_check(const struct logger *l, struct verdict *v)
{
    struct check *c = verdict_add(v, "log", 0);
    if (!l->fallen)
        return;
    c->status = CHECK_WARN;
    snprintf(c->message, sizeof c->message, "%.80s cannot be written: %s; lines go to stderr",
             place_name(l), l->why);
}

bool logger_busy(const struct logger *l)
{
    return l->place == LOGGER_FILE && appender_busy(&l->file);
}

void logger_leave(struct logger *l)
{
    appender_stop(&l->file);
}

void logger_stop(struct logger *l)
{
    spout_stop(&l->err);
    journal_start(&l->journal, NULL);
}

/* There is no loop any more that could wait for the disk: the last lines are written here. */
static void write_rest(struct logger *l)
{
    const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    struct buf *rest = &l->file.waiting;
    if (l->place != LOGGER_FILE || rest->n == 0)
        return;
    const int fd = open(l->config->log_file, flags, FILE_MODE);
    if (fd >= 0 && write(fd, rest->p, rest->n) == (ssize_t)rest->n)
        buf_reset(rest);
    if (fd >= 0)
        close(fd);
}

void logger_fini(struct logger *l)
{
    struct storm_kind k;
    log_set_sink(NULL, NULL);
    while (storm_over(&l->storm, UINT64_MAX, &k))
        tell_held(l, &k);
    appender_stop(&l->file);
    write_rest(l);
    appender_fini(&l->file);
    journal_fini(&l->journal);
    spout_fini(&l->err);
    redact_free(l->redact);
    buf_fini(&l->text);
    buf_fini(&l->scratch);
}
