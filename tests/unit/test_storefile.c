/* The file behind the store: lock, identity, what is replaced and what is kept. */
#include <check.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/storefile.h"
#include "pipeline/own.h"
#include "store/commit.h"

static char dir[64];
static char path[80];
static struct storefile file;
static const struct when now = {.mono = 1000 * NS_PER_S, .wall = 1700000000 * NS_PER_S};

static void setup(void)
{
    snprintf(dir, sizeof dir, "/dev/shm/mcptally-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/store", dir);
}

static size_t count(const char *pattern, bool remove)
{
    char whole[128];
    glob_t found;
    snprintf(whole, sizeof whole, "%s/%s", dir, pattern);
    size_t n = glob(whole, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    for (size_t i = 0; remove && i < n; i++)
        ck_assert_int_eq(unlink(found.gl_pathv[i]), 0);
    if (n)
        globfree(&found);
    return n;
}

static void teardown(void)
{
    count("*", true);
    ck_assert_int_eq(rmdir(dir), 0);
}

static void opens(uint64_t size)
{
    int r = storefile_open(&file, dir, size, now);
    ck_assert_msg(r == 0, "%d %s", r, file.why);
}

/* A value that a continued store still has: the count of its starts is not in a batch. */
static uint64_t mark(struct own *own)
{
    ck_assert_int_eq(own_init(own, &file.store, 1, now), 0);
    own_add(own, OWN_ACCEPTED, 0, 7);
    store_commit(&file.store);
    uint64_t v = own_get(own, OWN_ACCEPTED, 0);
    own_fini(own);
    return v;
}

START_TEST(new_and_continued)
{
    struct own own;
    opens(STORE_MIN);
    ck_assert_int_eq(file.how, STOREFILE_NEW);
    ck_assert_str_eq(file.why, "");
    uint64_t id = file.store.head->store_id;
    ck_assert_uint_eq(file.store.head->pid, (uint64_t)getpid());
    ck_assert_uint_eq(mark(&own), 7);
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0640);
    ck_assert_uint_lt((uint64_t)st.st_blocks * 512, STORE_MIN / 2);
    storefile_close(&file, false);

    opens(STORE_MIN);
    ck_assert_int_eq(file.how, STOREFILE_CONTINUED);
    ck_assert_uint_eq(file.store.head->store_id, id);
    ck_assert_uint_eq(file.store.head->starts, 2);
    ck_assert_uint_eq(mark(&own), 14);
    storefile_close(&file, true);
    ck_assert_uint_eq(count("*", false), 1);
}
END_TEST

START_TEST(one_daemon_at_a_time)
{
    struct storefile second;
    opens(STORE_MIN);
    ck_assert_int_eq(storefile_open(&second, dir, STORE_MIN, now), -ERR_BUSY);
    char pid[32];
    snprintf(pid, sizeof pid, "pid %d is running", (int)getpid());
    ck_assert_msg(strstr(second.why, pid) != NULL, "%s", second.why);
    storefile_close(&file, true);
    opens(STORE_MIN);
    storefile_close(&file, true);
}
END_TEST

/* Two first starts at once: the second finds the first's store.new locked. */
START_TEST(one_maker_at_a_time)
{
    char fresh[96];
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    snprintf(fresh, sizeof fresh, "%s.new", path);
    int fd = open(fresh, O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &whole), 0);
    ck_assert_int_eq(storefile_open(&file, dir, STORE_MIN, now), -ERR_BUSY);
    ck_assert_ptr_nonnull(strstr(file.why, "another mcptallyd is starting here"));
    close(fd);
    opens(STORE_MIN); /* what the dead one left does not matter */
    storefile_close(&file, true);
}
END_TEST

static void spoil(off_t at)
{
    int fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, "spoiled!", 8, at), 8);
    close(fd);
}

START_TEST(damage_is_set_aside)
{
    static const struct {
        off_t at;
    } where[] = {{0}, {offsetof(struct store_head, section)}, {offsetof(struct store_head, table)}};
    opens(STORE_MIN);
    uint64_t id = file.store.head->store_id;
    storefile_close(&file, true);
    int reader = open(path, O_RDONLY);
    const struct store_head *h = mmap(NULL, STORE_HEAD_SIZE, PROT_READ, MAP_SHARED, reader, 0);
    spoil(where[_i].at);
    opens(STORE_MIN);
    ck_assert_int_eq(file.how, STOREFILE_REPLACED);
    ck_assert_uint_ne(file.store.head->store_id, id);
    ck_assert_str_ne(file.why, "");
    ck_assert_uint_eq(h->superseded, 1);
    ck_assert_uint_eq(file.store.head->superseded, 0);
    ck_assert_uint_eq(count("store.damaged-*", false), 1);
    storefile_close(&file, true);
    close(reader);
}
END_TEST

START_TEST(few_are_kept_aside)
{
    for (int i = 0; i < 6; i++) {
        opens(STORE_MIN);
        ck_assert_int_eq(storefile_replace(&file, STORE_MIN, "a test", now), 0);
        ck_assert_int_eq(file.how, STOREFILE_REPLACED);
        storefile_close(&file, true);
    }
    ck_assert_uint_eq(count("store.damaged-*", false), 2);
}
END_TEST

START_TEST(too_short_is_replaced)
{
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(write(fd, "x", 1), 1);
    close(fd);
    opens(STORE_MIN);
    ck_assert_int_eq(file.how, STOREFILE_REPLACED);
    storefile_close(&file, true);
}
END_TEST

START_TEST(others_may_not_write)
{
    opens(STORE_MIN);
    storefile_close(&file, true);
    ck_assert_int_eq(chmod(path, 0660), 0);
    ck_assert_int_eq(storefile_open(&file, dir, STORE_MIN, now), -ERR_PERM);
    ck_assert_ptr_nonnull(strstr(file.why, "can be written by others"));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("/dev/null", path), 0);
    ck_assert_int_lt(storefile_open(&file, dir, STORE_MIN, now), 0);
}
END_TEST

START_TEST(another_size_is_a_copy)
{
    struct own own;
    opens(STORE_MIN);
    uint64_t id = file.store.head->store_id, created = file.store.head->created;
    mark(&own);
    storefile_close(&file, true);
    opens(2 * STORE_MIN);
    ck_assert_int_eq(file.how, STOREFILE_COPIED);
    ck_assert_uint_eq(file.store.size, 2 * STORE_MIN);
    ck_assert_uint_eq(file.store.head->store_id, id);
    ck_assert_uint_eq(file.store.head->created, created);
    ck_assert_uint_eq(mark(&own), 14);
    storefile_close(&file, true);
    opens(STORE_MIN);
    ck_assert_int_eq(file.how, STOREFILE_COPIED);
    ck_assert_uint_eq(mark(&own), 21);
    storefile_close(&file, true);
    ck_assert_uint_eq(count("*", false), 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("storefile");
    TCase *t = tcase_create("storefile");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, new_and_continued);
    tcase_add_test(t, one_daemon_at_a_time);
    tcase_add_test(t, one_maker_at_a_time);
    tcase_add_loop_test(t, damage_is_set_aside, 0, 3);
    tcase_add_test(t, few_are_kept_aside);
    tcase_add_test(t, too_short_is_replaced);
    tcase_add_test(t, others_may_not_write);
    tcase_add_test(t, another_size_is_a_copy);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
