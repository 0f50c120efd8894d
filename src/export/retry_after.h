/* retry_after: the Retry-After header. Floor 4. No I/O. */
#ifndef MCPTALLY_EXPORT_RETRY_AFTER_H
#define MCPTALLY_EXPORT_RETRY_AFTER_H

#include <stdint.h>

/* ns to wait, of "120" or an HTTP date; `wall` is now, ns since 1970. 0 for a date that
 * is over and for what cannot be read. At most a day. */
uint64_t retry_after(const char *text, uint64_t wall);

#endif
