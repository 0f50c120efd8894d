/* The spool on a disk in memory: order, bounds, damage. What a crash leaves is the
 * simulation's to try (tests/sim/spool_sim.c). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "spool/crc32c.h"
#include "spool/segment.h"
#include "spool/spool.h"

enum { FILES = 40, BYTES = 100000 };

static struct file {
    char name[40];
    uint8_t bytes[BYTES];
    uint64_t size;
    bool used;
} files[FILES];

static struct {
    int fail; /* every call answers so: 0 for none */
    unsigned syncs;
} disk;

static struct spool *s;
static struct spool_stats st;
static struct when now;
static struct spool_options options;

/* ---- the disk ---- */

static int find(const char *name)
{
    for (int i = 0; i < FILES; i++)
        if (files[i].used && strcmp(files[i].name, name) == 0)
            return i;
    return -ERR_NOTFOUND;
}

static int on_create(void *arg, const char *name, uint64_t size, int *file)
{
    (void)arg;
    ck_assert_int_lt(find(name), 0);
    for (int i = 0; i < FILES && !disk.fail; i++)
        if (!files[i].used) {
            memset(&files[i], 0, sizeof files[i]);
            files[i].used = true;
            files[i].size = size;
            snprintf(files[i].name, sizeof files[i].name, "%s", name);
            *file = i;
            return 0;
        }
    return disk.fail ? disk.fail : -ERR_FULL;
}

static int on_open(void *arg, const char *name, bool write, int *file, uint64_t *size)
{
    (void)arg;
    (void)write;
    const int i = find(name);
    if (disk.fail || i < 0)
        return disk.fail ? disk.fail : i;
    *file = i;
    *size = files[i].size;
    return 0;
}

static int on_read(void *arg, int file, uint64_t at, void *to, size_t n)
{
    const struct file *f = &files[file];
    (void)arg;
    if (disk.fail)
        return disk.fail;
    if (at >= f->size)
        return 0;
    n = n < f->size - at ? n : f->size - at;
    memcpy(to, f->bytes + at, n);
    return (int)n;
}

static int on_write(void *arg, int file, uint64_t at, const void *p, size_t n)
{
    (void)arg;
    if (disk.fail)
        return disk.fail;
    ck_assert_uint_le(at + n, files[file].size); /* within what was preallocated */
    memcpy(files[file].bytes + at, p, n);
    return 0;
}

static int on_sync(void *arg, int file)
{
    (void)arg;
    (void)file;
    disk.syncs++;
    return disk.fail;
}

static int on_cut(void *arg, int file, uint64_t size)
{
    (void)arg;
    files[file].size = size;
    return disk.fail;
}

static void on_close(void *arg, int file)
{
    (void)arg;
    (void)file;
}

static int on_rename(void *arg, const char *from, const char *to)
{
    (void)arg;
    const int i = find(from);
    if (disk.fail || i < 0)
        return disk.fail ? disk.fail : i;
    snprintf(files[i].name, sizeof files[i].name, "%s", to);
    return 0;
}

static int on_remove(void *arg, const char *name)
{
    (void)arg;
    const int i = find(name);
    if (disk.fail || i < 0)
        return disk.fail ? disk.fail : i;
    files[i].used = false;
    return 0;
}

static int on_sync_dir(void *arg)
{
    (void)arg;
    return disk.fail;
}

static int on_list(void *arg, void (*each)(void *each_arg, const char *name), void *each_arg)
{
    (void)arg;
    for (int i = FILES - 1; i >= 0 && !disk.fail; i--) /* in no order that helps */
        if (files[i].used)
            each(each_arg, files[i].name);
    return disk.fail;
}

static const struct spool_io io = {
    .create = on_create,
    .open = on_open,
    .read = on_read,
    .write = on_write,
    .sync = on_sync,
    .cut = on_cut,
    .close = on_close,
    .rename = on_rename,
    .remove = on_remove,
    .sync_dir = on_sync_dir,
    .list = on_list,
};

/* ---- helpers ---- */

static void open_spool(void)
{
    ck_assert_int_eq(spool_open(&s, &io, &options, now), 0);
}

static void reopen(void)
{
    spool_close(s);
    open_spool();
}

static void setup(void)
{
    memset(files, 0, sizeof files);
    memset(&disk, 0, sizeof disk);
    now = (struct when){NS_PER_S, 1000 * NS_PER_S};
    options = (struct spool_options){.bytes = 200000, .segment = 30000, .salt = 7};
    open_spool();
}

static void teardown(void)
{
    spool_close(s);
}

