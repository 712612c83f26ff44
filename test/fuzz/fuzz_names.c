/*
 * fuzz_names.c
 *		libFuzzer harness for names in certificates, which come in DER.
 */
#include "c.h"

#define REQUIRE(condition) \
	do { if (!(condition)) abort(); } while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifdef USE_OPENSSL

#include "../../src/tls/names.h"

static void
require_empty(PoolerTlsName result, const char *name)
{
	REQUIRE(strlen(name) <= POOLER_TLS_MAX_NAME);
	REQUIRE(result == POOLER_TLS_NAME_OK || name[0] == '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const unsigned char *p = data;
	X509_NAME  *subject = d2i_X509_NAME(NULL, &p, (long) size);
	char	   *name;
	PoolerTlsName result;

	if (subject == NULL)
		return 0;
	name = malloc(POOLER_TLS_MAX_NAME + 1);
	result = pooler_tls_common_name(subject, name);
	require_empty(result, name);
	result = pooler_tls_distinguished_name(subject, name);
	require_empty(result, name);

	/* goes into logs and pg_stat_activity */
	REQUIRE(result != POOLER_TLS_NAME_HAS_NULL);
	for (char *c = name; *c != '\0'; c++)
		REQUIRE(*c >= ' ' && *c < 127);
	free(name);
	X509_NAME_free(subject);
	return 0;
}

#else

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return 0;
}

#endif
