/* Bytes as the headers by which a scraper chooses format and compression. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "serve/negotiate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An element that says nothing, before or after, changes nothing. */
static void check_neutral(const char *header, size_t size)
{
    char *more = malloc(size + 8);
    assert(more);
    memcpy(more, " ,;,", 4);
    memcpy(more + 4, header, size);
    memcpy(more + 4 + size, ",\t,", 4);
    assert(negotiate_format(more) == negotiate_format(header));
    assert(negotiate_gzip(more) == negotiate_gzip(header));
    free(more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *header = malloc(size + 1);
    assert(header);
    memcpy(header, data, size);
    header[size] = '\0';
    check_neutral(header, strlen(header));
    free(header);
    return 0;
}
