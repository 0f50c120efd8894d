#include "daemon/faults.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FAULT_LINE = 512, FAULTS_BYTES = 64 * 1024 };

void faults_init(struct faults *f)
{
    f->count = 0;
    f->system = false;
    buf_init(&f->text, FAULTS_BYTES);
}

void faults_fini(struct faults *f)
{
    buf_fini(&f->text);
}

static void add_place(struct buf *to, struct place at, const char *key)
{
    buf_adds(to, at.file);
    if (at.line)
        buf_addf(to, ":%u:%u", at.line, at.column);
    /* An override is named like the option: "-o KEY: ...". */
    if (key)
        buf_addf(to, "%s %s", at.line || strcmp(at.file, "-o") != 0 ? ":" : "", key);
    buf_adds(to, ": ");
}

void fault_add(struct faults *f, struct place at, const char *key, const char *fmt, ...)
{
    if (++f->count > FAULTS_MAX)
        return;
    char what[FAULT_LINE];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    add_place(&f->text, at, key);
    buf_adds(&f->text, what);
    buf_addc(&f->text, '\n');
}

void fault_memory(struct faults *f, struct place at, const char *key)
{
    f->system = true;
    fault_add(f, at, key, "out of memory");
}

void fault_unread(struct faults *f, const char *file, int error)
{
    f->system |= error == EMFILE || error == ENFILE || error == ENOMEM || error == EIO;
    fault_add(f, (struct place){.file = file}, NULL, "cannot be read: %s", strerror(error));
}

const char *faults_text(struct faults *f)
{
    if (!f->count)
        return "";
    buf_addc(&f->text, '\0');
    if (f->text.failed)
        return "out of memory\n";
    f->text.n--;
    return f->text.p;
}
