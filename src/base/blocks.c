#include "base/blocks.h"

#include <stdint.h>
#include <stdlib.h>

struct block {
    struct block *next, **at; /* at: what points to it */
    max_align_t bytes[];
};

static struct block *block_of(void *p)
{
    return (struct block *)(void *)((char *)p - offsetof(struct block, bytes));
}

static void link_block(struct blocks *b, struct block *k)
{
    k->next = b->first;
    k->at = &b->first;
    if (k->next)
        k->next->at = &k->next;
    b->first = k;
}

static void unlink_block(struct block *k)
{
    *k->at = k->next;
    if (k->next)
        k->next->at = k->at;
}

/* Bytes of a block of that size; 0: there is no such number. */
static size_t whole(size_t size)
{
    return size <= SIZE_MAX - sizeof(struct block) ? sizeof(struct block) + size : 0;
}

static void *given(struct blocks *b, struct block *k)
{
    if (!k) {
        b->starved = true;
        return NULL;
    }
    link_block(b, k);
    return k->bytes;
}

void *blocks_malloc(size_t size, void *blocks)
{
    const size_t n = whole(size);
    return given(blocks, n ? malloc(n) : NULL);
}

void *blocks_calloc(size_t n, size_t size, void *blocks)
{
    const size_t all = size && n > SIZE_MAX / size ? 0 : whole(n * size);
    return given(blocks, all ? calloc(1, all) : NULL);
}

void *blocks_realloc(void *p, size_t size, void *blocks)
{
    struct blocks *b = blocks;
    if (!p)
        return blocks_malloc(size, blocks);
    struct block *old = block_of(p);
    unlink_block(old);
    const size_t n = whole(size);
    struct block *k = n ? realloc(old, n) : NULL;
    if (!k)
        link_block(b, old); /* as realloc() does, it leaves what there was */
    return given(b, k);
}

void blocks_free(void *p, void *blocks)
{
    (void)blocks;
    if (!p)
        return;
    unlink_block(block_of(p));
    free(block_of(p));
}

void blocks_free_all(struct blocks *b)
{
    for (struct block *k = b->first, *next; k; k = next) {
        next = k->next;
        free(k);
    }
    b->first = NULL;
}
