/* Lines to a pipe and to a socket that nobody reads: nothing waits, nothing is cut, and what
 * is given up is counted. */
#include "daemon/spout.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE = 100 };

static int ends[2]; /* read, write */
static struct spout s;
static struct event_base *base;

static void make_pipe(void)
{
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
}

static void make_socket(void)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

static void add(unsigned n)
{
    char line[LINE + 1];
    snprintf(line, sizeof line, "%0*u\n", LINE - 1, n);
    spout_add(&s, (struct str){line, LINE});
}

/* As many lines as are there, each whole and in order; returns the next number. */
static unsigned read_lines(unsigned next)
{
    static char text[1 << 20];
    static size_t have;
    char expected[LINE + 1];
    ssize_t n;
    while ((n = read(ends[0], text + have, sizeof text - have)) > 0) {
        size_t at = 0;
        for (have += (size_t)n; have - at >= LINE; at += LINE) {
            snprintf(expected, sizeof expected, "%0*u\n", LINE - 1, next++);
            ck_assert_int_eq(memcmp(text + at, expected, LINE), 0);
        }
        memmove(text, text + at, have - at);
        have -= at;
    }
    ck_assert(n < 0 && errno == EAGAIN);
    return next;
}

static void (*const makers[])(void) = {make_pipe, make_socket};

START_TEST(a_reader_that_does_not_read)
{
    unsigned said = 0, read = 0;
    makers[_i]();
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    base = event_base_new();
    spout_init(&s, ends[1]);
    ck_assert(spout_start(&s, base));
    while (s.lost < 10)
        add(said++);
    ck_assert_uint_le(s.kept.n, SPOUT_BYTES);
    ck_assert_uint_gt(s.kept.n, SPOUT_BYTES - LINE);
    const unsigned kept = said - 10;
    while (read < kept) {
        read = read_lines(read);
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    ck_assert_uint_eq(read, kept);
    ck_assert_uint_eq(s.kept.n, 0);
    add(kept);
    ck_assert_uint_eq(read_lines(read), kept + 1);
    ck_assert_int_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0); /* it is not ours alone */
    spout_fini(&s);
    event_base_free(base);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(a_reader_that_has_gone)
{
    makers[_i]();
    signal(SIGPIPE, SIG_IGN);
    close(ends[0]);
    base = event_base_new();
    spout_init(&s, ends[1]);
    ck_assert(spout_start(&s, base));
    while (s.lost == 0)
        add(0);
    ck_assert_uint_le(s.kept.n, SPOUT_BYTES);
    ck_assert(!event_pending(s.writable, EV_WRITE, NULL)); /* else the loop would spin */
    spout_fini(&s);
    event_base_free(base);
    close(ends[1]);
}
END_TEST

START_TEST(a_file)
{
    char got[3 * LINE], path[] = "/tmp/test-spout-XXXXXX";
    const int fd = mkstemp(path);
    unlink(path);
    spout_init(&s, fd);
    add(0);
    add(1);
    spout_fini(&s);
    ck_assert_int_eq(pread(fd, got, sizeof got, 0), 2 * LINE);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spout");
    TCase *t = tcase_create("spout");
    tcase_add_loop_test(t, a_reader_that_does_not_read, 0, 2);
    tcase_add_loop_test(t, a_reader_that_has_gone, 0, 2);
    tcase_add_test(t, a_file);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
