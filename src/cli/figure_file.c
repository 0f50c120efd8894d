/* figure_file: a file, or a directory of them, becomes a set of figures. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/figure.h"

/* jansson nests by recursion; it stops at 2,048 by itself. */
static int take_json(struct figures *set, struct str text, const char *path, char why[FIGURE_TEXT])
{
    json_error_t error;
    json_t *doc = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &error);
    int r = -ERR_SYNTAX;
    if (!doc) {
        snprintf(why, FIGURE_TEXT, "%.100s:%d:%d: %.100s", path, error.line, error.column,
                 error.text);
        return r;
    }
    if (json_is_array(json_object_get(doc, "rows")))
        r = figures_of_bench(set, doc);
    else if (json_is_array(json_object_get(doc, "metrics")))
        r = figures_of_metrics(set, doc);
    else if (json_object_get(doc, "items_per_second"))
        r = figures_of_load(set, doc);
    json_decref(doc);
    if (r == -ERR_SYNTAX)
        snprintf(why, FIGURE_TEXT, "%.100s: neither a report of a bench nor an export of metrics",
                 path);
    return r;
}

static int take_text(struct figures *set, struct str text, const char *path, char why[FIGURE_TEXT])
{
    const int r = figures_of_text(set, text);
    if (r > 0)
        snprintf(why, FIGURE_TEXT, "%.100s:%d: no sample of Prometheus' text format", path, r);
    return r > 0 ? -ERR_SYNTAX : r;
}

int figures_take(struct figures *set, struct str text, const char *path, char why[FIGURE_TEXT])
{
    const size_t before = set->n;
    const size_t blank = strspn(text.p, " \t\r\n");
    const int r =
        text.p[blank] == '{' ? take_json(set, text, path, why) : take_text(set, text, path, why);
    set->files++;
    if (r < 0 && !*why)
        snprintf(why, FIGURE_TEXT, "%.100s: %s", path, err_help(r));
    if (r < 0 || set->n > before || set->files > 1)
        return r;
    snprintf(why, FIGURE_TEXT, "%.100s: has no figures", path);
    return -ERR_SYNTAX;
}

/* All of it and a NUL; -ERR_IO, -ERR_FULL or -ERR_NOMEM. */
static int read_all(int fd, struct buf *to)
{
    enum { STEP = 1 << 16 };
    for (;;) {
        char *room = buf_room(to, STEP);
        const ssize_t n = room ? read(fd, room, STEP) : 0;
        if (!room)
            return to->starved ? -ERR_NOMEM : -ERR_FULL;
        if (n < 0)
            return -ERR_IO;
        if (n == 0)
            return *room = 0, 0;
        buf_added(to, (size_t)n);
    }
}

static int read_file(struct figures *set, int fd, const char *path, char why[FIGURE_TEXT])
{
    struct buf text;
    buf_init(&text, FIGURE_FILE_BYTES);
    int r = read_all(fd, &text);
    if (r == -ERR_IO)
        snprintf(why, FIGURE_TEXT, "%.100s: %s", path, strerror(errno));
    else if (r < 0)
        snprintf(why, FIGURE_TEXT, "%.100s: %s", path, err_help(r));
    else
        r = figures_take(set, buf_str(&text), path, why);
    buf_fini(&text);
    return r;
}

static int open_and_read(struct figures *set, int at, const char *name, const char *path,
                         char why[FIGURE_TEXT])
{
    const int fd = openat(at, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        snprintf(why, FIGURE_TEXT, "%.100s: %s", path, strerror(errno));
        return -ERR_IO;
    }
    const int r = read_file(set, fd, path, why);
    close(fd);
    return r;
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Every file is a run of the same; in the order of their names. */
static int read_directory(struct figures *set, int fd, const char *path, char why[FIGURE_TEXT])
{
    struct dirent **names = NULL;
    const int n = scandirat(fd, ".", &names, is_shown, alphasort);
    int r = 0;
    if (n <= 0 || n > FIGURE_FILES_MOST) {
        snprintf(why, FIGURE_TEXT, "%.100s: not a directory of 1 to %d files", path,
                 FIGURE_FILES_MOST);
        r = -ERR_RANGE;
    }
    for (int i = 0; i < n && r == 0; i++) {
        char whole[FIGURE_TEXT];
        snprintf(whole, sizeof whole, "%.60s/%.180s", path, names[i]->d_name);
        r = open_and_read(set, fd, names[i]->d_name, whole, why);
    }
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return r;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct figure *)a)->name, ((const struct figure *)b)->name);
}

int figures_read(struct figures *set, const char *path, char why[FIGURE_TEXT])
{
    struct stat st;
    int r = -ERR_IO;
    *set = (struct figures){0};
    *why = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        snprintf(why, FIGURE_TEXT, "%.100s: %s", path, strerror(errno));
    else if (S_ISDIR(st.st_mode))
        r = read_directory(set, fd, path, why);
    else
        r = read_file(set, fd, path, why);
    if (fd >= 0)
        close(fd);
    if (set->n > 0)
        qsort(set->all, set->n, sizeof *set->all, by_name);
    return r;
}
