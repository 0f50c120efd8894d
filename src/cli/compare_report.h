/* compare_report: how `mcptally compare` shows what it found. */
#ifndef MCPTALLY_CLI_COMPARE_REPORT_H
#define MCPTALLY_CLI_COMPARE_REPORT_H

#include "cli/judge.h"

struct figure_list {
    const struct figure **all;
    size_t n;
};

struct comparison {
    const char *base_path, *new_path;
    struct figures base, new;
    double thresholds[FIGURE_CLASSES]; /* shares */
    struct verdict *verdicts;          /* sorted by the figures' names */
    size_t n;
    struct figure_list only_base, only_new;
    size_t of_outcome[OUTCOMES];
    enum grade worst; /* of the regressions */
};

void compare_text(const struct comparison *c, bool all);
void compare_json(const struct comparison *c);

#endif
