/* nearest: the word of a list that a typing error was probably meant to be. Floor 0. */
#ifndef MCPTALLY_BASE_NEAREST_H
#define MCPTALLY_BASE_NEAREST_H

#include <stddef.h>

/* The nearest of n words within an edit distance of a third of its length, or
 * NULL. Words longer than 63 bytes are never near. */
const char *nearest(const char *typed, const char *const *words, size_t n);

#endif
