#include "export/fields.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* Of the connection, the message or the protocol: whoever sets these breaks the request. */
static const char *const ours[] = {
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "http2-settings",
};

static bool is_ours(const char *name)
{
    for (unsigned i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcmp(name, ours[i]) == 0)
            return true;
    return strncmp(name, "grpc-", 5) == 0;
}

/* RFC 9110's token. */
static bool is_token(const char *name)
{
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("!#$%&'*+-.^_`|~", *c))
            return false;
    return name[0] != '\0';
}

/* Printable ASCII: gRPC allows no more, and a line end would begin another header. */
static bool is_text(const char *value)
{
    for (const char *c = value; *c; c++)
        if (*c < ' ' || *c > '~')
            return false;
    return value[0] != ' ' && (!value[0] || value[strlen(value) - 1] != ' ');
}

static int bad(int e, char *why, size_t size, const char *what)
{
    snprintf(why, size, "header %s", what);
    return e;
}

static size_t bytes_of(const struct fields *f)
{
    size_t n = 0;
    for (unsigned i = 0; i < f->n; i++)
        n += strlen(f->all[i].name) + strlen(f->all[i].value) + 32; /* as RFC 9113 counts */
    return n;
}

int fields_add(struct fields *f, const char *name, const char *value, char *why, size_t why_size)
{
    char low[FIELDS_NAME + 1];
    const size_t n = strlen(name);
    if (n > FIELDS_NAME || !is_token(name))
        return bad(-ERR_NAME, why, why_size, "names have letters, digits and - only");
    for (size_t i = 0; i <= n; i++)
        low[i] = (char)tolower((unsigned char)name[i]);
    if (is_ours(low)) {
        snprintf(why, why_size, "header %s is set by the exporter itself", low);
        return -ERR_NAME;
    }
    if (!is_text(value))
        return bad(-ERR_SYNTAX, why, why_size, "values are printable ASCII");
    if (f->n == FIELDS_MAX || bytes_of(f) + n + strlen(value) + 32 > FIELDS_BYTES)
        return bad(-ERR_FULL, why, why_size, "list is too long");
    struct field *to = &f->all[f->n];
    *to = (struct field){strdup(low), strdup(value)};
    f->n++;
    return to->name && to->value ? 0 : bad(-ERR_NOMEM, why, why_size, "list: out of memory");
}

void fields_fini(struct fields *f)
{
    for (unsigned i = 0; i < f->n; i++) {
        free(f->all[i].name);
        free(f->all[i].value);
    }
    *f = (struct fields){0};
}
