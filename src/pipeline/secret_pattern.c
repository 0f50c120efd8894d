#include "pipeline/secret_pattern.h"

#include <stdio.h>
#include <stdlib.h>
#include <tre/tre.h>

#include "base/err.h"

struct secret_patterns {
    unsigned n;
    regex_t compiled[SECRET_PATTERNS];
};

static int wrong(char *why, size_t size, const char *line)
{
    snprintf(why, size, "%s", line);
    return -ERR_SYNTAX;
}

/* What would cost more than linear time, and what would find something everywhere. */
static int check_compiled(const regex_t *re, char *why, size_t size)
{
    if (tre_have_backrefs(re))
        return wrong(why, size, "expected an expression without back-references");
    if (tre_have_approx(re))
        return wrong(why, size, "expected an expression without approximate matching");
    if (tre_regnexec(re, "", 0, 0, NULL, 0) == REG_OK)
        return wrong(why, size, "expected an expression that does not match an empty text");
    return 0;
}

int secret_pattern_check(struct str expression, char *why, size_t why_size)
{
    regex_t re;
    char what[128];
    if (expression.n == 0 || expression.n > SECRET_PATTERN_MAX)
        return wrong(why, why_size, "expected an expression of 1 to 256 bytes");
    const int bad = tre_regncomp(&re, expression.p, expression.n, REG_EXTENDED);
    if (bad != REG_OK) {
        tre_regerror(bad, NULL, what, sizeof what);
        snprintf(why, why_size, "expected an extended regular expression: %s", what);
        return -ERR_SYNTAX;
    }
    const int r = check_compiled(&re, why, why_size);
    tre_regfree(&re);
    return r;
}

struct secret_patterns *secret_patterns_new(const struct str *expressions, unsigned n)
{
    struct secret_patterns *p = calloc(1, sizeof *p);
    for (unsigned i = 0; p && i < n && i < SECRET_PATTERNS; i++) {
        if (tre_regncomp(&p->compiled[i], expressions[i].p, expressions[i].n, REG_EXTENDED) !=
            REG_OK) {
            secret_patterns_free(p);
            return NULL;
        }
        p->n++;
    }
    return p;
}

void secret_patterns_free(struct secret_patterns *p)
{
    for (unsigned i = 0; p && i < p->n; i++)
        tre_regfree(&p->compiled[i]);
    free(p);
}

unsigned secret_patterns_count(const struct secret_patterns *p)
{
    return p ? p->n : 0;
}

int secret_pattern_find(const struct secret_patterns *p, unsigned i, struct str text, size_t from,
                        struct secret_place *out)
{
    regmatch_t m;
    while (from < text.n) {
        const int r = tre_regnexec(&p->compiled[i], text.p + from, text.n - from, 1, &m,
                                   from ? REG_NOTBOL : 0);
        if (r == REG_ESPACE)
            return -ERR_NOMEM;
        if (r != REG_OK)
            return 0;
        if (m.rm_eo > m.rm_so) {
            *out = (struct secret_place){from + (size_t)m.rm_so, from + (size_t)m.rm_eo};
            return 1;
        }
        from += (size_t)m.rm_eo + 1; /* an anchor alone */
    }
    return 0;
}
