/* Lines of the audit log, and what is seen when somebody changes them. */
#include "format/audit_text.h"

#include <check.h>
#include <stdlib.h>

enum { LINES = 5 };

static struct buf out;
static struct str lines[LINES];

static void write_chain(void)
{
    char hash[AUDIT_HASH] = "0000000000000000000000000000000000000000000000000000000000000000";
    size_t ends[LINES];
    buf_init(&out, 1 << 20);
    for (unsigned i = 0; i < LINES; i++) {
        const size_t from = out.n;
        struct audit_record r = {.seq = i + 1,
                                 .wall = UINT64_C(1795268709123456789),
                                 .who = {.peer = true, .uid = 7, .pid = 8},
                                 .exe = "/bin/x",
                                 .what = "reload",
                                 .object = "\"o\"",
                                 .outcome = "done"};
        memcpy(r.prev, hash, sizeof hash);
        audit_write(&out, &r);
        ends[i] = out.n;
        audit_hash(hash, (struct str){out.p + from, out.n - from - 1});
    }
    for (unsigned i = 0; i < LINES; i++) {
        const size_t from = i ? ends[i - 1] : 0;
        lines[i] = (struct str){out.p + from, ends[i] - from - 1};
    }
}

static void drop_chain(void)
{
    buf_fini(&out);
}

START_TEST(the_form_of_a_line)
{
    static const char first[] =
        "{\"time\":\"2026-11-21T13:45:09.123456Z\",\"seq\":1,\"prev\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\","
        "\"who\":{\"uid\":7,\"pid\":8,\"exe\":\"/bin/x\"},\"what\":\"reload\","
        "\"object\":\"\\\"o\\\"\",\"outcome\":\"done\"}";
    ck_assert(str_eq(lines[0], STR(first)));
}
END_TEST

START_TEST(a_line_read_back)
{
    struct audit_record r;
    json_t *doc;
    ck_assert_int_eq(audit_read(lines[1], &r, &doc), 0);
    ck_assert_uint_eq(r.seq, 2);
    ck_assert_uint_eq(r.wall, UINT64_C(1795268709123456000));
    ck_assert(r.who.peer && r.who.uid == 7 && r.who.pid == 8);
    ck_assert_ptr_null(r.user);
    ck_assert_str_eq(r.object, "\"o\"");
    json_decref(doc);
}
END_TEST

/* SHA-256, as sha256sum(1) says it. */
START_TEST(the_hash)
{
    char hash[AUDIT_HASH];
    audit_hash(hash, STR("abc"));
    ck_assert_str_eq(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
END_TEST

START_TEST(a_whole_chain)
{
    struct audit_chain c = {0};
    for (unsigned i = 0; i < LINES; i++)
        ck_assert_int_eq(audit_chain_add(&c, lines[i]), AUDIT_LINKED);
    ck_assert_uint_eq(c.lines, LINES);
    ck_assert_uint_eq(c.first, 1);
    ck_assert_uint_eq(c.last, LINES);
}
END_TEST

START_TEST(a_line_was_taken_out)
{
    struct audit_chain c = {0};
    for (unsigned i = 0; i < LINES; i++)
        if (i != 2)
            ck_assert_int_eq(audit_chain_add(&c, lines[i]), i == 3 ? AUDIT_BROKEN : AUDIT_LINKED);
    ck_assert_uint_eq(c.broken, 1);
}
END_TEST

START_TEST(a_line_was_changed)
{
    struct audit_chain c = {0};
    char *uid = strstr(lines[2].p, "\"uid\":7");
    uid[6] = '9';
    for (unsigned i = 0; i < LINES; i++)
        ck_assert_int_eq(audit_chain_add(&c, lines[i]), i == 3 ? AUDIT_BROKEN : AUDIT_LINKED);
}
END_TEST

START_TEST(lines_changed_places)
{
    static const unsigned order[] = {0, 2, 1, 3, 4};
    struct audit_chain c = {0};
    for (unsigned i = 0; i < LINES; i++)
        audit_chain_add(&c, lines[order[i]]);
    ck_assert_uint_ge(c.broken, 2);
}
END_TEST

START_TEST(a_line_written_twice)
{
    struct audit_chain c = {0};
    audit_chain_add(&c, lines[0]);
    ck_assert_int_eq(audit_chain_add(&c, lines[0]), AUDIT_REPEATED);
    ck_assert_int_eq(audit_chain_add(&c, lines[1]), AUDIT_LINKED);
    ck_assert_uint_eq(c.lines, 2);
}
END_TEST

static const char *const nonsense[] = {"",
                                       "{}",
                                       "[1]",
                                       "{\"seq\":1}",
                                       "\xff",
                                       "null",
                                       "{\"time\":\"2026-11-21T13:45:09.123456Z\",\"seq\":-1}"};

START_TEST(what_is_no_line)
{
    struct audit_chain c = {0};
    ck_assert_int_eq(audit_chain_add(&c, str_of(nonsense[_i])), AUDIT_UNREADABLE);
    ck_assert(!c.begun);
}
END_TEST

/* Texts are cut at a character, so that no line is too long to be read again. */
START_TEST(the_longest_line)
{
    char text[4096];
    struct audit_record r = {.seq = 1,
                             .what = text,
                             .object = text,
                             .outcome = text,
                             .exe = text,
                             .user = text,
                             .comm = text};
    json_t *doc;
    memset(text, '"', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memset(r.prev, '0', sizeof r.prev - 1);
    buf_reset(&out);
    audit_write(&out, &r);
    ck_assert_uint_lt(out.n, AUDIT_LINE_MAX);
    memset(text, '\1', sizeof text - 1);
    buf_reset(&out);
    audit_write(&out, &r);
    ck_assert_uint_lt(out.n, AUDIT_LINE_MAX);
    for (size_t i = 0; i + 1 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[sizeof text - 2] = '\xff'; /* no UTF-8 */
    buf_reset(&out);
    audit_write(&out, &r);
    ck_assert_uint_lt(out.n, AUDIT_LINE_MAX);
    ck_assert_int_eq(audit_read((struct str){out.p, out.n - 1}, &r, &doc), 0);
    json_decref(doc);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("audit_text");
    TCase *t = tcase_create("audit_text");
    tcase_add_checked_fixture(t, write_chain, drop_chain);
    tcase_add_test(t, the_form_of_a_line);
    tcase_add_test(t, a_line_read_back);
    tcase_add_test(t, the_hash);
    tcase_add_test(t, a_whole_chain);
    tcase_add_test(t, a_line_was_taken_out);
    tcase_add_test(t, a_line_was_changed);
    tcase_add_test(t, lines_changed_places);
    tcase_add_test(t, a_line_written_twice);
    tcase_add_loop_test(t, what_is_no_line, 0, sizeof nonsense / sizeof *nonsense);
    tcase_add_test(t, the_longest_line);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
