/* What systemd is told, and what it hands over. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/notify.h"

static char path[] = "/tmp/mcptally-notify-XXXXXX";

static int receiver(struct sockaddr_un *a, socklen_t size)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)a, size), 0);
    return fd;
}

static void expect(int fd, const char *text)
{
    char got[2048];
    ssize_t n = recv(fd, got, sizeof got - 1, 0);
    got[n > 0 ? n : 0] = '\0';
    ck_assert_str_eq(got, text);
}

START_TEST(by_path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct notify n;
    ck_assert_ptr_nonnull(mkdtemp(path));
    snprintf(a.sun_path, sizeof a.sun_path, "%s/n", path);
    int fd = receiver(&a, sizeof a);
    setenv("NOTIFY_SOCKET", a.sun_path, 1);
    notify_init(&n);
    notify_send(&n, "READY=1\nSTATUS=%d", 7);
    expect(fd, "READY=1\nSTATUS=7");
    notify_reloading(&n);
    char got[256] = "";
    ck_assert_int_gt(recv(fd, got, sizeof got - 1, 0), 0);
    unsigned long long us;
    ck_assert_int_eq(sscanf(got, "RELOADING=1\nMONOTONIC_USEC=%llu", &us), 1);
    notify_fini(&n);
    notify_send(&n, "WATCHDOG=1");
    expect(fd, "");
    close(fd);
    unlink(a.sun_path);
    rmdir(path);
}
END_TEST

START_TEST(abstract)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct notify n;
    char name[64];
    snprintf(name, sizeof name, "@mcptally-test-%d", (int)getpid());
    memcpy(a.sun_path + 1, name + 1, strlen(name) - 1);
    int fd = receiver(&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name)));
    setenv("NOTIFY_SOCKET", name, 1);
    notify_init(&n);
    notify_send(&n, "READY=1");
    expect(fd, "READY=1");
    notify_fini(&n);
    close(fd);
}
END_TEST

/* It asks again until it is heard, and then no more; only the newest state counts. */
START_TEST(heard_late)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct notify n;
    char name[64];
    snprintf(name, sizeof name, "@mcptally-late-%d", (int)getpid());
    memcpy(a.sun_path + 1, name + 1, strlen(name) - 1);
    setenv("NOTIFY_SOCKET", name, 1);
    notify_init(&n);
    notify_send(&n, "RELOADING=1");
    notify_send(&n, "READY=1");
    notify_again(&n);
    int fd = receiver(&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name)));
    notify_again(&n);
    expect(fd, "READY=1");
    notify_again(&n);
    expect(fd, "");
    notify_fini(&n);
    close(fd);
}
END_TEST

START_TEST(nobody_listens)
{
    static const char *const sockets[] = {"", "/", "relative", "/nonexistent/notify"};
    struct notify n;
    setenv("NOTIFY_SOCKET", sockets[_i], 1);
    notify_init(&n);
    notify_send(&n, "READY=1");
    notify_fini(&n);
    unsetenv("NOTIFY_SOCKET");
    notify_init(&n);
    ck_assert_int_lt(n.fd, 0);
    notify_fini(&n);
}
END_TEST

START_TEST(who_started_us)
{
    char pid[24];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    unsetenv("INVOCATION_ID");
    unsetenv("SYSTEMD_EXEC_PID");
    ck_assert(!notify_is_parent());
    setenv("INVOCATION_ID", "0123456789abcdef0123456789abcdef", 1);
    ck_assert(notify_is_parent());
    setenv("SYSTEMD_EXEC_PID", pid, 1);
    ck_assert(notify_is_parent());
    setenv("SYSTEMD_EXEC_PID", "1", 1); /* as in a shell of a session that systemd began */
    ck_assert(!notify_is_parent());
}
END_TEST

START_TEST(watchdog)
{
    struct notify n;
    char me[32];
    snprintf(me, sizeof me, "%d", (int)getpid());
    setenv("WATCHDOG_USEC", "2000000", 1);
    notify_init(&n);
    ck_assert_uint_eq(n.watchdog, 2 * NS_PER_S);
    setenv("WATCHDOG_PID", me, 1);
    notify_init(&n);
    ck_assert_uint_eq(n.watchdog, 2 * NS_PER_S);
    setenv("WATCHDOG_PID", "1", 1);
    notify_init(&n);
    ck_assert_uint_eq(n.watchdog, 0);
    unsetenv("WATCHDOG_PID");
    setenv("WATCHDOG_USEC", "soon", 1);
    notify_init(&n);
    ck_assert_uint_eq(n.watchdog, 0);
}
END_TEST

/* A listener at descriptor 3, and something else at 4. */
static void pass(const char *names)
{
    char me[32];
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a.sun_family), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(dup2(fd, 3), 3);
    ck_assert_int_eq(dup2(open("/dev/null", O_RDONLY), 4), 4);
    snprintf(me, sizeof me, "%d", (int)getpid());
    setenv("LISTEN_PID", me, 1);
    setenv("LISTEN_FDS", "2", 1);
    setenv("LISTEN_FDNAMES", names, 1);
}

START_TEST(passed_by_name)
{
    struct passed p;
    char left[64];
    pass("events:junk");
    passed_init(&p);
    ck_assert_ptr_null(getenv("LISTEN_FDS"));
    ck_assert_int_eq(passed_take(&p, "metrics"), -1);
    ck_assert_int_eq(passed_take(&p, "junk"), -1); /* not a listener */
    ck_assert_int_eq(passed_take(&p, "events"), 3);
    ck_assert_int_eq(passed_take(&p, "events"), -1);
    ck_assert(fcntl(3, F_GETFD) & FD_CLOEXEC);
    ck_assert(fcntl(3, F_GETFL) & O_NONBLOCK);
    ck_assert_uint_eq(passed_fini(&p, left, sizeof left), 1);
    ck_assert_str_eq(left, "junk");
    ck_assert_int_lt(fcntl(4, F_GETFD), 0);
}
END_TEST

START_TEST(passed_to_another)
{
    struct passed p;
    pass("events:junk");
    setenv("LISTEN_PID", "1", 1);
    passed_init(&p);
    ck_assert_uint_eq(p.n, 0);
    ck_assert_int_ge(fcntl(3, F_GETFD), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("notify");
    TCase *t = tcase_create("notify");
    tcase_add_test(t, by_path);
    tcase_add_test(t, abstract);
    tcase_add_test(t, heard_late);
    tcase_add_loop_test(t, nobody_listens, 0, 4);
    tcase_add_test(t, who_started_us);
    tcase_add_test(t, watchdog);
    tcase_add_test(t, passed_by_name);
    tcase_add_test(t, passed_to_another);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
