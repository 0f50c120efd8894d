/* Datagrams to a journal that the test plays: small ones, large ones by memfd, a full queue,
 * a journal that goes. */
#include "daemon/journal.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"

static char path[64];
static struct journal j;
static int theirs;
static struct event_base *base;

static int listen_there(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, path, strlen(path));
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (const void *)&a, sizeof a), 0);
    return fd;
}

static void setup(void)
{
    snprintf(path, sizeof path, "/tmp/test-journal-%d", (int)getpid());
    unlink(path);
    theirs = listen_there();
    base = event_base_new();
    journal_init(&j, path);
    journal_start(&j, base);
    ck_assert_int_eq(journal_open(&j), 0);
}

static void teardown(void)
{
    journal_fini(&j);
    event_base_free(base);
    close(theirs);
    unlink(path);
}

START_TEST(one_that_fits)
{
    char got[64];
    ck_assert_int_eq(journal_send(&j, STR("MESSAGE=x\n")), 0);
    ck_assert_int_eq(recv(theirs, got, sizeof got, 0), 10);
    ck_assert_int_eq(memcmp(got, "MESSAGE=x\n", 10), 0);
}
END_TEST

/* A sealed memfd, and nothing beside it. */
START_TEST(one_that_does_not)
{
    enum { SIZE = 4 << 20 };
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    char byte;
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    struct stat st;
    int fd;
    char *large = malloc(SIZE);
    memset(large, 'x', SIZE);
    ck_assert_int_eq(journal_send(&j, (struct str){large, SIZE}), 0);
    ck_assert_int_eq(recvmsg(theirs, &m, 0), 0);
    const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    ck_assert(c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS);
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_int_eq(st.st_size, SIZE);
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    ck_assert_int_eq(fcntl(fd, F_GET_SEALS) & seals, seals);
    ck_assert_int_eq(pread(fd, large, SIZE, 0), SIZE);
    ck_assert(large[0] == 'x' && large[SIZE - 1] == 'x');
    close(fd);
    free(large);
}
END_TEST

/* All that was kept comes, in order, once there is room; what is beyond the bound is told. */
START_TEST(a_queue_that_is_full)
{
    char text[1024] = {0};
    unsigned sent = 0, got = 0;
    int r;
    do {
        snprintf(text, sizeof text, "%u", sent);
        r = journal_send(&j, (struct str){text, sizeof text});
        sent += r == 0;
    } while (r == 0);
    ck_assert_int_eq(r, -ERR_FULL);
    ck_assert_uint_gt(sent, JOURNAL_BYTES / (sizeof text + 4) - 1);
    while (got < sent) {
        char expected[16];
        if (recv(theirs, text, sizeof text, 0) < 0) {
            ck_assert_int_eq(errno, EAGAIN);
            event_base_loop(base, EVLOOP_ONCE);
            continue;
        }
        snprintf(expected, sizeof expected, "%u", got++);
        ck_assert_str_eq(text, expected);
    }
    ck_assert_int_lt(recv(theirs, text, sizeof text, 0), 0);
}
END_TEST

START_TEST(it_goes_and_comes_back)
{
    char got[64];
    close(theirs);
    unlink(path);
    ck_assert_int_eq(journal_send(&j, STR("MESSAGE=x\n")), -ERR_IO);
    ck_assert_int_eq(errno, ECONNREFUSED);
    ck_assert_int_eq(journal_send(&j, STR("MESSAGE=x\n")), -ERR_IO);
    ck_assert_int_eq(journal_open(&j), -ERR_IO);
    theirs = listen_there();
    ck_assert_int_eq(journal_open(&j), 0);
    ck_assert_int_eq(journal_send(&j, STR("MESSAGE=y\n")), 0);
    ck_assert_int_eq(recv(theirs, got, sizeof got, 0), 10);
}
END_TEST

START_TEST(whose_stream_it_is)
{
    struct stat st;
    char text[64];
    ck_assert_int_eq(fstat(theirs, &st), 0);
    unsetenv("JOURNAL_STREAM");
    ck_assert(!journal_is_stream(theirs));
    snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", text, 1);
    ck_assert(journal_is_stream(theirs));
    ck_assert(!journal_is_stream(STDIN_FILENO));
    setenv("JOURNAL_STREAM", "nonsense", 1);
    ck_assert(!journal_is_stream(theirs));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("journal");
    TCase *t = tcase_create("journal");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, one_that_fits);
    tcase_add_test(t, one_that_does_not);
    tcase_add_test(t, a_queue_that_is_full);
    tcase_add_test(t, it_goes_and_comes_back);
    tcase_add_test(t, whose_stream_it_is);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
