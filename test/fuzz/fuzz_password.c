/*
 * fuzz_password.c
 *		libFuzzer harness for what a client sends while it is authenticated.
 *
 * The first byte chooses the limit.  Besides crashes it looks for answers that
 * contradict each other, and for pointers that leave the message.
 */
#include <stdlib.h>
#include <string.h>

#include "../../src/proto/password.h"

#define REQUIRE(condition) \
	do { if (!(condition)) abort(); } while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fuzz_body(const uint8_t *body, size_t len)
{
	const char *password = NULL;
	PoolerSaslInitial initial;

	if (pooler_password_parse(body, len, &password) == POOLER_PROTO_OK)
		REQUIRE(password == (const char *) body && strlen(password) + 1 == len);
	if (pooler_password_parse_sasl(body, len, &initial) == POOLER_PROTO_OK)
	{
		REQUIRE((const uint8_t *) initial.mechanism == body);
		if (initial.has_data)
			REQUIRE(initial.data >= body &&
					initial.data + initial.data_len == body + len);
	}
}

/* What is judged early must be judged alike when more is there. */
static void
fuzz_message(const uint8_t *buf, size_t size, uint32_t limit)
{
	PoolerPassword whole;
	PoolerPasswordVerdict verdict = pooler_password_inspect(buf, size, limit, &whole);

	for (size_t n = 0; n < size && n < 16; n++)
	{
		PoolerPassword part;
		PoolerPasswordVerdict early = pooler_password_inspect(buf, n, limit, &part);

		if (early == POOLER_PASSWORD_NEED_MORE)
			REQUIRE(part.need > n && part.need <= limit + 1);
		else
			REQUIRE(early == verdict);
	}
	if (verdict == POOLER_PASSWORD_WHOLE)
	{
		REQUIRE(whole.need <= size && whole.len + 5 == whole.need);
		fuzz_body(whole.body, whole.len);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	fuzz_message(data + 1, size - 1,
				 data[0] & 1 ? POOLER_SASL_LIMIT : POOLER_PASSWORD_LIMIT);
	fuzz_body(data + 1, size - 1);
	return 0;
}
