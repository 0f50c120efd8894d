/* Connections that are over: closed at once or in turns, and no descriptor is left. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "serve/foreign.h"
#include "serve/yard.h"

enum { USER = 7, MESSAGES = 8, RIGHTS = 250, A_TURN = 4 /* of the messages */ };

static bool no_close_range;

/* In place of the C library's. */
int close_range(unsigned first, unsigned last, int flags)
{
    if (no_close_range)
        errno = ENOSYS;
    return no_close_range ? -1 : (int)syscall(SYS_close_range, first, last, flags);
}

static struct event_base *base;
static struct yard yard;
static unsigned gone, told;
static int pair[2];

static void on_gone(void *arg, uint32_t user)
{
    ck_assert_ptr_eq(arg, &gone);
    ck_assert_uint_eq(user, USER);
    gone++;
}

static void on_spent(void *arg, uint64_t ns)
{
    ck_assert_ptr_eq(arg, &told);
    ck_assert_uint_lt(ns, 60 * NS_PER_S); /* and not a time of day */
    told++;
}

static void setup(void)
{
    base = event_base_new();
    gone = told = 0;
    const struct serve_env env = {.base = base, .spent = on_spent, .arg = &told};
    ck_assert_int_eq(yard_init(&yard, &env, on_gone, &gone), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

static void teardown(void)
{
    yard_fini(&yard);
    event_base_free(base);
    close(pair[1]);
}

static unsigned open_now(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static ssize_t pass(int socket, unsigned count)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int) * FOREIGN_MAX)];
    } control = {0};
    struct iovec byte = {"x", 1};
    struct msghdr m = {.msg_iov = &byte,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof(int) * count);
    for (unsigned i = 0; i < count; i++)
        memcpy(CMSG_DATA(&control.head) + i * sizeof(int), &socket, sizeof(int));
    return sendmsg(socket, &m, MSG_NOSIGNAL);
}

START_TEST(one_that_is_read_is_closed_at_once)
{
    yard_close(&yard, pair[0], USER);
    ck_assert_uint_eq(gone, 1);
    ck_assert_uint_eq(yard.n, 0);
    char byte;
    ck_assert_int_eq(read(pair[1], &byte, 1), 0);
}
END_TEST

START_TEST(nobodys_place_is_not_given_back)
{
    yard_close(&yard, pair[0], YARD_NOBODY);
    ck_assert_uint_eq(gone, 0);
}
END_TEST

START_TEST(what_it_holds_is_closed_in_turns)
{
    const unsigned before = open_now();
    for (int i = 0; i < MESSAGES; i++)
        ck_assert_int_eq(pass(pair[1], RIGHTS), 1);
    yard_close(&yard, pair[0], USER);
    ck_assert_uint_eq(yard.n, 1);
    ck_assert_uint_eq(gone, 0);
    ck_assert_int_eq(pass(pair[1], 1), -1); /* nothing comes behind */
    unsigned turns = 0;
    for (; yard.n; turns++)
        event_base_loop(base, EVLOOP_ONCE);
    ck_assert_uint_eq(turns, MESSAGES / A_TURN + 1); /* in the last one there is nothing left */
    ck_assert_uint_eq(told, turns);
    ck_assert_uint_eq(gone, 1);
    ck_assert_uint_eq(open_now(), before - 1);
}
END_TEST

/* Those between them are ours. */
static void check_gaps(void)
{
    const unsigned before = open_now();
    unsigned closed;
    char byte;
    const int low = dup(pair[0]), kept = dup(pair[0]), high = dup(pair[0]);
    close(low);
    close(high);
    ck_assert_int_eq(pass(pair[1], 3), 1); /* one will have low's number */
    ck_assert_int_eq(foreign_receive_bytes(pair[0], &byte, 1, &closed), 1);
    ck_assert_uint_eq(closed, 3);
    ck_assert_int_ge(fcntl(kept, F_GETFD), 0);
    close(kept);
    ck_assert_uint_eq(open_now(), before);
}

START_TEST(only_what_came_is_closed)
{
    check_gaps();
    no_close_range = true;
    check_gaps();
}
END_TEST

/* So that many of them do not come back as many times. */
START_TEST(reads_count_too)
{
    char bytes[4096] = {0};
    unsigned sent = 0;
    while (send(pair[1], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        sent++;
    yard_close(&yard, pair[0], USER);
    event_base_loop(base, EVLOOP_ONCE);
    ck_assert_uint_eq(yard.n, sent > YARD_STEP / YARD_READ);
    while (yard.n)
        event_base_loop(base, EVLOOP_ONCE);
}
END_TEST

/* The socket under test is ours: the peer is told, where the kernel can. */
START_TEST(who_may_not_is_told)
{
    unsigned closed;
    char byte;
    foreign_forbid(pair[0]);
    const ssize_t n = pass(pair[1], 2);
    ck_assert_int_eq(n > 0, foreign_receive_bytes(pair[0], &byte, 1, &closed) == 1);
    ck_assert_uint_eq(closed, n > 0 ? 2 : 0);
    foreign_allow(pair[0]);
    ck_assert_int_eq(pass(pair[1], 2), 1);
    ck_assert_int_eq(foreign_receive_bytes(pair[0], &byte, 1, &closed), 1);
    ck_assert_uint_eq(closed, 2);
    close(pair[0]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("yard");
    TCase *t = tcase_create("yard");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, one_that_is_read_is_closed_at_once);
    tcase_add_test(t, nobodys_place_is_not_given_back);
    tcase_add_test(t, what_it_holds_is_closed_in_turns);
    tcase_add_test(t, only_what_came_is_closed);
    tcase_add_test(t, reads_count_too);
    tcase_add_test(t, who_may_not_is_told);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
