/* The view of a store from outside, and the feed of its records. */
#include "cli/view.h"

#include <errno.h>

#include "cli/feed.h"
#include "file_store.h"
#include "wire/decode.h"

static struct file_store f;
static struct view v;

static void setup(void)
{
    file_store_init(&f);
}

static void teardown(void)
{
    view_close(&v);
    file_store_fini(&f);
}

static void open_view(bool live)
{
    ck_assert_int_eq(view_open(&v, f.path), 0);
    ck_assert_int_eq(v.live, live);
}

START_TEST(live_while_locked)
{
    open_view(true);
    file_store_log(&f, "a");
    view_settle(&v);
    ck_assert(v.settled);
    ck_assert_uint_eq(v.ring[RING_EVENTS].head, f.st.head->ring[RING_EVENTS].head);
    ck_assert(view_current(&v, f.path));
}
END_TEST

START_TEST(copies_and_rolls_back_after_a_kill)
{
    file_store_log(&f, "committed");
    const uint64_t head = f.st.head->ring[RING_EVENTS].head;
    STORE_SET(&f.st, f.st.head->epoch, 99);
    file_store_kill(&f);
    open_view(false);
    ck_assert_uint_ne(v.store.head->epoch, 99);
    view_settle(&v);
    ck_assert_uint_eq(v.ring[RING_EVENTS].head, head);
    file_store_attach(&f);
    ck_assert_uint_eq(f.st.head->rollbacks, 1); /* the file itself was left as it was */
}
END_TEST

START_TEST(tells_when_a_daemon_goes_and_comes)
{
    open_view(true);
    file_store_kill(&f);
    ck_assert(!view_current(&v, f.path));
    view_close(&v);
    open_view(false);
    ck_assert(view_current(&v, f.path));
    file_store_attach(&f);
    ck_assert(!view_current(&v, f.path));
}
END_TEST

START_TEST(tells_when_superseded_or_replaced)
{
    open_view(true);
    f.st.head->superseded = 1;
    ck_assert(!view_current(&v, f.path));
    f.st.head->superseded = 0;
    ck_assert(view_current(&v, f.path));
    char aside[80];
    snprintf(aside, sizeof aside, "%s.aside", f.path);
    ck_assert_int_eq(rename(f.path, aside), 0);
    ck_assert(view_current(&v, f.path)); /* there is nothing newer yet */
    struct file_store old = f;
    file_store_attach(&f);
    ck_assert(!view_current(&v, f.path));
    file_store_kill(&old);
    unlink(aside);
}
END_TEST

