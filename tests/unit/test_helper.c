/* The helper process, over a real loop and real files: answers, limits, deaths. */
#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper/message.h"

enum { DEADLINE_S = 30, BIG = 300000 };

static struct event_base *base;
static struct helper *h;
static char dir[64];
static const struct spool_options options = {
    .bytes = 8 << 20, .age = 3600 * NS_PER_S, .segment = 1 << 20};

/* What the newest answer said. */
static struct {
    int answers, errors;
    struct helper_spool_answer spool;
    char bytes[BIG + 1];
    size_t n;
    int error;
    unsigned naddresses;
    struct sockaddr_storage addresses[HELPER_ADDRESSES];
} got;

static void on_spool(void *arg, const struct helper_spool_answer *a)
{
    (void)arg;
    got.answers++;
    got.errors += a->error < 0;
    got.error = a->error;
    got.spool = *a;
    got.n = a->record.payload.n;
    ck_assert_uint_le(got.n, BIG);
    memcpy(got.bytes, a->record.payload.p, got.n);
    got.bytes[got.n] = 0;
}

static void on_file(void *arg, int error, struct str bytes)
{
    (void)arg;
    got.answers++;
    got.errors += error < 0;
    got.error = error;
    got.n = bytes.n < BIG ? bytes.n : BIG;
    memcpy(got.bytes, bytes.p, got.n);
}

static void on_resolved(void *arg, int error, const struct sockaddr_storage *addresses, unsigned n)
{
    (void)arg;
    got.answers++;
    got.error = error;
    got.naddresses = n;
    if (n)
        memcpy(got.addresses, addresses, n * sizeof *addresses);
}

static void too_late(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    ck_abort_msg("waited in vain for %s", (const char *)arg);
}

/* Turns the loop until `done` says so. */
static void turn_until(bool (*done)(int n), int n, const char *what)
{
    const struct timeval limit = {.tv_sec = DEADLINE_S};
    char text[64];
    snprintf(text, sizeof text, "%s", what);
    struct event *e = evtimer_new(base, too_late, text);
    event_add(e, &limit);
    while (!done(n))
        event_base_loop(base, EVLOOP_ONCE);
    event_free(e);
}

static bool answered(int n)
{
    return got.answers >= n;
}

static bool has_pid(int other)
{
    return helper_pid(h) != 0 && helper_pid(h) != other;
}

static void wait_answers(int n)
{
    turn_until(answered, n, "answers");
}

static void clear(void)
{
    memset(&got, 0, sizeof got);
}

static void setup(void)
{
    clear();
    snprintf(dir, sizeof dir, "/tmp/mcptally-helper-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    h = helper_new(dir);
    ck_assert_ptr_nonnull(h);
    base = event_base_new();
    ck_assert_int_eq(helper_start(h, base), 0);
    turn_until(has_pid, 0, "the helper");
}

static void remove_all(const char *path)
{
    char line[256];
    snprintf(line, sizeof line, "%s", path);
    const pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", line, (char *)NULL);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
}

static void teardown(void)
{
    helper_free(h);
    event_base_free(base);
    remove_all(dir);
}

static void open_spool(const char *name)
{
    clear();
    helper_spool_open(h, name, &options, on_spool, NULL);
    wait_answers(1);
}

static struct str text(const char *z)
{
    return str_of(z);
}

/* ---- files ---- */

static void write_file(const char *name, const char *content, size_t n, mode_t mode)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, content, n), (ssize_t)n);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

static void read_file(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    clear();
    ck_assert_ptr_nonnull(helper_read_file(h, path, on_file, NULL));
    ck_assert_int_eq(got.answers, 0); /* never from inside the call */
    wait_answers(1);
}

START_TEST(reads_files)
{
    write_file("a", "certificate", 11, 0600);
    read_file("a");
    ck_assert_int_eq(got.error, 0);
    ck_assert_uint_eq(got.n, 11);
    ck_assert_mem_eq(got.bytes, "certificate", 11);
    read_file("none");
    ck_assert_int_eq(got.error, -ERR_NOTFOUND);
    read_file(".");
    ck_assert_int_eq(got.error, -ERR_PERM);
    write_file("empty", "", 0, 0600);
    read_file("empty");
    ck_assert_int_eq(got.error, 0);
    ck_assert_uint_eq(got.n, 0);
}
END_TEST

