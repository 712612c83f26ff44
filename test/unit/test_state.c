/*
 * test_state.c
 *		Unit tests of the state words in src/shared/state.h.
 */
#include "postgres.h"

#include "tap.h"

#include "../../src/shared/state.h"

/* Neighbours must not be touched, even by numbers that are too large. */
static const uint32 numbers[] = {
	0, 1, 0x2AAAA, 0x55555, POOLER_NO_CLIENT, 0x80000, POOLER_GEN_MASK,
	POOLER_GEN_MASK + 1, PG_UINT32_MAX
};

static void
test_client_word(PoolerClientState state, uint32 backend, uint32 gen,
				 uint32 serial, int *bad)
{
	uint64		w = pooler_client_word(state, backend, gen, serial);

	*bad += pooler_client_word_state(w) != state ||
		pooler_client_word_backend(w) != (backend & 0xFFFFF) ||
		pooler_client_word_gen(w) != (gen & POOLER_GEN_MASK) ||
		pooler_client_word_serial(w) != (serial & POOLER_SERIAL_MASK);
}

static bool
is_backend_word(uint64 w, PoolerBackendState state, uint32 client, uint32 gen,
				uint32 serial)
{
	return pooler_backend_word_state(w) == state &&
		pooler_backend_word_client(w) == (client & POOLER_NO_CLIENT) &&
		pooler_backend_word_gen(w) == (gen & POOLER_GEN_MASK) &&
		pooler_backend_word_serial(w) == (serial & POOLER_SERIAL_MASK);
}

static void
test_backend_word(PoolerBackendState state, uint32 client, uint32 gen,
				  uint32 serial, int *bad)
{
	uint64		w = pooler_backend_word(state, client, gen, serial);
	uint64		signalled = w | POOLER_BACKEND_SIGNALLED;

	*bad += (w & POOLER_BACKEND_SIGNALLED) != 0 ||
		!is_backend_word(w, state, client, gen, serial) ||
		!is_backend_word(signalled, state, client, gen, serial);
	for (int to = 0; to <= POOLER_BACKEND_DEAD; to++)
	{
		uint64		moved = pooler_backend_word_in(signalled, to);

		*bad += (moved & POOLER_BACKEND_SIGNALLED) != 0 ||
			!is_backend_word(moved, to, client, gen, serial);
	}
}

/* The same for every combination of the numbers. */
static void
test_fields(void)
{
	int			bad_clients = 0;
	int			bad_backends = 0;

	for (size_t i = 0; i < lengthof(numbers) * lengthof(numbers) * lengthof(numbers); i++)
	{
		uint32		a = numbers[i % lengthof(numbers)];
		uint32		b = numbers[i / lengthof(numbers) % lengthof(numbers)];
		uint32		c = numbers[i / lengthof(numbers) / lengthof(numbers)];

		for (int state = 0; state <= POOLER_CLIENT_REPLICATION; state++)
			test_client_word(state, a, b, c, &bad_clients);
		for (int state = 0; state <= POOLER_BACKEND_DEAD; state++)
			test_backend_word(state, a, b, c, &bad_backends);
	}
	is(bad_clients, 0, "fields of a client's word");
	is(bad_backends, 0, "fields of a backend's word");
}

int
main(void)
{
	test_fields();
	ok(POOLER_CLIENT_REPLICATION < 16 && POOLER_BACKEND_DEAD < 16, "a state has four bits");
	ok(POOLER_NO_CLIENT >= POOLER_MAX_CLIENT_SLOTS, "no slot is the number that stands for none");
	is((long long) pooler_client_word(POOLER_CLIENT_FREE, 0, 0, 0), 0, "shared memory begins with free slots");
	is((long long) pooler_backend_word(POOLER_BACKEND_UNUSED, 0, 0, 0), 0, "and with unused ones");
	return done_testing();
}
