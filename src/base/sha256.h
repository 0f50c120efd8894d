/* sha256: FIPS 180-4's hash of a piece of memory. Floor 0.
 *
 * Ours, since the command that wraps MCP servers is to stay small: the library that has it
 * would cost each of its processes more memory than all it does itself. */
#ifndef MCPTALLY_BASE_SHA256_H
#define MCPTALLY_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_SIZE = 32 };

void sha256(uint8_t to[SHA256_SIZE], const void *p, size_t n);

#endif
