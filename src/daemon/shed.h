/* shed: gives back memory that only the start has touched. Floor 5.
 *
 * Pages of code and constants, most of them of libraries' own initialization, are dropped from
 * our tables; what is called again comes back from the page cache by a minor fault. Pages of
 * the heap that hold nothing but zeros, because something large was made and is not used yet,
 * are as good when they are not there. To be called from the one thread there is. */
#ifndef MCPTALLY_DAEMON_SHED_H
#define MCPTALLY_DAEMON_SHED_H

/* Nothing that anybody can see is changed; where it is not possible, nothing happens. */
void shed(void);

#endif
