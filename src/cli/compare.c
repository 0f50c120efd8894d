/* compare: what became better or worse between two reports or exports; a gate for CI. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/cli.h"
#include "cli/compare_report.h"
#include "cli/options.h"

struct compare_options {
    const char *threshold, *of_class[FIGURE_CLASSES];
    bool all, json, relative, untested;
};

#define AT(member) offsetof(struct compare_options, member)

static const struct option_row rows[] = {
    {"threshold", 0, OPTION_TEXT, AT(threshold), "PERCENT",
     "from what change on one counts, for every class (5)", 0, 0},
    {"latency", 0, OPTION_TEXT, AT(of_class[FIGURE_LATENCY]), "PERCENT", "the same for latency", 0,
     0},
    {"throughput", 0, OPTION_TEXT, AT(of_class[FIGURE_THROUGHPUT]), "PERCENT", "for throughput", 0,
     0},
    {"errors", 0, OPTION_TEXT, AT(of_class[FIGURE_ERRORS]), "PERCENT", "for errors and losses", 0,
     0},
    {"resources", 0, OPTION_TEXT, AT(of_class[FIGURE_RESOURCES]), "PERCENT",
     "for memory and CPU time", 0, 0},
    {"relative", 0, OPTION_FLAG, AT(relative), NULL,
     "compare each run divided by that of its reference, where a bench has one", 0, 0},
    {"untested", 0, OPTION_FLAG, AT(untested), NULL,
     "take what is worse, but has too few runs for a test, for a regression", 0, 0},
    {"all", 0, OPTION_FLAG, AT(all), NULL, "print what is unchanged, too", 0, 0},
    {"json", 0, OPTION_FLAG, AT(json), NULL, "print one JSON object", 0, 0},
};

static const struct options options = {
    .command = "compare",
    .usage = "[OPTION]... BASE NEW",
    .about = "Compares two reports of a bench, or two exports of metrics, or directories of them "
             "whose files are runs of the same. Tells what changed significantly (95%, Mann and "
             "Whitney's test) by more than a threshold, and how badly. Exit status: 0 no "
             "regression, 1 one or more, 2 trouble.",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
};

/* As diff(1): a gate must not take a missing file for a regression. */
enum { EXIT_NONE = 0, EXIT_REGRESSION = 1, EXIT_TROUBLE = 2 };

#define DEFAULT_THRESHOLD 0.05

/* ---- pairing ---- */

static bool add(struct comparison *c, const struct figure *base, const struct figure *new)
{
    struct verdict v;
    const struct figure *one = base ? base : new;
    if (!base || !new) {
        struct figure_list *list = base ? &c->only_base : &c->only_new;
        list->all[list->n++] = one;
        return true;
    }
    if (judge(base, new, c->thresholds, &v) < 0)
        return false;
    c->verdicts[c->n++] = v;
    c->of_outcome[v.outcome]++;
    if (v.outcome == OUTCOME_WORSE && v.severity > c->worst)
        c->worst = v.severity;
    return true;
}

/* Both sets are sorted by name. */
static bool pair(struct comparison *c)
{
    const struct figures *b = &c->base, *n = &c->new;
    bool good = true;
    for (size_t i = 0, j = 0; good && (i < b->n || j < n->n);) {
        const int order = i == b->n ? 1 : j == n->n ? -1 : strcmp(b->all[i].name, n->all[j].name);
        good = add(c, order <= 0 ? &b->all[i] : NULL, order >= 0 ? &n->all[j] : NULL);
        i += order <= 0;
        j += order >= 0;
    }
    return good;
}

static bool make_room(struct comparison *c)
{
    c->verdicts = calloc(c->base.n + 1, sizeof *c->verdicts);
    c->only_base.all = calloc(c->base.n + 1, sizeof *c->only_base.all);
    c->only_new.all = calloc(c->new.n + 1, sizeof *c->only_new.all);
    return c->verdicts && c->only_base.all && c->only_new.all;
}

static void fini(struct comparison *c)
{
    free(c->verdicts);
    free(c->only_base.all);
    free(c->only_new.all);
    figures_fini(&c->base);
    figures_fini(&c->new);
}

/* ---- the command ---- */

/* A number from 0 to 1,000, with or without a percent sign, as a share. */
static bool read_percent(const char *text, double *share)
{
    char *end;
    const double v = strtod(text, &end);
    if (end == text || (*end && strcmp(end, "%") != 0) || !(v >= 0 && v <= 1000))
        return false;
    *share = v / 100;
    return true;
}

static bool read_thresholds(const struct compare_options *o, double *to)
{
    double general = DEFAULT_THRESHOLD;
    bool good = !o->threshold || read_percent(o->threshold, &general);
    for (int c = 0; c < FIGURE_CLASSES; c++) {
        to[c] = general;
        good = good && (!o->of_class[c] || read_percent(o->of_class[c], &to[c]));
    }
    return good;
}

static bool read_both(struct comparison *c)
{
    char why[FIGURE_TEXT];
    if (figures_read(&c->base, c->base_path, why) == 0 &&
        figures_read(&c->new, c->new_path, why) == 0)
        return true;
    cli_error("compare: %s", why);
    return false;
}

static int run(const struct compare_options *o, struct comparison *c)
{
    if (!read_both(c))
        return EXIT_TROUBLE;
    if (o->relative) {
        figures_by_reference(&c->base);
        figures_by_reference(&c->new);
    }
    if (!make_room(c) || !pair(c)) {
        cli_error("compare: %s", err_help(ERR_NOMEM));
        return EXIT_TROUBLE;
    }
    if (c->n == 0) {
        cli_error("compare: %s and %s have no figure in common", c->base_path, c->new_path);
        return EXIT_TROUBLE;
    }
    if (o->json)
        compare_json(c);
    else
        compare_text(c, o->all);
    const size_t bad =
        c->of_outcome[OUTCOME_WORSE] + (o->untested ? c->of_outcome[OUTCOME_UNTESTED] : 0);
    return bad ? EXIT_REGRESSION : EXIT_NONE;
}

int cmd_compare(int argc, char **argv)
{
    struct compare_options o = {0};
    struct comparison c = {0};
    const int n = options_parse(&options, argc, argv, &o);
    if (n < 0)
        return n == OPTIONS_HELP ? EXIT_NONE : EXIT_TROUBLE;
    if (n != 2)
        return options_wrong(&options, "two files are compared, not %d", n), EXIT_TROUBLE;
    if (!read_thresholds(&o, c.thresholds))
        return options_wrong(&options, "a threshold is 0 to 1000 percent"), EXIT_TROUBLE;
    c.base_path = argv[1];
    c.new_path = argv[2];
    const int status = run(&o, &c);
    fini(&c);
    return status;
}
