#include "cli/options.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "cli/cli.h"
#include "cli/duration.h"

enum { HELP_COLUMN = 28, HELP_WIDTH = 80, ROWS_MAX = 32 };

/* ---- help ---- */

/* Breaks text at spaces into lines of HELP_WIDTH, all but the first indented. */
static void print_wrapped(const char *text, size_t column, size_t indent)
{
    while (*text) {
        const size_t n = strcspn(text, " ");
        if (column + n > HELP_WIDTH && column > indent) {
            printf("\n%*s", (int)indent, "");
            column = indent;
        }
        printf("%.*s", (int)n, text);
        column += n + 1;
        text += n;
        if (*text == ' ') {
            text++;
            if (column + strcspn(text, " ") <= HELP_WIDTH)
                putchar(' ');
        }
    }
    putchar('\n');
}

static void print_row(const struct option_row *row)
{
    char left[64] = "    ";
    if (row->letter)
        snprintf(left, sizeof left, "-%c, ", row->letter);
    int n = printf("  %s--%s", left, row->name);
    if (row->value)
        n += printf(" %s", row->value);
    if (n >= HELP_COLUMN)
        n = printf("\n") - 1;
    printf("%*s", HELP_COLUMN - n, "");
    print_wrapped(row->help, HELP_COLUMN, HELP_COLUMN);
}

static void print_usage(const struct options *o)
{
    const char *lead = "usage:";
    for (const char *line = o->usage; line; lead = "      ") {
        const char *end = strchr(line, '\n');
        const int n = end ? (int)(end - line) : (int)strlen(line);
        printf("%s mcptally %s%s%.*s\n", lead, o->command, n ? " " : "", n, line);
        line = end ? end + 1 : NULL;
    }
}

static void print_help(const struct options *o)
{
    static const struct option_row help = {.name = "help", .help = "print this and exit"};
    print_usage(o);
    putchar('\n');
    print_wrapped(o->about, 0, 0);
    putchar('\n');
    for (size_t i = 0; i < o->nrows; i++)
        print_row(&o->rows[i]);
    print_row(&help);
}

/* ---- parsing ---- */

static int wrong(const struct options *o, const char *fmt, va_list ap)
{
    char what[512];
    vsnprintf(what, sizeof what, fmt, ap);
    cli_error("%s: %s; try 'mcptally %s --help'", o->command, what, o->command);
    return CLI_USAGE;
}

int options_wrong(const struct options *o, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const int status = wrong(o, fmt, ap);
    va_end(ap);
    return status;
}

int options_exit(int answer)
{
    return answer == OPTIONS_HELP ? CLI_OK : CLI_USAGE;
}

static const struct option_row *find_long(const struct options *o, const char *name, size_t n)
{
    for (size_t i = 0; i < o->nrows; i++)
        if (strlen(o->rows[i].name) == n && memcmp(o->rows[i].name, name, n) == 0)
            return &o->rows[i];
    return NULL;
}

static const struct option_row *find_short(const struct options *o, char letter)
{
    for (size_t i = 0; i < o->nrows; i++)
        if (o->rows[i].letter == letter)
            return &o->rows[i];
    return NULL;
}

static int parse_count(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    const unsigned long long v = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno)
        return -1;
    *out = v;
    return 0;
}

static int store_number(const struct options *o, const struct option_row *row, const char *value,
                        void *into)
{
    uint64_t v;
    const int r = row->type == OPTION_COUNT ? parse_count(value, &v) : duration_parse(value, &v);
    const char *what = row->type == OPTION_COUNT ? "a whole number" : "a duration such as 2s";
    if (r < 0) {
        options_wrong(o, "--%s wants %s, not '%s'", row->name, what, value);
        return OPTIONS_BAD;
    }
    if ((row->min || row->max) && (v < row->min || v > row->max)) {
        options_wrong(o, "--%s: %s is out of range", row->name, value);
        return OPTIONS_BAD;
    }
    memcpy((char *)into + row->offset, &v, sizeof v);
    return 0;
}

static int store_value(const struct options *o, const struct option_row *row, const char *value,
                       void *into)
{
    if (row->type != OPTION_TEXT)
        return store_number(o, row, value, into);
    memcpy((char *)into + row->offset, &value, sizeof value);
    return 0;
}

static int unknown(const struct options *o, const char *argument, size_t n)
{
    const char *names[ROWS_MAX], *near = NULL;
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)n, argument);
    assert(o->nrows <= ROWS_MAX);
    for (size_t i = 0; i < o->nrows; i++)
        names[i] = o->rows[i].name;
    if (strncmp(name, "--", 2) == 0)
        near = nearest(name + 2, names, o->nrows);
    if (near)
        cli_error("%s: no option '%s'; did you mean '--%s'?", o->command, name, near);
    else
        options_wrong(o, "no option '%s'", name);
    return OPTIONS_BAD;
}

/* Takes argv[*i], an option, and the value that may follow it. */
static int take_option(const struct options *o, int argc, char **argv, int *i, void *into)
{
    const char *arg = argv[*i];
    const bool is_long = arg[1] == '-';
    const char *equals = is_long ? strchr(arg, '=') : NULL;
    const size_t n = equals ? (size_t)(equals - arg) : is_long ? strlen(arg) : 2;
    const struct option_row *row = is_long ? find_long(o, arg + 2, n - 2) : find_short(o, arg[1]);
    if (!row)
        return unknown(o, arg, n);
    const char *value = equals ? equals + 1 : arg[n] ? arg + n : NULL;
    if (row->type == OPTION_FLAG) {
        if (value) {
            options_wrong(o, "--%s takes no value", row->name);
            return OPTIONS_BAD;
        }
        *((bool *)into + row->offset) = true;
        return 0;
    }
    if (!value && *i + 1 < argc)
        value = argv[++*i];
    if (!value) {
        options_wrong(o, "--%s wants %s", row->name, row->value);
        return OPTIONS_BAD;
    }
    return store_value(o, row, value, into);
}

static bool is_operand(const char *arg)
{
    return arg[0] != '-' || !arg[1] || (arg[1] >= '0' && arg[1] <= '9') || arg[1] == '.';
}

int options_parse(const struct options *o, int argc, char **argv, void *into)
{
    int operands = 0, i = 1;
    for (; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (is_operand(argv[i])) {
            if (o->stop_at_operand)
                break;
            argv[1 + operands++] = argv[i];
            continue;
        }
        if (strcmp(argv[i], "--help") == 0) {
            print_help(o);
            return OPTIONS_HELP;
        }
        const int r = take_option(o, argc, argv, &i, into);
        if (r < 0)
            return r;
    }
    while (i < argc)
        argv[1 + operands++] = argv[i++];
    argv[1 + operands] = NULL;
    return operands;
}