START_TEST(names_what_is_wrong)
{
    file_store_kill(&f);
    unlink(f.path);
    ck_assert_int_eq(view_open(&v, f.path), -ERR_IO);
    ck_assert_int_eq(errno, ENOENT);
    const int fd = open(f.path, O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(view_open(&v, f.path), -ERR_DAMAGED);
    ck_assert_int_eq(ftruncate(fd, FILE_STORE_SIZE), 0);
    ck_assert_int_eq(view_open(&v, f.path), -ERR_DAMAGED);
    close(fd);
}
END_TEST

/* Reads up to the end: how many, and the text of the last. */
static unsigned drain(struct feed *feed, char *last, size_t size)
{
    static struct event e;
    unsigned n = 0;
    feed_refresh(feed);
    for (const struct ring_view *r; (r = feed_next(feed)); n++) {
        const int d =
            decode_body((enum event_kind)r->kind, (const uint8_t *)r->body.p, r->body.n, &e);
        ck_assert_int_eq(d, 0);
        const struct str s = e.kind == EVENT_LOG ? e.text : e.name;
        snprintf(last, size, "%.*s", STR_ARG(s));
    }
    return n;
}

static struct feed feed;
static char last[64];

START_TEST(merges_the_rings_in_order)
{
    file_store_log(&f, "1");
    file_store_span(&f, "2");
    file_store_span(&f, "3");
    file_store_log(&f, "4");
    file_store_span(&f, "5");
    open_view(true);
    feed_init(&feed, &v);
    uint64_t before = 0;
    unsigned n = 0;
    for (const struct ring_view *r; (r = feed_next(&feed)); n++) {
        ck_assert_uint_gt(r->received, before);
        before = r->received;
    }
    ck_assert_uint_eq(n, 5);
    file_store_log(&f, "6");
    ck_assert_uint_eq(drain(&feed, last, sizeof last), 1);
    ck_assert_str_eq(last, "6");
    ck_assert_uint_eq(feed.lost, 0);
}
END_TEST

START_TEST(hides_what_is_not_committed)
{
    static struct event e = {.kind = EVENT_LOG, .time = 1, .severity = 9};
    open_view(true);
    feed_init(&feed, &v);
    file_store_log(&f, "sure");
    ring_make_room(&f.st, RING_EVENTS);
    file_store_append(&f, &e, "svc");
    feed_refresh(&feed);
    ck_assert_ptr_null(feed_next(&feed));
    store_commit(&f.st);
    ck_assert_uint_eq(drain(&feed, last, sizeof last), 2);
}
END_TEST

START_TEST(goes_on_across_a_kill)
{
    open_view(true);
    feed_init(&feed, &v);
    file_store_log(&f, "1");
    ck_assert_uint_eq(drain(&feed, last, sizeof last), 1);
    file_store_kill(&f);
    view_close(&v);
    open_view(false);
    feed_reopened(&feed);
    ck_assert_uint_eq(drain(&feed, last, sizeof last), 0);
    file_store_attach(&f);
    file_store_log(&f, "2");
    view_close(&v);
    open_view(true);
    feed_reopened(&feed);
    ck_assert_uint_eq(drain(&feed, last, sizeof last), 1);
    ck_assert_str_eq(last, "2");
}
END_TEST

START_TEST(begins_anew_with_a_new_store)
{
    file_store_log(&f, "old");
    open_view(true);
    feed_init(&feed, &v);
    ck_assert_uint_eq(drain(&feed, last, sizeof last), 1);
    file_store_kill(&f);
    unlink(f.path);
    f.store_id = 8;
    file_store_attach(&f);
    file_store_log(&f, "new");
    view_close(&v);
    open_view(true);
    feed_reopened(&feed);
    ck_assert_uint_eq(drain(&feed, last, sizeof last), 1);
    ck_assert_str_eq(last, "new");
}
END_TEST

/* A store of another size or layout: the same id and sequence, other places. */
START_TEST(goes_on_in_another_file)
{
    file_store_log(&f, "1");
    file_store_log(&f, "2");
    open_view(true);
    feed_init(&feed, &v);
    ck_assert_uint_eq(drain(&feed, last, sizeof last), 2);
    file_store_kill(&f);
    unlink(f.path);
    file_store_attach(&f);
    file_store_log(&f, "1, which is longer here");
    file_store_log(&f, "2, which is longer here");
    file_store_log(&f, "3");
    view_close(&v);
    open_view(true);
    feed_reopened(&feed);
    ck_assert_uint_eq(drain(&feed, last, sizeof last), 1);
    ck_assert_str_eq(last, "3");
    ck_assert_uint_eq(feed.lost, 0);
}
END_TEST

/* Every record is either read or told to be lost, however slow the reader is. */
START_TEST(counts_what_was_overwritten)
{
    enum { RECORDS = 20000 };
    static char text[4000];
    uint64_t got = 0;
    open_view(true);
    feed_init(&feed, &v);
    for (int i = 1; i <= RECORDS; i++) {
        snprintf(text, sizeof text, "%d%*s", i, i % 3000, "");
        file_store_log(&f, text);
        if (i % 1500 == 0 || i == RECORDS)
            got += drain(&feed, last, sizeof last);
    }
    ck_assert_uint_gt(feed.lost, 0);
    ck_assert_uint_eq(got + feed.lost, RECORDS);
    ck_assert_int_eq(strtol(last, NULL, 10), RECORDS);
}
END_TEST

START_TEST(rewinds)
{
    struct feed_mark mark = {0};
    for (int i = 0; i < 10; i++) {
        file_store_log(&f, "log");
        file_store_span(&f, "span");
    }
    open_view(true);
    feed_init(&feed, &v);
    for (int i = 0; i < 20; i++) {
        if (i == 13)
            mark = feed.at;
        ck_assert_ptr_nonnull(feed_next(&feed));
    }
    feed_rewind(&feed, &mark);
    ck_assert_uint_eq(drain(&feed, last, sizeof last), 7);
    ck_assert_uint_eq(feed.lost, 0);
}
END_TEST

/* Whatever is in the ring, the feed ends and stays within the segment. */
START_TEST(survives_a_damaged_ring)
{
    for (int i = 0; i < 50; i++)
        file_store_log(&f, "log");
    open_view(true);
    const struct section_place *p = &f.st.head->section[SECTION_EVENTS];
    uint8_t *bytes = (uint8_t *)f.mem + p->offset;
    srand(5);
    for (int round = 0; round < 300; round++) {
        bytes[(unsigned)rand() % 4096] = (uint8_t)rand();
        feed_init(&feed, &v);
        unsigned n = 0;
        while (feed_next(&feed))
            ck_assert_uint_lt(n++, 1000);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cli/view");
    TCase *c = tcase_create("view");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, live_while_locked);
    tcase_add_test(c, copies_and_rolls_back_after_a_kill);
    tcase_add_test(c, tells_when_a_daemon_goes_and_comes);
    tcase_add_test(c, tells_when_superseded_or_replaced);
    tcase_add_test(c, names_what_is_wrong);
    tcase_add_test(c, merges_the_rings_in_order);
    tcase_add_test(c, hides_what_is_not_committed);
    tcase_add_test(c, goes_on_across_a_kill);
    tcase_add_test(c, begins_anew_with_a_new_store);
    tcase_add_test(c, goes_on_in_another_file);
    tcase_add_test(c, counts_what_was_overwritten);
    tcase_add_test(c, rewinds);
    tcase_add_test(c, survives_a_damaged_ring);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
