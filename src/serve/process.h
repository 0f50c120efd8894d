/* process: the daemon's own process_* figures. Floor 4. */
#ifndef MCPTALLY_SERVE_PROCESS_H
#define MCPTALLY_SERVE_PROCESS_H

#include "pipeline/own.h"

/* When this process started, seconds since 1970; 0 when the kernel does not tell. */
double process_start_time(void);

/* Reads them from the kernel and sets them in the open batch. */
void process_refresh(struct own *o, double start_time);

#endif