static int append(uint32_t n)
{
    char text[2000];
    uint64_t seq;
    memset(text, 'a' + (int)(n % 26), sizeof text);
    snprintf(text, sizeof text, "%u", n);
    return spool_append(s, n % 3, n, (struct str){text, 100 + n % 1900}, now, &seq);
}

static void keep(uint32_t from, uint32_t n)
{
    for (uint32_t i = from; i < from + n; i++)
        ck_assert_int_eq(append(i), 0);
    ck_assert_int_eq(spool_sync(s), 0);
}

static uint64_t read_seq;

/* The number in the next record, 0 at the end. */
static uint32_t next(void)
{
    struct spool_record r;
    const int found = spool_read(s, read_seq, &r);
    ck_assert_int_ge(found, 0);
    if (!found)
        return 0;
    read_seq = r.seq + 1;
    const uint32_t n = (uint32_t)strtoul(r.payload.p, NULL, 10);
    ck_assert_uint_eq(r.items, n);
    ck_assert_uint_eq(r.signal, n % 3);
    ck_assert_uint_eq(r.payload.n, 100 + n % 1900);
    return n;
}

static void expect(uint32_t from, uint32_t n)
{
    for (uint32_t i = from; i < from + n; i++)
        ck_assert_uint_eq(next(), i);
}

static unsigned count_files(const char *end)
{
    unsigned n = 0;
    for (int i = 0; i < FILES; i++)
        n += files[i].used && strstr(files[i].name, end);
    return n;
}

static struct file *newest(void)
{
    struct file *f = NULL;
    for (int i = 0; i < FILES; i++)
        if (files[i].used && (!f || strcmp(files[i].name, f->name) > 0))
            f = &files[i];
    return f;
}

static struct file *oldest(void)
{
    struct file *f = NULL;
    for (int i = 0; i < FILES; i++)
        if (files[i].used && (!f || strcmp(files[i].name, f->name) < 0))
            f = &files[i];
    return f;
}

/* ---- tests ---- */

START_TEST(checksum)
{
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37);
    ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283);
    ck_assert_uint_eq(crc32c_portable(0, "123456789", 9), 0xe3069283);
    for (size_t n = 0; n < sizeof bytes; n++)
        ck_assert_uint_eq(crc32c(0, bytes, n), crc32c_portable(0, bytes, n));
    ck_assert_uint_eq(crc32c(crc32c(0, bytes, 100), bytes + 100, 200), crc32c(0, bytes, 300));
}
END_TEST

START_TEST(in_order)
{
    keep(1, 60);
    ck_assert_uint_ge(count_files(".spool"), 2);
    read_seq = 0;
    expect(1, 60);
    ck_assert_uint_eq(next(), 0);
    reopen();
    keep(61, 20);
    read_seq = 0;
    expect(1, 80);
    spool_stats(s, &st);
    ck_assert_uint_eq(st.records, 80);
    ck_assert_uint_eq(st.items, 80 * 81 / 2);
    ck_assert_uint_eq(st.dropped_records[SPOOL_DAMAGED], 0);
}
END_TEST

START_TEST(done)
{
    keep(1, 60);
    read_seq = 0;
    expect(1, 35);
    ck_assert_int_eq(spool_done(s, read_seq), 0);
    reopen();
    spool_stats(s, &st);
    ck_assert_uint_eq(st.first, read_seq);
    ck_assert_uint_eq(st.records, 25);
    read_seq = 0;
    expect(36, 25);
    ck_assert_int_eq(spool_done(s, UINT64_MAX), 0);
    spool_stats(s, &st);
    ck_assert_uint_eq(st.records, 0);
    ck_assert_uint_eq(st.bytes, SEGMENT_DATA); /* what was kept is given back */
    const uint64_t seq = st.next;
    reopen();
    keep(1, 1);
    spool_stats(s, &st);
    ck_assert_uint_gt(st.next, seq); /* numbers go on */
    ck_assert_uint_eq(count_files(".spool"), 1);
}
END_TEST

START_TEST(by_size)
{
    keep(1, 300);
    spool_stats(s, &st);
    ck_assert_uint_le(st.bytes, options.bytes);
    ck_assert_uint_gt(st.dropped_records[SPOOL_BY_SIZE], 0);
    ck_assert_uint_eq(st.records + st.dropped_records[SPOOL_BY_SIZE], 300);
    ck_assert_uint_eq(st.items + st.dropped_items[SPOOL_BY_SIZE], 300 * 301 / 2);
    read_seq = 0;
    expect((uint32_t)st.dropped_records[SPOOL_BY_SIZE] + 1, (uint32_t)st.records);
}
END_TEST

