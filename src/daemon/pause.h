/* pause: between a start that has failed and the next one. Floor 5.
 *
 * systemd starts us again at once and for ever. The ladder brakes what dies with a store; but
 * what the system does not give may be wanting long before, while the configuration is read,
 * and then each start would be over in a millisecond and use up a processor. So a process that
 * ends for such a reason lasts a while. */
#ifndef MCPTALLY_DAEMON_PAUSE_H
#define MCPTALLY_DAEMON_PAUSE_H

/* Takes what a start ended with, an enum daemon_exit, and returns what to exit with. Waits a
 * second when that is DAEMON_FAILED and systemd has started us; a signal to stop ends the wait
 * at once, and is DAEMON_OK. No other signal does. */
int pause_failed(int status);

#endif
