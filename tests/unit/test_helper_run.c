/* Commands run by the helper: what they get, what they may, and how they end. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper/message.h"

enum { DEADLINE_S = 30, OUTPUT = 65536 };

static struct event_base *base;
static struct helper *h;
static char dir[64];

static struct {
    int answers;
    struct helper_ran ran;
    char output[HELPER_RUN_KEPT + 1];
    uint64_t size, avail;
} got;

static void on_ran(void *arg, const struct helper_ran *r)
{
    (void)arg;
    got.answers++;
    got.ran = *r;
    ck_assert_uint_le(r->output.n, HELPER_RUN_KEPT);
    memcpy(got.output, r->output.p, r->output.n);
    got.output[r->output.n] = '\0';
}

static void on_disk(void *arg, int error, uint64_t size, uint64_t avail)
{
    (void)arg;
    got.answers++;
    got.ran.error = error;
    got.size = size;
    got.avail = avail;
}

static void too_late(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    ck_abort_msg("waited in vain");
}

static void wait_answers(int n)
{
    const struct timeval limit = {.tv_sec = DEADLINE_S};
    struct event *e = evtimer_new(base, too_late, NULL);
    event_add(e, &limit);
    while (got.answers < n)
        event_base_loop(base, EVLOOP_ONCE);
    event_free(e);
}

static void setup(void)
{
    memset(&got, 0, sizeof got);
    snprintf(dir, sizeof dir, "/tmp/mcptally-run-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    h = helper_new(dir);
    ck_assert_ptr_nonnull(h);
    base = event_base_new();
    ck_assert_int_eq(helper_start(h, base), 0);
}

static void teardown(void)
{
    helper_free(h);
    event_base_free(base);
    rmdir(dir);
}

/* The arguments of /bin/sh -c `script`, each with its NUL. */
static void ask(const char *script, uint64_t timeout, uint32_t output, bool mcp, enum mcp_era era)
{
    char argv[4096] = "/bin/sh\0-c\0";
    const size_t head = sizeof "/bin/sh\0-c", n = strlen(script) + 1;
    memcpy(argv + head, script, n);
    const struct helper_command c = {
        .argv = {argv, head + n},
        .env = {"WORD=said\0", 10},
        .timeout = timeout,
        .output = output,
        .mcp = mcp,
        .era = era,
    };
    ck_assert_ptr_nonnull(helper_run(h, &c, on_ran, NULL));
}

static void run_sh(const char *script, uint64_t timeout)
{
    got.answers = 0;
    ask(script, timeout, OUTPUT, false, MCP_ERA_AUTO);
    wait_answers(1);
}

static bool is_gone(pid_t pid)
{
    return kill(pid, 0) < 0 && errno == ESRCH;
}

/* Waits until a process of the output's first line is gone: it is somebody else's child. */
static void wait_gone(void)
{
    const pid_t pid = (pid_t)strtol(got.output, NULL, 10);
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    ck_assert_int_gt(pid, 1);
    for (int i = 0; i < DEADLINE_S * 100 && !is_gone(pid); i++)
        nanosleep(&pause, NULL);
    ck_assert(is_gone(pid));
}

START_TEST(test_output_and_status)
{
    run_sh("echo out; echo err >&2; exit 3", 10 * NS_PER_S);
    ck_assert_int_eq(got.ran.error, 0);
    ck_assert(got.ran.exited);
    ck_assert_int_eq(got.ran.status, 3);
    ck_assert_str_eq(got.output, "out\nerr\n");
    run_sh("kill -9 $$", 10 * NS_PER_S);
    ck_assert(!got.ran.exited);
    ck_assert_int_eq(got.ran.status, SIGKILL);
}
END_TEST

START_TEST(test_environment_is_what_was_given)
{
    run_sh("env | grep -v '^PWD=\\|^SHLVL=\\|^_=\\|^OLDPWD=' | sort; pwd; readlink /proc/self/fd/0",
           10 * NS_PER_S);
    ck_assert_str_eq(got.output,
                     "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
                     "WORD=said\n/\n/dev/null\n");
}
END_TEST

