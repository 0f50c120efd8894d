#include "cli/trail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

/* ---- one file ---- */

static gzFile open_file(const char *path, uint64_t *inode)
{
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    gzFile in = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? gzdopen(fd, "rb") : NULL;
    if (!in) {
        close(fd);
        return NULL;
    }
    *inode = st.st_ino;
    return in;
}

/* One more byte of the file, -1 at its end as it is now. */
static int next_byte(gzFile in)
{
    const int c = gzgetc(in);
    if (c < 0)
        gzclearerr(in); /* it may grow */
    return c;
}

static bool next_line(struct trail *t, struct str *line)
{
    for (int c; (c = next_byte(t->in)) >= 0;) {
        if (c == '\n') {
            *line = (struct str){t->text, t->have};
            t->have = 0;
            t->line++;
            return true;
        }
        if (t->have < sizeof t->text)
            t->text[t->have++] = (char)c;
    }
    return false;
}

/* ---- all of them ---- */

static uint64_t first_of(const char *path)
{
    char text[AUDIT_LINE_MAX];
    struct audit_record r;
    json_t *doc;
    uint64_t inode, seq = 0;
    gzFile in = open_file(path, &inode);
    if (!in)
        return 0;
    if (gzgets(in, text, sizeof text) &&
        audit_read((struct str){text, strcspn(text, "\n")}, &r, &doc) == 0) {
        seq = r.seq;
        json_decref(doc);
    }
    gzclose(in);
    return seq;
}

/* NAME.1, NAME.2.gz, NAME.old. */
static bool is_older(const char *entry, const char *name)
{
    const size_t n = strlen(name);
    if (strncmp(entry, name, n) != 0 || entry[n] != '.')
        return false;
    const char *rest = entry + n + 1;
    const size_t digits = strspn(rest, "0123456789");
    return strcmp(rest, "old") == 0 ||
           (digits > 0 && (rest[digits] == '\0' || strcmp(rest + digits, ".gz") == 0));
}

static int add(struct trail *t, const char *dir, const char *name)
{
    if (t->n == TRAIL_FILES)
        return -ERR_FULL;
    struct trail_file *files = realloc(t->files, (t->n + 1) * sizeof *files);
    if (!files)
        return -ERR_NOMEM;
    t->files = files;
    struct trail_file *f = &files[t->n];
    if (snprintf(f->path, sizeof f->path, "%s/%s", dir, name) >= (int)sizeof f->path)
        return -ERR_RANGE;
    f->first = first_of(f->path);
    t->n++;
    return 0;
}

static int compare(const void *va, const void *vb)
{
    const struct trail_file *a = va, *b = vb;
    return a->first < b->first ? -1 : a->first > b->first;
}

static int find(struct trail *t, const char *dir, const char *name)
{
    DIR *d = opendir(dir);
    int r = 0;
    if (!d)
        return -ERR_IO;
    for (const struct dirent *e; r == 0 && (e = readdir(d)) != NULL;)
        if (is_older(e->d_name, name))
            r = add(t, dir, e->d_name);
    closedir(d);
    if (t->n > 1)
        qsort(t->files, t->n, sizeof *t->files, compare);
    return r < 0 ? r : add(t, dir, name);
}

int trail_open(struct trail *t, const char *path)
{
    char dir[TRAIL_PATH];
    *t = (struct trail){0};
    if (snprintf(t->path, sizeof t->path, "%s", path) >= (int)sizeof t->path)
        return -ERR_RANGE;
    memcpy(dir, t->path, sizeof dir);
    char *slash = strrchr(dir, '/');
    const char *name = slash ? slash + 1 : path;
    if (slash)
        *slash = '\0';
    if (access(path, R_OK) < 0)
        return -ERR_IO;
    const int r = find(t, !slash ? "." : *dir ? dir : "/", name);
    if (r < 0)
        trail_close(t);
    return r;
}

void trail_close(struct trail *t)
{
    if (t->in)
        gzclose(t->in);
    free(t->files);
    t->in = NULL;
    t->files = NULL;
    t->n = 0;
}

const char *trail_file(const struct trail *t)
{
    return t->files[t->at].path;
}

static bool begin(struct trail *t)
{
    t->in = open_file(t->files[t->at].path, &t->inode);
    t->line = 0;
    t->have = 0;
    return t->in != NULL;
}

/* Whether what lies at the path of the last file is another one now. */
static bool replaced(const struct trail *t)
{
    struct stat st;
    return stat(t->path, &st) == 0 && st.st_ino != t->inode;
}

bool trail_next(struct trail *t, struct str *line)
{
    for (;;) {
        const bool last = t->at + 1 == t->n;
        if (!t->in && !begin(t) && last)
            return false;
        if (t->in) {
            const bool over = last && replaced(t); /* asked first: then it grows no more */
            if (next_line(t, line))
                return true;
            if (last && !over)
                return false;
            gzclose(t->in);
            t->in = NULL;
        }
        t->at += !last;
    }
}