START_TEST(by_age)
{
    options.age = 10 * NS_PER_S;
    reopen();
    keep(1, 5);
    now.wall += 6 * NS_PER_S;
    keep(6, 5);
    now.wall += 6 * NS_PER_S;
    spool_trim(s, now);
    spool_stats(s, &st);
    ck_assert_uint_eq(st.dropped_records[SPOOL_BY_AGE], 5);
    ck_assert_uint_eq(st.dropped_items[SPOOL_BY_AGE], 15);
    ck_assert_uint_eq(st.records, 5);
    ck_assert_uint_eq(st.oldest, now.wall - 6 * NS_PER_S);
    reopen();
    read_seq = 0;
    expect(6, 5);
    now.wall -= 500 * NS_PER_S; /* a clock that was set back drops nothing */
    spool_trim(s, now);
    spool_stats(s, &st);
    ck_assert_uint_eq(st.records, 5);
}
END_TEST

START_TEST(too_large)
{
    uint64_t seq;
    char *big = calloc(1, options.bytes);
    const struct str p = {big, options.bytes};
    ck_assert_int_eq(spool_append(s, 0, 1, p, now, &seq), -ERR_RANGE);
    /* Larger than a segment should be, but not than the whole. */
    const struct str q = {big, 60000};
    ck_assert_int_eq(spool_append(s, 0, 1, q, now, &seq), 0);
    ck_assert_int_eq(spool_sync(s), 0);
    keep(2, 3);
    free(big);
}
END_TEST

/* Whatever byte of a head is changed, nothing is lost. */
START_TEST(flipped_head)
{
    keep(1, 3);
    ck_assert_int_eq(spool_done(s, 2), 0);
    spool_close(s);
    for (uint64_t at = 0; at < SEGMENT_DATA; at++) {
        static struct file before;
        before = *newest();
        newest()->bytes[at] ^= 0x10;
        open_spool();
        read_seq = 0;
        expect(2, 2);
        ck_assert_uint_eq(next(), 0);
        spool_close(s);
        *newest() = before;
    }
    open_spool();
}
END_TEST

/* Whatever byte of a record is changed, only that one is lost, and counted. */
START_TEST(flipped_record)
{
    keep(1, 3);
    keep(4, 3);
    spool_close(s);
    for (uint64_t at = SEGMENT_DATA + SEGMENT_SECTOR;
         at < SEGMENT_DATA + SEGMENT_SECTOR + RECORD_HEAD + 102; at++) {
        static struct file before;
        before = *newest();
        newest()->bytes[at] ^= 0x10;
        open_spool();
        read_seq = 0;
        expect(1, 1);
        expect(3, 4);
        ck_assert_uint_eq(next(), 0);
        spool_stats(s, &st);
        ck_assert_uint_eq(st.dropped_records[SPOOL_DAMAGED], 1);
        ck_assert_uint_eq(st.dropped_items[SPOOL_DAMAGED], 2);
        ck_assert_uint_eq(st.records, 5);
        spool_close(s);
        *newest() = before;
    }
    open_spool();
}
END_TEST

START_TEST(set_aside)
{
    keep(1, 60);
    spool_close(s);
    oldest()->bytes[SEGMENT_DATA + 100] ^= 1;
    open_spool();
    read_seq = 0;
    expect(2, 59);
    ck_assert_uint_eq(count_files(".damaged"), 0); /* it has good records */
    ck_assert_int_eq(spool_done(s, read_seq), 0);
    ck_assert_uint_eq(count_files(".damaged"), 1);
    spool_stats(s, &st);
    ck_assert_uint_eq(st.set_aside, 1);
    reopen();
    spool_stats(s, &st);
    ck_assert_uint_eq(st.set_aside, 1);
}
END_TEST

START_TEST(few_aside)
{
    for (uint32_t i = 0; i < 20; i++) {
        struct file *f = &files[i];
        f->used = true;
        f->size = 600;
        memset(f->bytes, 'x', 600);
        snprintf(f->name, sizeof f->name, "%016x.spool", 100 + i);
    }
    reopen();
    spool_stats(s, &st);
    ck_assert_uint_eq(count_files(".damaged"), 8);
    ck_assert_uint_eq(st.set_aside, 8);
    ck_assert_int_ge(find("0000000000000077.damaged"), 0); /* the newest */
    keep(1, 5);
    read_seq = 0;
    expect(1, 5);
}
END_TEST