/* ls opens the directory itself as the next descriptor. */
START_TEST(test_no_descriptor_is_inherited)
{
    run_sh("exec ls -1 /proc/self/fd", 10 * NS_PER_S);
    ck_assert_str_eq(got.output, "0\n1\n2\n3\n");
}
END_TEST

/* But for two of the C library's own, which whoever spawned us may have had it ignore. */
START_TEST(test_signals_have_their_meaning)
{
    const uint64_t its_own = UINT64_C(1) << 31 | UINT64_C(1) << 32;
    run_sh("grep -E '^Sig(Blk|Ign)' /proc/self/status | cut -f2", 10 * NS_PER_S);
    char *at = got.output;
    for (int i = 0; i < 2; i++)
        ck_assert_uint_eq(strtoull(at, &at, 16) & ~its_own, 0);
    ck_assert_str_eq(at, "\n");
}
END_TEST

/* A command that hangs takes what it has started with it, although that hangs too. */
START_TEST(test_timeout_ends_the_group)
{
    run_sh("trap '' TERM; sh -c 'trap \"\" TERM; echo $$; while :; do sleep 100; done' & wait",
           300 * NS_PER_MS);
    ck_assert_int_eq(got.ran.error, -ERR_TIMEOUT);
    ck_assert(!got.ran.exited);
    wait_gone();
}
END_TEST

START_TEST(test_what_is_left_behind_is_ended)
{
    run_sh("sleep 1000 & echo $!; exit 0", 10 * NS_PER_S);
    ck_assert_int_eq(got.ran.error, 0);
    ck_assert(got.ran.exited && got.ran.status == 0);
    wait_gone();
}
END_TEST

START_TEST(test_output_is_bounded)
{
    run_sh("echo $$; exec cat /dev/zero", 10 * NS_PER_S);
    ck_assert_int_eq(got.ran.error, -ERR_RANGE);
    ck_assert_uint_eq(got.ran.output.n, HELPER_RUN_KEPT);
    wait_gone();
}
END_TEST

START_TEST(test_what_cannot_begin)
{
    const char argv[] = "/nowhere/at/all";
    struct helper_command c = {.argv = {argv, sizeof argv}, .timeout = NS_PER_S, .output = 1};
    helper_run(h, &c, on_ran, NULL);
    wait_answers(1);
    ck_assert_int_eq(got.ran.error, -ERR_NOTFOUND);
    c.argv = (struct str){"relative\0", 9};
    helper_run(h, &c, on_ran, NULL);
    wait_answers(2);
    ck_assert_int_eq(got.ran.error, -ERR_SYNTAX);
    c.argv = (struct str){"/bin/true", 9}; /* without its NUL */
    helper_run(h, &c, on_ran, NULL);
    wait_answers(3);
    ck_assert_int_eq(got.ran.error, -ERR_SYNTAX);
}
END_TEST

START_TEST(test_only_so_many_at_one_time)
{
    for (int i = 0; i < HELPER_RUNS; i++)
        ask("sleep 1000", 2 * NS_PER_S, OUTPUT, false, MCP_ERA_AUTO);
    ask("true", 2 * NS_PER_S, OUTPUT, false, MCP_ERA_AUTO);
    wait_answers(1);
    ck_assert_int_eq(got.ran.error, -ERR_FULL);
    wait_answers(HELPER_RUNS + 1);
    ck_assert_int_eq(got.ran.error, -ERR_TIMEOUT);
    run_sh("echo again", 10 * NS_PER_S);
    ck_assert_str_eq(got.output, "again\n");
}
END_TEST

