/* system: figures of the machine for the health page. Floor 4. */
#ifndef MCPTALLY_SERVE_SYSTEM_H
#define MCPTALLY_SERVE_SYSTEM_H

#include "format/health_doc.h"

/* Reads them from the kernel: memory of the control group when it has a limit,
 * else of the machine. What cannot be read stays 0. Takes about 0.1 ms. */
void system_read(struct system_figures *out);

#endif
