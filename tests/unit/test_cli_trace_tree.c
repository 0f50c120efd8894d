/* The order of a trace's spans, and how long each ran by itself. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sim/rng.h"
#include "cli/trace_tree.h"

static struct trace_span spans[4096];
static size_t n;

static void setup(void)
{
    n = 0;
}

static void add(unsigned id, unsigned parent, uint64_t start, uint64_t end)
{
    struct trace_span *s = &spans[n];
    *s = (struct trace_span){.start = start, .end = end, .record = n};
    s->id[0] = (uint8_t)id;
    s->id[1] = (uint8_t)(id >> 8);
    s->parent[0] = (uint8_t)parent;
    s->parent[1] = (uint8_t)(parent >> 8);
    n++;
}

/* "1 .2 ..3 ?4": ids, a dot for each level, a question mark for an orphan. */
static const char *order(void)
{
    static char text[1000];
    size_t at = 0;
    n = trace_tree_build(spans, n);
    for (size_t i = 0; i < n; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s", i ? " " : "");
        for (unsigned d = 0; d < spans[i].depth; d++)
            text[at++] = '.';
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%u", spans[i].orphan ? "?" : "",
                               spans[i].id[0] | (unsigned)spans[i].id[1] << 8);
    }
    text[at] = 0;
    return text;
}

static uint64_t self(unsigned id)
{
    for (size_t i = 0; i < n; i++)
        if (spans[i].id[0] == id)
            return spans[i].self;
    ck_abort_msg("no span %u", id);
}

START_TEST(a_tree)
{
    add(5, 3, 40, 50);
    add(4, 1, 60, 90);
    add(3, 2, 30, 60);
    add(2, 1, 20, 60);
    add(1, 0, 0, 100);
    add(6, 4, 60, 70);
    ck_assert_str_eq(order(), "1 .2 ..3 ...5 .4 ..6");
    ck_assert_uint_eq(self(1), 100 - 40 - 30);
    ck_assert_uint_eq(self(2), 10);
    ck_assert_uint_eq(self(5), 10);
    ck_assert_uint_eq(self(6), 10);
}
END_TEST

START_TEST(children_that_overlap_or_run_over)
{
    add(1, 0, 100, 200);
    add(2, 1, 90, 120);  /* a clock that is behind */
    add(3, 1, 110, 130); /* beside the second */
    add(4, 1, 115, 116); /* within the third */
    add(5, 1, 190, 300); /* goes on for longer */
    add(6, 1, 250, 260); /* began when it was over */
    ck_assert_str_eq(order(), "1 .2 .3 .4 .5 .6");
    ck_assert_uint_eq(self(1), 60);
}
END_TEST

START_TEST(orphans)
{
    add(1, 0, 50, 60);
    add(2, 90, 10, 20);
    add(3, 91, 15, 20);
    add(4, 90, 30, 40);
    add(5, 4, 31, 32);
    add(6, 0, 5, 6);
    ck_assert_str_eq(order(), "6 1 ?2 ?4 .5 ?3");
}
END_TEST

/* Spans that nobody honest sends. */
START_TEST(circles_and_twins)
{
    add(1, 1, 10, 20); /* its own parent */
    add(2, 3, 30, 40);
    add(3, 2, 31, 40);
    add(4, 3, 32, 40);
    ck_assert_str_eq(order(), "?1 ?2 .3 ..4");
    n = 0;
    add(1, 0, 10, 20);
    add(1, 0, 10, 30); /* sent again */
    ck_assert_str_eq(order(), "1");
    ck_assert_uint_eq(spans[0].end, 30);
    n = 0;
    ck_assert_str_eq(order(), "");
}
END_TEST

/* A chain of thousands needs no stack. */
START_TEST(a_long_chain)
{
    for (unsigned i = 4096; i > 0; i--)
        add(i, i - 1, i, 10000);
    n = trace_tree_build(spans, n);
    ck_assert_uint_eq(n, 4096);
    for (unsigned i = 0; i < 4096; i++)
        ck_assert(spans[i].depth == i && !spans[i].orphan);
}
END_TEST

/* Whatever the parents are, each span is placed once, behind its parent. */
START_TEST(any_parents)
{
    struct rng r = {(uint64_t)_i};
    const unsigned count = 1 + rng_below(&r, 60);
    bool seen[256] = {false};
    for (unsigned i = 1; i <= count; i++)
        add(i, rng_below(&r, count + 10), rng_below(&r, 100), 100 + rng_below(&r, 100));
    n = trace_tree_build(spans, n);
    ck_assert_uint_eq(n, count);
    for (size_t i = 0; i < n; i++) {
        const struct trace_span *s = &spans[i];
        ck_assert(!seen[s->id[0]]);
        ck_assert(s->self <= s->end - s->start);
        ck_assert(s->depth == 0 || seen[s->parent[0]]);
        ck_assert((s->depth == 0 && s->parent[0] != 0) == s->orphan);
        seen[s->id[0]] = true;
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cli_trace_tree");
    TCase *t = tcase_create("tree");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, a_tree);
    tcase_add_test(t, children_that_overlap_or_run_over);
    tcase_add_test(t, orphans);
    tcase_add_test(t, circles_and_twins);
    tcase_add_test(t, a_long_chain);
    tcase_add_loop_test(t, any_parents, 0, 300);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
