#include "store/migrate.h"

#include <stddef.h>
#include <string.h>

#include "base/hash.h"

enum { WORD = 8 };

/* ---- versions 0 and 1 ---- */

enum { V1_SECTIONS = 12, V1_TABLES = 4, V1_RINGS = 2, V1_CONSUMERS = 8, V1_CONSUMER_WORDS = 6 };

struct ring_head_v1 {
    uint64_t tail, head, tail_seq, head_seq;
    uint64_t consumer[V1_CONSUMERS][V1_CONSUMER_WORDS];
};

struct store_head_v1 {
    uint64_t magic, version, layout_hash, size, boot_id[2], store_id, created;
    struct section_place section[V1_SECTIONS];
    uint64_t static_sum;
    uint64_t clean, superseded, pid, starts, start_at[START_SLOTS], domain_in_hand, rollbacks;
    _Alignas(64) uint64_t commit;
    _Alignas(64) struct table_head table[V1_TABLES];
    uint64_t heap_used, heap_free[HEAP_CLASSES], heap_limbo[HEAP_CLASSES], heap_live;
    struct ring_head_v1 ring[V1_RINGS];
    uint64_t epoch, secret;
};

/* Sections, tables, rings, classes and consumers of then are the first of today's. */
static void head_v1(const struct store_head_v1 *v, struct store_head *out)
{
    memcpy(out, v, offsetof(struct store_head_v1, section));
    memcpy(out->section, v->section, sizeof v->section);
    out->clean = v->clean;
    out->pid = v->pid;
    out->starts = v->starts;
    memcpy(out->start_at, v->start_at, sizeof v->start_at);
    out->domain_in_hand = v->domain_in_hand;
    out->rollbacks = v->rollbacks;
    out->commit = v->commit;
    memcpy(out->table, v->table, sizeof v->table);
    out->heap_used = v->heap_used;
    memcpy(out->heap_free, v->heap_free, sizeof v->heap_free);
    memcpy(out->heap_limbo, v->heap_limbo, sizeof v->heap_limbo);
    out->heap_live = v->heap_live;
    for (int r = 0; r < V1_RINGS; r++) {
        memcpy(&out->ring[r], &v->ring[r], offsetof(struct ring_head_v1, consumer));
        for (int k = 0; k < V1_CONSUMERS; k++)
            memcpy(&out->ring[r].consumer[k], v->ring[r].consumer[k], V1_CONSUMER_WORDS * WORD);
    }
    out->epoch = v->epoch;
    out->secret = v->secret;
    memcpy(out->consumer[CONSUMER_HEALTH], "health", sizeof "health");
}

/* ---- all versions ---- */

/* Record sizes, oldest version first; what was added stands at the end. 0: the
 * version has no such table. */
static const uint64_t records[STORE_VERSION + 1][TABLE_MAX] = {
    /* 0: series had no group, sessions no time of birth, parts no count */
    [0] = {sizeof(struct metric_rec), sizeof(struct series_rec_v3) - WORD,
           sizeof(struct session_rec) - 2 * WORD, sizeof(struct part_rec) - WORD, 0},
    /* 1 and 2: sessions had no rings */
    [1] = {sizeof(struct metric_rec), sizeof(struct series_rec_v3),
           sizeof(struct session_rec) - WORD, sizeof(struct part_rec), 0},
    [2] = {sizeof(struct metric_rec), sizeof(struct series_rec_v3),
           sizeof(struct session_rec) - WORD, sizeof(struct part_rec), sizeof(struct stream_rec)},
    [3] = {sizeof(struct metric_rec), sizeof(struct series_rec_v3), sizeof(struct session_rec),
           sizeof(struct part_rec), sizeof(struct stream_rec)},
    [4] = {sizeof(struct metric_rec), sizeof(struct series_rec), sizeof(struct session_rec),
           sizeof(struct part_rec), sizeof(struct stream_rec)},
};

/* Version 2 had the head of today, and no records of domains. */
enum { V2_SECTIONS = SECTION_DOMAINS };

static const struct {
    unsigned sections;
    uint64_t sum; /* offset of static_sum */
    uint64_t word[4];
} heads[STORE_VERSION + 1] = {
#define V1                                                                                         \
    {                                                                                              \
        V1_SECTIONS, offsetof(struct store_head_v1, static_sum),                                   \
        {                                                                                          \
            offsetof(struct store_head_v1, clean), offsetof(struct store_head_v1, superseded),     \
                offsetof(struct store_head_v1, pid), offsetof(struct store_head_v1, commit)        \
        }                                                                                          \
    }
    [0] = V1,
    [1] = V1,
#undef V1
#define TODAY(sections)                                                                            \
    {                                                                                              \
        sections, offsetof(struct store_head, static_sum),                                         \
        {                                                                                          \
            offsetof(struct store_head, clean), offsetof(struct store_head, superseded),           \
                offsetof(struct store_head, pid), offsetof(struct store_head, commit)              \
        }                                                                                          \
    }
    [2] = TODAY(V2_SECTIONS),
    [3] = TODAY(SECTION_MAX),
    [4] = TODAY(SECTION_MAX),
#undef TODAY
};

static uint64_t version_of(const void *mem)
{
    uint64_t version; /* mem may be a few bytes read from a file, without a head's alignment */
    memcpy(&version, (const uint8_t *)mem + offsetof(struct store_head, version), sizeof version);
    return version <= STORE_VERSION ? version : STORE_VERSION;
}

static uint64_t word_at(const void *mem, uint64_t offset)
{
    uint64_t word;
    memcpy(&word, (const uint8_t *)mem + offset, sizeof word);
    return word;
}

int migrate_known(const void *mem, size_t size)
{
    const struct store_head *h = mem; /* up to `section` all versions are the same */
    if (size < STORE_HEAD_SIZE || h->magic != STORE_MAGIC)
        return -ERR_DAMAGED;
    if (h->version > STORE_VERSION)
        return -ERR_VERSION;
    const uint64_t at = heads[h->version].sum;
    if (word_at(mem, at) != hash_bytes(h, at, h->version) || h->size > size)
        return -ERR_DAMAGED;
    for (unsigned s = 0; s < heads[h->version].sections; s++)
        if (h->section[s].offset > h->size || h->section[s].size > h->size - h->section[s].offset)
            return -ERR_DAMAGED;
    return 0;
}

void migrate_head(const void *mem, struct store_head *out)
{
    memset(out, 0, sizeof *out);
    if (version_of(mem) < 2)
        head_v1(mem, out);
    else
        memcpy(out, mem, sizeof *out);
}

uint64_t migrate_offset(const void *mem, enum migrate_word word)
{
    return heads[version_of(mem)].word[word];
}

uint64_t migrate_record(uint64_t version, enum store_table_id t)
{
    return records[version][t];
}
