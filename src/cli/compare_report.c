#include "cli/compare_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/style.h"
#include "format/json.h"
#include "format/log_text.h"

enum { OUT_MAX = 1 << 30, OUTLIER_RUNS = 4 /* fewer have no outliers */ };

/* ---- text ---- */

static void add_percent(struct buf *to, double share, int width)
{
    char text[32];
    if (isfinite(share))
        snprintf(text, sizeof text, "%+.*f%%", fabs(share) < 0.1 ? 1 : 0, 100 * share);
    else
        snprintf(text, sizeof text, "%s", share > 0 ? "+inf" : "-inf");
    buf_addf(to, "%*s", width, text);
}

static void add_interval(struct buf *to, const struct verdict *v)
{
    if (!v->bounded) {
        buf_addf(to, "%18s", "no interval");
        return;
    }
    add_percent(to, v->low, 8);
    buf_adds(to, " to ");
    add_percent(to, v->high, 6);
}

static void add_verdict(struct buf *to, const struct verdict *v, bool colour)
{
    static const enum style styles[OUTCOMES] = {[OUTCOME_BETTER] = STYLE_GOOD,
                                                [OUTCOME_UNTESTED] = STYLE_WARN,
                                                [OUTCOME_WORSE] = STYLE_BAD};
    char text[64];
    snprintf(text, sizeof text, "%s%s%s", outcome_name(v->outcome), v->severity ? ", " : "",
             v->severity ? grade_name(v->severity) : "");
    style_add(to, colour, styles[v->outcome]);
    buf_addf(to, "%-21s", text);
    style_add(to, colour, STYLE_NONE);
    buf_addf(to, " %11.5g %11.5g ", v->base_median, v->new_median);
    add_percent(to, v->change, 8);
    add_interval(to, v);
    buf_addf(to, " %8.2g  ", v->p);
    log_clean(to, str_of(v->base->name));
    if (*v->base->unit) {
        buf_adds(to, " [");
        log_clean(to, str_of(v->base->unit));
        buf_addc(to, ']');
    }
    buf_addc(to, '\n');
}

/* The worst first, each kind by its severity. */
static void add_verdicts(struct buf *to, const struct comparison *c, bool all, bool colour)
{
    const int least = all ? OUTCOME_SAME : OUTCOME_CHANGED;
    buf_addf(to, "%-21s %11s %11s %8s%18s %8s  %s\n", "verdict", "base", "new", "change",
             "95% interval", "p", "figure");
    for (int outcome = OUTCOMES - 1; outcome >= least; outcome--)
        for (int severity = GRADE_CRITICAL; severity >= GRADE_NONE; severity--)
            for (size_t i = 0; i < c->n; i++)
                if ((int)c->verdicts[i].outcome == outcome &&
                    (int)c->verdicts[i].severity == severity)
                    add_verdict(to, &c->verdicts[i], colour);
}

static void add_outliers(struct buf *to, const char *side, const struct figure *f)
{
    if (f->n < OUTLIER_RUNS)
        return;
    const struct rank_centre centre = rank_centre(f->runs, f->n);
    for (size_t i = 0; i < f->n; i++) {
        const double sigmas = rank_sigmas(centre, f->runs[i]);
        if (sigmas <= RANK_OUTLIER)
            continue;
        buf_addf(to, "outlier: %s run %zu is %.5g, %.1f sigma from %.5g: ", side, i + 1, f->runs[i],
                 sigmas, centre.median);
        log_clean(to, str_of(f->name));
        buf_addc(to, '\n');
    }
}

static void add_side(struct buf *to, const char *side, const char *path, const struct figures *f)
{
    buf_addf(to, "%s  ", side);
    log_clean(to, str_of(path));
    if (f->files > 1)
        buf_addf(to, ", %u files", f->files);
    if (*f->made_by)
        buf_adds(to, ", ");
    log_clean(to, str_of(f->made_by));
    if (*f->made_on)
        buf_adds(to, ", on ");
    log_clean(to, str_of(f->made_on));
    buf_addc(to, '\n');
}

static bool machines_differ(const struct comparison *c)
{
    return *c->base.made_on && *c->new.made_on &&strcmp(c->base.made_on, c->new.made_on) != 0;
}

/* The verdict that had the fewest runs: what can be significant at all. */
static const struct verdict *fewest(const struct comparison *c)
{
    const struct verdict *few = NULL;
    for (size_t i = 0; i < c->n; i++) {
        const struct verdict *v = &c->verdicts[i];
        if (v->base->n && v->new->n && v->test != TEST_COUNTS && (!few || v->least > few->least))
            few = v;
    }
    return few;
}

static void add_notes(struct buf *to, const struct comparison *c)
{
    const struct verdict *few = fewest(c);
    if (machines_differ(c))
        buf_adds(to, "note: the machines differ; --relative compares what was measured beside a "
                     "reference\n");
    if (few && few->least > RANK_ALPHA)
        buf_addf(to,
                 "note: of %zu and %zu runs p cannot be below %.2g: not significant, however "
                 "far apart; of equal numbers 4 and 4 are the fewest that can be\n",
                 few->base->n, few->new->n, few->least);
    else if (few)
        buf_addf(to, "note: of %zu and %zu runs p cannot be below %.2g; significant is up to %g\n",
                 few->base->n, few->new->n, few->least, RANK_ALPHA);
    if (c->only_base.n || c->only_new.n)
        buf_addf(to, "note: %zu figures only in base, %zu only in new\n", c->only_base.n,
                 c->only_new.n);
}

