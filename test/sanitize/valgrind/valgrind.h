/*
 * test/sanitize/valgrind/valgrind.h
 *
 * Stands in for Valgrind's header, as memcheck.h does.
 */
#include "memcheck.h"
