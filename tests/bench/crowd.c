/* crowd: connections that greet and then say nothing.
 *
 *     crowd SOCKET COUNT
 *
 * Prints a line when all are welcome, and hangs up when its stdin ends. */
#include "talk.h"

int main(int argc, char **argv)
{
    if (argc != 3)
        return fprintf(stderr, "usage: crowd SOCKET COUNT\n"), 2;
    const size_t count = strtoul(argv[2], NULL, 10);
    struct talk *all = calloc(count, sizeof *all);
    if (!all)
        die("calloc");
    for (size_t i = 0; i < count; i++)
        talk_begin(&all[i], argv[1], STR("crowd"), i + 1);
    printf("{\"connections\": %zu}\n", count);
    fflush(stdout);
    while (getchar() != EOF)
        continue;
    for (size_t i = 0; i < count; i++)
        talk_end(&all[i]);
    free(all);
    return 0;
}
