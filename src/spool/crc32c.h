/* crc32c: the Castagnoli checksum, as in iSCSI and ext4. Floor 2. */
#ifndef MCPTALLY_SPOOL_CRC32C_H
#define MCPTALLY_SPOOL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of n bytes that follow bytes with checksum `before` (0: nothing before). */
uint32_t crc32c(uint32_t before, const void *p, size_t n);

/* The same without the processor's instruction. */
uint32_t crc32c_portable(uint32_t before, const void *p, size_t n);

#endif
