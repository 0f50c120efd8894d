/* blocks: memory of a library that cannot be trusted to clean up. Floor 0.
 *
 * nghttp2 may use, when it is freed, what it has freed already, once one of its
 * allocations has failed. Its memory is therefore kept in a list: whoever finds `starved`
 * calls it no more, and gives back all that it had in one go. */
#ifndef MCPTALLY_BASE_BLOCKS_H
#define MCPTALLY_BASE_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>

struct block;

struct blocks {
    struct block *first;
    bool starved; /* memory was out once */
};

/* The four of an allocator, with the blocks as their argument. */
void *blocks_malloc(size_t size, void *blocks);
void *blocks_calloc(size_t n, size_t size, void *blocks);
void *blocks_realloc(void *p, size_t size, void *blocks);
void blocks_free(void *p, void *blocks);

void blocks_free_all(struct blocks *b);

#endif