START_TEST(strangers)
{
    static const char *const names[] = {"README", ".", "1.spool", "000000000000000G.spool",
                                        "0000000000000001.spool~"};
    keep(1, 5);
    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct file *f = &files[FILES - 1 - i];
        f->used = true;
        snprintf(f->name, sizeof f->name, "%s", names[i]);
    }
    reopen();
    read_seq = 0;
    expect(1, 5);
    ck_assert_int_eq(spool_done(s, read_seq), 0);
    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++)
        ck_assert_int_ge(find(names[i]), 0);
}
END_TEST

START_TEST(lost_file)
{
    keep(1, 120);
    spool_close(s);
    const unsigned before = count_files(".spool");
    ck_assert_uint_ge(before, 3);
    struct file *gone = NULL; /* the second one */
    for (int i = 0; i < FILES; i++)
        if (files[i].used && &files[i] != oldest() &&
            (!gone || strcmp(files[i].name, gone->name) < 0))
            gone = &files[i];
    gone->used = false;
    open_spool();
    unsigned n = 0;
    for (read_seq = 0; next();)
        n++;
    spool_stats(s, &st);
    ck_assert_uint_eq(n, st.records);
    ck_assert_uint_eq(st.records + st.dropped_records[SPOOL_DAMAGED], 120);
    ck_assert_uint_eq(st.items + st.dropped_items[SPOOL_DAMAGED], 120 * 121 / 2);
}
END_TEST

/* A payload cannot pass for a record: it would have to know the salt. */
START_TEST(forged)
{
    uint8_t bytes[2 * SEGMENT_SECTOR] = {0};
    uint64_t seq;
    const struct record_head h = {.salt = 0, .at = {2, 1, 1}, .length = 4, .items = 1};
    record_head_write(bytes + SEGMENT_SECTOR - RECORD_HEAD, &h);
    const struct str p = {(const char *)bytes, sizeof bytes};
    ck_assert_int_eq(spool_append(s, 0, 1, p, now, &seq), 0);
    keep(2, 1);
    spool_close(s);
    newest()->bytes[SEGMENT_DATA] ^= 1; /* so that what is behind its head is looked at */
    open_spool();
    read_seq = 0;
    expect(2, 1);
    ck_assert_uint_eq(next(), 0);
}
END_TEST

START_TEST(no_disk)
{
    keep(1, 5);
    disk.fail = -ERR_PERM;
    ck_assert_int_eq(append(6), -ERR_PERM);
    ck_assert_int_eq(spool_done(s, 3), -ERR_PERM);
    disk.fail = -ERR_FULL;
    ck_assert_int_eq(append(6), -ERR_FULL);
    disk.fail = -ERR_IO;
    reopen();
    ck_assert_int_eq(append(6), -ERR_IO);
    disk.fail = 0;
    keep(6, 5); /* as soon as it is back */
    read_seq = 0;
    expect(1, 10);
}
END_TEST

START_TEST(failed_sync)
{
    keep(1, 5);
    ck_assert_int_eq(append(6), 0);
    disk.fail = -ERR_IO;
    ck_assert_int_eq(spool_sync(s), -ERR_IO);
    disk.fail = 0;
    ck_assert_int_eq(spool_sync(s), 0);
    keep(6, 2);
    reopen();
    read_seq = 0;
    expect(1, 7);
    ck_assert_uint_eq(next(), 0);
    spool_stats(s, &st);
    ck_assert_uint_eq(st.dropped_records[SPOOL_DAMAGED], 0);
}
END_TEST

START_TEST(one_sync_for_many)
{
    keep(1, 1);
    const unsigned before = disk.syncs;
    keep(2, 8);
    ck_assert_uint_eq(disk.syncs, before + 1);
    ck_assert_int_eq(spool_sync(s), 0);
    ck_assert_uint_eq(disk.syncs, before + 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spool");
    TCase *t = tcase_create("spool");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, checksum);
    tcase_add_test(t, in_order);
    tcase_add_test(t, done);
    tcase_add_test(t, by_size);
    tcase_add_test(t, by_age);
    tcase_add_test(t, too_large);
    tcase_add_test(t, flipped_head);
    tcase_add_test(t, flipped_record);
    tcase_add_test(t, set_aside);
    tcase_add_test(t, few_aside);
    tcase_add_test(t, strangers);
    tcase_add_test(t, lost_file);
    tcase_add_test(t, forged);
    tcase_add_test(t, no_disk);
    tcase_add_test(t, failed_sync);
    tcase_add_test(t, one_sync_for_many);
    suite_add_tcase(suite, t);
    SRunner *sr = srunner_create(suite);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