START_TEST(test_mcp_server_is_asked)
{
    got.answers = 0;
    ask("read line; echo noise; echo '{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{}}'; sleep 1000",
        20 * NS_PER_S, OUTPUT, true, MCP_ERA_MODERN);
    wait_answers(1);
    ck_assert_int_eq(got.ran.error, 0);
    ck_assert_int_eq(got.ran.asked, MCP_ASK_GOOD);
}
END_TEST

/* It passes over what it does not know, as some do; so it is asked as the old ones are. */
START_TEST(test_mcp_server_that_knows_initialize_alone)
{
    got.answers = 0;
    ask("while read line; do case $line in"
        " *'\"initialize\"'*) echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}';;"
        " *'\"ping\"'*) echo '{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{}}';; esac; done",
        3 * NS_PER_S, OUTPUT, true, MCP_ERA_AUTO);
    wait_answers(1);
    ck_assert_int_eq(got.ran.asked, MCP_ASK_GOOD);
}
END_TEST

START_TEST(test_mcp_server_that_dies_or_hangs)
{
    got.answers = 0;
    ask("exit 7", 5 * NS_PER_S, OUTPUT, true, MCP_ERA_AUTO);
    wait_answers(1);
    ck_assert(got.ran.exited && got.ran.status == 7);
    ck_assert_int_ne(got.ran.asked, MCP_ASK_GOOD);
    ask("sleep 1000", 300 * NS_PER_MS, OUTPUT, true, MCP_ERA_AUTO);
    wait_answers(2);
    ck_assert_int_eq(got.ran.error, -ERR_TIMEOUT);
    ask("cat /dev/zero", 5 * NS_PER_S, OUTPUT, true, MCP_ERA_AUTO);
    wait_answers(3);
    ck_assert_int_eq(got.ran.error, -ERR_RANGE);
}
END_TEST

/* Commands end with the helper: what asked for them is no more. */
START_TEST(test_commands_end_with_the_helper)
{
    char path[256];
    snprintf(path, sizeof path, "echo $$ >%s/pid; exec sleep 1000", dir);
    ask(path, 100 * NS_PER_S, OUTPUT, false, MCP_ERA_AUTO);
    snprintf(path, sizeof path, "while ! [ -s %s/pid ]; do sleep 0.01; done; cat %s/pid", dir, dir);
    run_sh(path, 20 * NS_PER_S);
    char first[32];
    snprintf(first, sizeof first, "%.31s", got.output);
    got.answers = 0;
    kill(helper_pid(h), SIGKILL);
    wait_answers(1);
    ck_assert_int_eq(got.ran.error, -ERR_CLOSED);
    memcpy(got.output, first, sizeof first);
    wait_gone();
    snprintf(path, sizeof path, "%s/pid", dir);
    unlink(path);
}
END_TEST

START_TEST(test_disk_usage)
{
    ck_assert_ptr_nonnull(helper_disk_usage(h, on_disk, NULL));
    wait_answers(1);
    ck_assert_int_eq(got.ran.error, 0);
    ck_assert_uint_gt(got.size, 0);
    ck_assert_uint_le(got.avail, got.size);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_output_and_status);
    tcase_add_test(t, test_environment_is_what_was_given);
    tcase_add_test(t, test_no_descriptor_is_inherited);
    tcase_add_test(t, test_signals_have_their_meaning);
    tcase_add_test(t, test_timeout_ends_the_group);
    tcase_add_test(t, test_what_is_left_behind_is_ended);
    tcase_add_test(t, test_output_is_bounded);
    tcase_add_test(t, test_what_cannot_begin);
    tcase_add_test(t, test_only_so_many_at_one_time);
    tcase_add_test(t, test_mcp_server_is_asked);
    tcase_add_test(t, test_mcp_server_that_knows_initialize_alone);
    tcase_add_test(t, test_mcp_server_that_dies_or_hangs);
    tcase_add_test(t, test_commands_end_with_the_helper);
    tcase_add_test(t, test_disk_usage);
    Suite *s = suite_create("helper_run");
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