START_TEST(unreadable_files)
{
    char path[128];
    write_file("large", "", 0, 0600);
    snprintf(path, sizeof path, "%s/large", dir);
    ck_assert_int_eq(truncate(path, HELPER_FILE + 1), 0);
    read_file("large");
    ck_assert_int_eq(got.error, -ERR_RANGE);
    snprintf(path, sizeof path, "%s/pipe", dir);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    read_file("pipe"); /* and does not wait for a writer */
    ck_assert_int_eq(got.error, -ERR_PERM);
    if (geteuid() == 0)
        return;
    write_file("mine", "x", 1, 0);
    read_file("mine");
    ck_assert_int_eq(got.error, -ERR_PERM);
}
END_TEST

/* ---- names ---- */

START_TEST(resolves)
{
    ck_assert_ptr_nonnull(helper_resolve(h, "127.0.0.1", 4317, on_resolved, NULL));
    ck_assert_int_eq(got.answers, 0);
    wait_answers(1);
    ck_assert_int_eq(got.error, 0);
    ck_assert_uint_eq(got.naddresses, 1);
    const struct sockaddr_in *in = (const void *)&got.addresses[0];
    ck_assert_int_eq(in->sin_family, AF_INET);
    ck_assert_uint_eq(ntohs(in->sin_port), 4317);
    clear();
    helper_resolve(h, "not a name", 1, on_resolved, NULL);
    wait_answers(1);
    ck_assert_int_lt(got.error, 0);
    clear();
    char huge[600];
    memset(huge, 'a', sizeof huge - 1);
    huge[sizeof huge - 1] = 0;
    helper_resolve(h, huge, 1, on_resolved, NULL);
    wait_answers(1);
    ck_assert_int_eq(got.error, -ERR_RANGE);
}
END_TEST

/* ---- spools ---- */

START_TEST(appends_and_reads)
{
    open_spool("collector");
    ck_assert_int_eq(got.error, 0);
    ck_assert_uint_eq(got.spool.stats.records, 0);
    clear();
    for (int i = 0; i < 10; i++)
        helper_spool_append(h, "collector", 1, 7, text("a batch"), on_spool, NULL);
    wait_answers(10);
    ck_assert_int_eq(got.errors, 0);
    ck_assert_uint_eq(got.spool.stats.records, 10);
    ck_assert_uint_eq(got.spool.stats.items, 70);
    const uint64_t first = got.spool.stats.first;
    clear();
    helper_spool_read(h, "collector", 0, on_spool, NULL);
    wait_answers(1);
    ck_assert_uint_eq(got.spool.record.seq, first);
    ck_assert_uint_eq(got.spool.record.items, 7);
    ck_assert_uint_eq(got.spool.record.signal, 1);
    ck_assert_str_eq(got.bytes, "a batch");
    clear();
    helper_spool_finish(h, "collector", first + 4, on_spool, NULL);
    helper_spool_read(h, "collector", first, on_spool, NULL);
    wait_answers(2);
    ck_assert_uint_eq(got.spool.record.seq, first + 4);
    ck_assert_uint_eq(got.spool.stats.records, 6);
    clear();
    helper_spool_read(h, "collector", first + 10, on_spool, NULL);
    wait_answers(1);
    ck_assert_int_eq(got.error, 0);
    ck_assert_uint_eq(got.spool.record.seq, 0);
}
END_TEST

START_TEST(large_payloads)
{
    char *big = malloc(BIG);
    open_spool("big");
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)(i * 7 + i / 256);
    clear();
    helper_spool_append(h, "big", 0, 1, (struct str){big, BIG}, on_spool, NULL);
    helper_spool_read(h, "big", 0, on_spool, NULL);
    wait_answers(2);
    ck_assert_uint_eq(got.n, BIG);
    ck_assert_mem_eq(got.bytes, big, BIG);
    free(big);
    big = calloc(1, HELPER_PAYLOAD + 1);
    clear();
    helper_spool_append(h, "big", 0, 1, (struct str){big, HELPER_PAYLOAD + 1}, on_spool, NULL);
    wait_answers(1);
    ck_assert_int_eq(got.error, -ERR_RANGE);
    free(big);
}
END_TEST

