#include "store/label_text.h"

enum { WORD = 8, KEYS_SHIFT = 32, ALIKE = 4 /* series whose keys are looked at */ };

static const struct str no_text;

struct str label_text(const struct store *st, uint64_t at)
{
    const struct text_blob *b = store_at(st, at, sizeof *b);
    return b ? (struct str){b->text, TEXT_BYTES(b->size)} : (struct str){0};
}

uint64_t label_text_keys(const struct store *st, uint64_t at)
{
    return (store_get(st, at) >> KEYS_SHIFT) * WORD;
}

uint64_t label_text_users(const struct store *st, uint64_t keys)
{
    return store_get(st, keys) >> KEYS_SHIFT;
}

/* The series of a metric mostly have the same keys: where the newest ones have them. 0: none. */
static uint64_t keys_find(const struct store *st, uint32_t newest, struct str keys)
{
    const struct series_rec *r = table_get(st, TABLE_SERIES, newest);
    for (unsigned n = 0; r && n < ALIKE; n++) {
        const uint64_t at = label_text_keys(st, r->labels);
        if (at && str_eq(label_text(st, at), keys))
            return at;
        r = table_get(st, TABLE_SERIES, (uint32_t)(r->links >> SERIES_HIGH_SHIFT));
    }
    return 0;
}

static void keys_count(struct store *st, uint64_t keys, int change)
{
    const uint64_t users = label_text_users(st, keys) + (uint64_t)(int64_t)change;
    if (users == 0)
        text_free(st, keys);
    else
        store_set(st, keys, users << KEYS_SHIFT | TEXT_BYTES(store_get(st, keys)));
}

/* The keys as they came, when they differ; without them when there is no room. */
static uint64_t keys_share(struct store *st, uint32_t newest, struct str keys)
{
    if (keys.n == 0 || keys.n > TEXT_MAX)
        return 0;
    uint64_t at = keys_find(st, newest, keys);
    if (!at)
        at = text_new(st, keys, no_text, no_text);
    if (at)
        keys_count(st, at, 1);
    return at;
}

uint64_t label_text_new(struct store *st, uint32_t newest, struct str labels, struct str keys)
{
    const uint64_t at = text_new(st, labels, no_text, no_text);
    const uint64_t shared = at ? keys_share(st, newest, keys) : 0;
    if (shared)
        store_set(st, at, labels.n | shared / WORD << KEYS_SHIFT);
    return at;
}

void label_text_free(struct store *st, uint64_t at)
{
    const uint64_t keys = label_text_keys(st, at);
    if (keys)
        keys_count(st, keys, -1);
    text_free(st, at);
}

uint64_t label_text_bytes(const struct store *st, uint64_t at)
{
    const uint64_t keys = label_text_keys(st, at);
    return text_bytes(label_text(st, at).n) + (keys ? text_bytes(label_text(st, keys).n) : 0);
}
