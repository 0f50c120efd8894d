/* figure: what `mcptally compare` compares, whatever file it comes from: a name, what kind of
 * figure it is, and its runs. A set is filled from reports of `make bench` and from exports of
 * metrics; several files make several runs. Nothing in a file is trusted. */
#ifndef MCPTALLY_CLI_FIGURE_H
#define MCPTALLY_CLI_FIGURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "cli/rank.h"

/* X(SYMBOL, "word"); the word is also that of the option that sets its threshold */
#define FIGURE_CLASS_TABLE(X)                                                                      \
    X(LATENCY, "latency")                                                                          \
    X(THROUGHPUT, "throughput")                                                                    \
    X(ERRORS, "errors")                                                                            \
    X(RESOURCES, "resources")                                                                      \
    X(OTHER, "other") /* neither direction is worse */

enum figure_class {
#define X(sym, word) FIGURE_##sym,
    FIGURE_CLASS_TABLE(X)
#undef X
        FIGURE_CLASSES
};

const char *figure_class_name(enum figure_class c);

/* The number of the class with such a name, or -ERR_NOTFOUND. */
int figure_class_of(const char *word);

struct figure {
    char *name; /* with labels in braces, sorted: what pairs it with the other side's */
    char *unit; /* empty: none */
    enum figure_class class;
    bool more_is_better;
    bool counts; /* each run is a count of events */
    size_t n, nreference;
    double *runs, *reference;  /* reference: measured beside each run; may be none */
    size_t nbuckets;           /* a histogram has these instead of runs */
    double *bounds, *observed; /* upper bounds, the last +Inf; observations in each */
};

enum {
    FIGURES_MOST = 200000,
    FIGURE_FILES_MOST = 100,       /* of a directory */
    FIGURE_FILE_BYTES = 256 << 20, /* so that no file can take all memory */
    FIGURE_NAME_MOST = 16384,
    FIGURE_TEXT = 256, /* of what is told about a file */
};

struct figures {
    struct figure *all; /* sorted by name, once read */
    size_t n, cap;
    uint32_t *index; /* by hash of the name; twice cap slots, a number of one from 1 */
    unsigned files;
    char made_on[FIGURE_TEXT]; /* the machine; empty: the file does not say */
    char made_by[FIGURE_TEXT]; /* versions */
};

/* Reads a file, or each file of a directory as one run. 0; else negative, and `why` says what is
 * wrong, with the file's name. The set is to be freed either way. */
int figures_read(struct figures *set, const char *path, char why[FIGURE_TEXT]);
void figures_fini(struct figures *set);

/* Adds one file's contents, with a NUL behind them. As figures_read(), but unsorted. */
int figures_take(struct figures *set, struct str text, const char *path, char why[FIGURE_TEXT]);

/* Each run by the run of its reference, where a figure has one. */
void figures_by_reference(struct figures *set);

/* ---- for those that read one kind of file ---- */

/* The figure of this name, new when there is none; NULL when memory or FIGURES_MOST is out. The
 * pointer holds until the next call. A new one has no unit and no runs, and the class that its
 * name tells. */
struct figure *figures_get(struct figures *set, struct str name, struct str unit);

/* Adds a run; false when memory is out. One too many, or one that is no number, is left out. */
bool figure_add(struct figure *f, double run);
bool figure_add_reference(struct figure *f, double run);

/* Adds observations up to a bound, not counting those of lower bounds. Bounds of one file come
 * in order, and a second file repeats those of the first; false when not, or memory is out. */
bool figure_add_bucket(struct figure *f, size_t at, double bound, double observed);

/* Sets the class by words in a metric's name and labels; see mcptally(1), compare. */
void figure_classify(struct figure *f);

/* The labels of a series: a name for its figure that does not depend on their order. */
enum { FIGURE_LABELS = 64 };
struct figure_label {
    struct str key, value;
};
struct figure_name {
    struct str metric;
    struct figure_label labels[FIGURE_LABELS];
    size_t n;
    char text[FIGURE_NAME_MOST];
};

/* The name as NAME{KEY="VALUE",...}, without the label `le`, in text; empty when it is longer. */
struct str figure_name(struct figure_name *name);

/* Each takes a document of its kind. 0; -ERR_SYNTAX, -ERR_FULL or -ERR_NOMEM; of a page the line
 * that is wrong, from 1. */
int figures_of_bench(struct figures *set, const void *json);   /* json_t */
int figures_of_load(struct figures *set, const void *json);    /* json_t */
int figures_of_metrics(struct figures *set, const void *json); /* json_t */
int figures_of_text(struct figures *set, struct str page);

#endif