static void add_summary(struct buf *to, const struct comparison *c)
{
    buf_addf(to, "%zu figures:", c->n);
    for (int o = OUTCOMES - 1; o >= 0; o--)
        buf_addf(to, " %zu %s%s", c->of_outcome[o], outcome_name((enum outcome)o), o ? "," : "");
    if (c->worst)
        buf_addf(to, "; the worst is %s", grade_name(c->worst));
    buf_addc(to, '\n');
}

static void print(struct buf *out)
{
    if (out->failed)
        cli_error("compare: the report is too long");
    else
        cli_write(buf_str(out));
    buf_fini(out);
}

void compare_text(const struct comparison *c, bool all)
{
    struct buf out;
    const bool shown = all || c->of_outcome[OUTCOME_SAME] < c->n;
    buf_init(&out, OUT_MAX);
    add_side(&out, "base", c->base_path, &c->base);
    add_side(&out, "new ", c->new_path, &c->new);
    if (shown)
        add_verdicts(&out, c, all, style_wanted());
    for (size_t i = 0; i < c->n; i++) {
        add_outliers(&out, "base", c->verdicts[i].base);
        add_outliers(&out, "new", c->verdicts[i].new);
    }
    add_notes(&out, c);
    add_summary(&out, c);
    print(&out);
}

/* ---- JSON ---- */

static void put_side(struct json_writer *j, const char *key, const char *path,
                     const struct figures *f)
{
    json_put_object(j, key);
    json_put_text(j, "path", path);
    json_put_u64(j, "files", f->files);
    json_put_text(j, "machine", *f->made_on ? f->made_on : NULL);
    json_put_text(j, "versions", *f->made_by ? f->made_by : NULL);
    json_end_object(j);
}

static void put_outliers(struct json_writer *j, const char *side, const struct figure *f)
{
    if (f->n < OUTLIER_RUNS)
        return;
    const struct rank_centre centre = rank_centre(f->runs, f->n);
    for (size_t i = 0; i < f->n; i++) {
        if (rank_sigmas(centre, f->runs[i]) <= RANK_OUTLIER)
            continue;
        json_put_object(j, NULL);
        json_put_text(j, "side", side);
        json_put_u64(j, "run", i + 1);
        json_put_f64(j, "value", f->runs[i]);
        json_put_f64(j, "sigmas", rank_sigmas(centre, f->runs[i]));
        json_end_object(j);
    }
}

static void put_verdict(struct json_writer *j, const struct verdict *v, const double *thresholds)
{
    json_put_object(j, NULL);
    json_put_text(j, "name", v->base->name);
    json_put_text(j, "unit", v->base->unit);
    json_put_text(j, "class", figure_class_name(v->base->class));
    json_put_text(j, "better",
                  v->base->class == FIGURE_OTHER ? NULL
                  : v->base->more_is_better      ? "higher"
                                                 : "lower");
    json_put_text(j, "verdict", outcome_name(v->outcome));
    json_put_text(j, "severity", grade_name(v->severity));
    json_put_f64(j, "base", v->base_median);
    json_put_f64(j, "new", v->new_median);
    json_put_u64(j, "base_runs", v->base->n);
    json_put_u64(j, "new_runs", v->new->n);
    json_put_f64(j, "change", v->change);
    json_put_f64(j, "low", v->bounded ? v->low : (double)NAN);
    json_put_f64(j, "high", v->bounded ? v->high : (double)NAN);
    json_put_f64(j, "threshold", thresholds[v->base->class]);
    json_put_text(j, "test", test_name(v->test));
    json_put_bool(j, "exact", v->exact);
    json_put_f64(j, "p", v->p);
    json_put_f64(j, "least_p", v->least);
    json_put_array(j, "outliers");
    put_outliers(j, "base", v->base);
    put_outliers(j, "new", v->new);
    json_end_array(j);
    json_end_object(j);
}

static void put_names(struct json_writer *j, const char *key, const struct figure_list *list)
{
    json_put_array(j, key);
    for (size_t i = 0; i < list->n; i++)
        json_put_text(j, NULL, list->all[i]->name);
    json_end_array(j);
}

void compare_json(const struct comparison *c)
{
    struct buf out;
    buf_init(&out, OUT_MAX);
    struct json_writer j = json_begin(&out);
    json_put_object(&j, NULL);
    put_side(&j, "base", c->base_path, &c->base);
    put_side(&j, "new", c->new_path, &c->new);
    json_put_f64(&j, "confidence", 1 - RANK_ALPHA);
    json_put_u64(&j, "regressions", c->of_outcome[OUTCOME_WORSE]);
    json_put_u64(&j, "improvements", c->of_outcome[OUTCOME_BETTER]);
    json_put_u64(&j, "untested", c->of_outcome[OUTCOME_UNTESTED]);
    json_put_text(&j, "severity", grade_name(c->worst));
    json_put_array(&j, "figures");
    for (size_t i = 0; i < c->n; i++)
        put_verdict(&j, &c->verdicts[i], c->thresholds);
    json_end_array(&j);
    put_names(&j, "only_base", &c->only_base);
    put_names(&j, "only_new", &c->only_new);
    json_end_object(&j);
    buf_addc(&out, '\n');
    print(&out);
}
