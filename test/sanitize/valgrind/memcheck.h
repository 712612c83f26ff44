/*
 * test/sanitize/valgrind/memcheck.h
 *
 * Stands in for Valgrind's header in a server built with AddressSanitizer and
 * USE_VALGRIND.  Core tells Valgrind which part of its memory contexts' blocks
 * and of its buffers may be used; thus AddressSanitizer, which knows malloc()
 * only, learns it as well, and sees what is used after pfree() or beyond the
 * end of a chunk.  It does not track what is initialized.
 *
 * Poisoning is exact to the byte at the end of a region, and to 8 at its start,
 * where core's regions are aligned or follow usable memory.
 */
#ifndef POOLER_TEST_MEMCHECK_H
#define POOLER_TEST_MEMCHECK_H

#include <sanitizer/asan_interface.h>

#define RUNNING_ON_VALGRIND 0
#define VALGRIND_COUNT_ERRORS 0
#define VALGRIND_PRINTF(...) do {} while (0)

#define VALGRIND_MAKE_MEM_NOACCESS(addr, size) \
	__asan_poison_memory_region((addr), (size))
#define VALGRIND_MAKE_MEM_UNDEFINED(addr, size) \
	__asan_unpoison_memory_region((addr), (size))
#define VALGRIND_MAKE_MEM_DEFINED(addr, size) \
	__asan_unpoison_memory_region((addr), (size))
#define VALGRIND_CHECK_MEM_IS_DEFINED(addr, size) do {} while (0)

/* Core marks the memory itself when it frees or resizes a chunk. */
#define VALGRIND_CREATE_MEMPOOL(pool, redzone, zeroed) do {} while (0)
#define VALGRIND_DESTROY_MEMPOOL(pool) do {} while (0)
#define VALGRIND_MEMPOOL_ALLOC(pool, addr, size) \
	__asan_unpoison_memory_region((addr), (size))
#define VALGRIND_MEMPOOL_FREE(pool, addr) ((void) (pool))
#define VALGRIND_MEMPOOL_CHANGE(pool, old, addr, size) \
	__asan_unpoison_memory_region((addr), (size))

#endif							/* POOLER_TEST_MEMCHECK_H */