START_TEST(names_of_spools)
{
    static const char *const wrong[] = {"", ".", "..", "a/b", ".hidden", "a b", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        open_spool(wrong[i]);
        ck_assert_int_eq(got.error, -ERR_NAME);
    }
    clear();
    helper_spool_read(h, "unknown", 0, on_spool, NULL);
    wait_answers(1);
    ck_assert_int_eq(got.error, -ERR_NOTFOUND);
}
END_TEST

START_TEST(private_files)
{
    struct stat st;
    char path[128];
    open_spool("s");
    clear();
    helper_spool_append(h, "s", 0, 1, text("x"), on_spool, NULL);
    wait_answers(1);
    snprintf(path, sizeof path, "%s/spool/s", dir);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    DIR *d = opendir(path);
    unsigned files = 0;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.')
            continue;
        ck_assert_int_eq(fstatat(dirfd(d), e->d_name, &st, 0), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0600);
        files++;
    }
    closedir(d);
    ck_assert_uint_eq(files, 1);
}
END_TEST

START_TEST(link_is_not_followed)
{
    char path[128];
    snprintf(path, sizeof path, "%s/spool", dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/spool/s", dir);
    ck_assert_int_eq(symlink("/tmp", path), 0);
    open_spool("s");
    ck_assert_int_lt(got.error, 0);
}
END_TEST

/* ---- bounds ---- */

START_TEST(full)
{
    char *chunk = calloc(1, 1 << 20);
    open_spool("s");
    clear();
    const int n = HELPER_BYTES / (1 << 20) + 4;
    for (int i = 0; i < n; i++)
        helper_spool_append(h, "s", 0, 1, (struct str){chunk, 1 << 20}, on_spool, NULL);
    wait_answers(n);
    ck_assert_int_ge(got.errors, 4); /* those beyond the bound, at once */
    ck_assert_uint_eq(helper_open_calls(h), 0);
    clear();
    helper_spool_append(h, "s", 0, 1, text("x"), on_spool, NULL);
    wait_answers(1);
    ck_assert_int_eq(got.error, 0);
    free(chunk);
}
END_TEST

START_TEST(forgotten)
{
    open_spool("s");
    clear();
    helper_forget(helper_spool_append(h, "s", 0, 1, text("x"), on_spool, NULL));
    helper_spool_read(h, "s", 0, on_spool, NULL);
    wait_answers(1);
    ck_assert_str_eq(got.bytes, "x"); /* done, but nobody was told */
    ck_assert_int_eq(got.answers, 1);
}
END_TEST

/* ---- deaths ---- */

static void kill_helper(void)
{
    const int pid = helper_pid(h);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    turn_until(has_pid, pid, "another helper");
}

START_TEST(killed)
{
    open_spool("s");
    clear();
    helper_spool_append(h, "s", 0, 5, text("before"), on_spool, NULL);
    wait_answers(1);
    ck_assert_int_eq(kill(helper_pid(h), SIGSTOP), 0); /* so that these are open */
    clear();
    for (int i = 0; i < 20; i++)
        helper_spool_append(h, "s", 0, 5, text("lost"), on_spool, NULL);
    helper_read_file(h, "/dev/null", on_file, NULL);
    kill_helper();
    wait_answers(21);
    ck_assert_int_eq(got.errors, 21);
    ck_assert_uint_eq(helper_restarts(h), 1);
    clear();
    helper_spool_read(h, "s", 0, on_spool, NULL); /* open again by itself */
    wait_answers(1);
    ck_assert_int_eq(got.error, 0);
    ck_assert_str_eq(got.bytes, "before");
}
END_TEST

START_TEST(killed_again_and_again)
{
    unsigned kept = 0;
    open_spool("s");
    for (int i = 0; i < 4; i++) {
        clear();
        for (int k = 0; k < 8; k++)
            helper_spool_append(h, "s", 0, 1, text("x"), on_spool, NULL);
        wait_answers(1 + i);
        kill_helper();
        wait_answers(8);
        kept += 8 - (unsigned)got.errors;
    }
    clear();
    helper_spool_read(h, "s", 0, on_spool, NULL);
    wait_answers(1);
    ck_assert_uint_ge(got.spool.stats.records, kept);
    ck_assert_uint_ge(kept, 4);
    ck_assert_uint_eq(got.spool.stats.dropped_records[SPOOL_DAMAGED], 0);
}
END_TEST

/* Of a daemon that is killed nothing stays behind. The other daemon is a child of ours. */
START_TEST(ends_with_the_daemon)
{
    int p[2];
    char byte;
    ck_assert_int_eq(pipe(p), 0);
    const pid_t other = fork();
    if (other == 0) {
        struct helper *mine = helper_new(dir); /* it has p[1] open, unless it closes it */
        pid_t pid = 0;
        close(p[0]);
        base = event_base_new();
        if (!mine || helper_start(mine, base) < 0)
            _exit(1);
        h = mine;
        turn_until(has_pid, 0, "the helper");
        pid = helper_pid(mine);
        if (write(p[1], &pid, sizeof pid) != sizeof pid)
            _exit(1);
        pause();
    }
    close(p[1]);
    pid_t pid = 0;
    ck_assert_int_eq(read(p[0], &pid, sizeof pid), sizeof pid);
    ck_assert_int_eq(kill(pid, 0), 0);
    ck_assert_int_eq(kill(other, SIGKILL), 0);
    waitpid(other, NULL, 0);
    ck_assert_int_eq(read(p[0], &byte, 1), 0); /* nobody has its descriptors */
    for (int i = 0; i < 3000 && kill(pid, 0) == 0; i++)
        usleep(10000);
    ck_assert_int_lt(kill(pid, 0), 0);
    close(p[0]);
}
END_TEST

START_TEST(no_spawner)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", getpid(), getpid());
    FILE *f = fopen(path, "r");
    int spawner = 0;
    if (!f)
        return;
    ck_assert_int_eq(fscanf(f, "%d", &spawner), 1);
    fclose(f);
    ck_assert_int_eq(kill(spawner, SIGKILL), 0);
    waitpid(spawner, NULL, 0);
    read_file("none"); /* the helper itself lives on */
    ck_assert_int_eq(got.error, -ERR_NOTFOUND);
    kill(helper_pid(h), SIGKILL);
    clear();
    helper_read_file(h, "/none", on_file, NULL);
    wait_answers(1);
    clear();
    helper_read_file(h, "/none", on_file, NULL);
    wait_answers(1);
    ck_assert_int_eq(got.error, -ERR_CLOSED);
    ck_assert(!helper_alive(h));
}
END_TEST

/* ---- the environment ---- */

START_TEST(disk_full)
{
    struct rlimit r;
    helper_free(h);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &r), 0);
    const struct rlimit small = {100000, r.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    h = helper_new(dir);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &r), 0);
    ck_assert_int_eq(helper_start(h, base), 0);
    open_spool("s");
    ck_assert_int_eq(got.error, 0);
    clear();
    helper_spool_append(h, "s", 0, 1, text("x"), on_spool, NULL);
    wait_answers(1);
    ck_assert_int_eq(got.error, -ERR_FULL);
    ck_assert_uint_eq(got.spool.stats.records, 0);
}
END_TEST

static void on_lines(void *arg, int error, struct str tail)
{
    (void)arg;
    (void)tail;
    got.answers++;
    got.error = error;
}

static int add_lines(const char *text)
{
    clear();
    ck_assert_ptr_nonnull(helper_lines_add(h, 0, str_of(text), on_lines, NULL));
    wait_answers(1);
    return got.error;
}

/* What a half line is separated from by a new line stays so when that is taken back. */
START_TEST(disk_full_behind_a_half_line)
{
    enum { FULL = 1000 };
    static const struct helper_lines_options o = {.mode = 0600};
    struct rlimit r;
    char path[128], all[FULL + 1];
    memset(all, 'x', sizeof all);
    write_file("lines", all, FULL - 10, 0600);
    helper_free(h);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &r), 0);
    const struct rlimit small = {FULL, r.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    h = helper_new(dir);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &r), 0);
    ck_assert_int_eq(helper_start(h, base), 0);
    snprintf(path, sizeof path, "%s/lines", dir);
    clear();
    ck_assert_ptr_nonnull(helper_lines_open(h, 0, path, &o, on_lines, NULL));
    wait_answers(1);
    ck_assert_int_eq(got.error, 0);
    ck_assert_int_eq(add_lines("too long to fit\n"), -ERR_FULL);
    ck_assert_int_eq(add_lines("fits\n"), 0);
    const int fd = open(path, O_RDONLY);
    const ssize_t n = pread(fd, all, FULL, 0);
    close(fd);
    ck_assert_int_eq(n, FULL - 10 + 6);
    all[n] = '\0';
    ck_assert_str_eq(all + FULL - 10, "\nfits\n");
}
END_TEST

/* A unit's UMask= is for what has no mode of its own. */
START_TEST(mode_of_a_file_of_lines)
{
    static const struct helper_lines_options o = {.mode = 0640};
    struct stat st;
    char path[128];
    helper_free(h);
    const mode_t before = umask(0077);
    h = helper_new(dir);
    umask(before);
    ck_assert_int_eq(helper_start(h, base), 0);
    snprintf(path, sizeof path, "%s/lines", dir);
    clear();
    ck_assert_ptr_nonnull(helper_lines_open(h, 0, path, &o, on_lines, NULL));
    wait_answers(1);
    ck_assert_int_eq(got.error, 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0640);
}
END_TEST

START_TEST(directory_that_cannot_be)
{
    helper_free(h);
    write_file("file", "", 0, 0600);
    char path[80];
    snprintf(path, sizeof path, "%s/file", dir);
    h = helper_new(path);
    ck_assert_int_eq(helper_start(h, base), 0);
    open_spool("s");
    ck_assert_int_lt(got.error, 0);
    clear();
    helper_spool_append(h, "s", 0, 1, text("x"), on_spool, NULL);
    wait_answers(1);
    ck_assert_int_lt(got.error, 0);
    /* As soon as it can be, it is. */
    ck_assert_int_eq(unlink(path), 0);
    clear();
    helper_spool_append(h, "s", 0, 1, text("x"), on_spool, NULL);
    wait_answers(1);
    ck_assert_int_eq(got.error, 0);
}
END_TEST

/* A name server that never answers holds up neither the disk nor what needs no server. */
START_TEST(silent_name_server)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    in.sin_port = htons(53);
    helper_free(h);
    h = NULL;
    if (geteuid() != 0 || unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        fprintf(stderr, "silent_name_server: skipped, needs root and namespaces\n");
        return;
    }
    write_file("resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n", 50, 0644);
    write_file("nsswitch.conf", "hosts: files dns\n", 17, 0644);
    char from[128];
    snprintf(from, sizeof from, "%s/resolv.conf", dir);
    ck_assert_int_eq(mount(from, "/etc/resolv.conf", NULL, MS_BIND, NULL), 0);
    snprintf(from, sizeof from, "%s/nsswitch.conf", dir);
    ck_assert_int_eq(mount(from, "/etc/nsswitch.conf", NULL, MS_BIND, NULL), 0);
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    const int deaf = socket(AF_INET, SOCK_DGRAM, 0);
    ck_assert_int_eq(ioctl(deaf, SIOCSIFFLAGS, &lo), 0);
    ck_assert_int_eq(bind(deaf, (void *)&in, sizeof in), 0);
    h = helper_new(dir);
    ck_assert_int_eq(helper_start(h, base), 0);
    for (int i = 0; i < 8; i++)
        helper_forget(helper_resolve(h, "collector.example", 1, on_resolved, NULL));
    open_spool("s");
    helper_spool_append(h, "s", 0, 1, text("x"), on_spool, NULL);
    helper_resolve(h, "127.0.0.1", 4317, on_resolved, NULL);
    wait_answers(3);
    ck_assert_int_eq(got.errors, 0);
    ck_assert_uint_eq(helper_open_calls(h), 8);
    clear();
    helper_resolve(h, "collector.example", 1, on_resolved, NULL);
    wait_answers(1);
    ck_assert_int_eq(got.error, -ERR_TIMEOUT);
    close(deaf);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("helper");
    TCase *t = tcase_create("helper");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, reads_files);
    tcase_add_test(t, unreadable_files);
    tcase_add_test(t, resolves);
    tcase_add_test(t, appends_and_reads);
    tcase_add_test(t, large_payloads);
    tcase_add_test(t, names_of_spools);
    tcase_add_test(t, private_files);
    tcase_add_test(t, link_is_not_followed);
    tcase_add_test(t, full);
    tcase_add_test(t, forgotten);
    tcase_add_test(t, killed);
    tcase_add_test(t, killed_again_and_again);
    tcase_add_test(t, ends_with_the_daemon);
    tcase_add_test(t, no_spawner);
    tcase_add_test(t, disk_full);
    tcase_add_test(t, disk_full_behind_a_half_line);
    tcase_add_test(t, mode_of_a_file_of_lines);
    tcase_add_test(t, directory_that_cannot_be);
    tcase_add_test(t, silent_name_server);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
