/*
 * test_names.c
 *		Unit tests of src/tls/names.c.
 */
#include "c.h"

#include "tap.h"

#ifdef USE_OPENSSL

#include "../../src/tls/names.h"

static void
add(X509_NAME *subject, int nid, int type, const char *bytes, int len)
{
	if (X509_NAME_add_entry_by_NID(subject, nid, type, (const unsigned char *) bytes,
								   len, -1, 0) != 1)
		abort();
}

static void
test_common_name(void)
{
	static const struct
	{
		const char *what;
		int			type;
		const char *bytes;
		int			len;
		PoolerTlsName result;
		const char *name;
		const char *whole;		/* NULL: not looked at */
	}			rows[] = {
		{"plain", V_ASN1_UTF8STRING, "app", 3, POOLER_TLS_NAME_OK, "app", "CN=app"},
		{"a comma", V_ASN1_PRINTABLESTRING, "a,b", 3, POOLER_TLS_NAME_OK, "a,b", "CN=a\\,b"},
		{"UTF-8", V_ASN1_UTF8STRING, "\xc3\xa4", 2, POOLER_TLS_NAME_OK, "\xc3\xa4", "CN=\\C3\\A4"},
		{"Latin 1", V_ASN1_T61STRING, "\xe4", 1, POOLER_TLS_NAME_OK, "\xe4", "CN=\\C3\\A4"},
		{"a line", V_ASN1_UTF8STRING, "a\nb", 3, POOLER_TLS_NAME_OK, "a\nb", "CN=a\\0Ab"},
		{"a zero byte", V_ASN1_UTF8STRING, "app\0x", 5, POOLER_TLS_NAME_HAS_NULL, "", "CN=app\\00x"},
		{"nothing but one", V_ASN1_UTF8STRING, "\0", 1, POOLER_TLS_NAME_HAS_NULL, "", "CN=\\00"},
		{"words of two bytes", V_ASN1_BMPSTRING, "\0a\0b", 4, POOLER_TLS_NAME_HAS_NULL, "", "CN=ab"},
		{"bytes that are no UTF-8", V_ASN1_UTF8STRING, "\xff\xfe", 2, POOLER_TLS_NAME_OK, "\xff\xfe", NULL},
	};

	for (size_t i = 0; i < lengthof(rows); i++)
	{
		X509_NAME  *subject = X509_NAME_new();
		char	   *name = malloc(POOLER_TLS_MAX_NAME + 1);

		add(subject, NID_commonName, rows[i].type, rows[i].bytes, rows[i].len);
		is(pooler_tls_common_name(subject, name), rows[i].result, "%s", rows[i].what);
		is_str(name, rows[i].name, "%s: name", rows[i].what);
		if (rows[i].whole != NULL)
		{
			is(pooler_tls_distinguished_name(subject, name), POOLER_TLS_NAME_OK,
			   "%s: whole", rows[i].what);
			is_str(name, rows[i].whole, "%s: whole name", rows[i].what);
		}
		free(name);
		X509_NAME_free(subject);
	}
}

static void
test_length(void)
{
	X509_NAME  *subject = X509_NAME_new();
	char	   *name = malloc(POOLER_TLS_MAX_NAME + 1);
	char		part[101];

	is(pooler_tls_common_name(subject, name), POOLER_TLS_NAME_NONE, "no name");
	is(pooler_tls_distinguished_name(subject, name), POOLER_TLS_NAME_OK, "an empty name");
	is_str(name, "", "is empty");

	/* "OU=" and 96 letters and a comma, but for the last: 40 times 100 */
	memset(part, 'x', sizeof(part));
	for (int i = 0; i < 40; i++)
		add(subject, NID_organizationalUnitName, V_ASN1_UTF8STRING, part, i == 0 ? 97 : 96);
	is(pooler_tls_distinguished_name(subject, name), POOLER_TLS_NAME_OK, "the longest");
	is(strlen(name), POOLER_TLS_MAX_NAME, "is whole");
	is(pooler_tls_common_name(subject, name), POOLER_TLS_NAME_NONE, "without a common one");
	X509_NAME_free(subject);

	subject = X509_NAME_new();
	for (int i = 0; i < 40; i++)
		add(subject, NID_organizationalUnitName, V_ASN1_UTF8STRING, part, i == 0 ? 98 : 96);
	is(pooler_tls_distinguished_name(subject, name), POOLER_TLS_NAME_TOO_LONG, "too long");
	is_str(name, "", "is not told");

	free(name);
	X509_NAME_free(subject);
}

/* The first one counts, as in core. */
static void
test_several(void)
{
	X509_NAME  *subject = X509_NAME_new();
	char	   *name = malloc(POOLER_TLS_MAX_NAME + 1);

	add(subject, NID_organizationName, V_ASN1_UTF8STRING, "o", 1);
	add(subject, NID_commonName, V_ASN1_UTF8STRING, "one", 3);
	add(subject, NID_commonName, V_ASN1_UTF8STRING, "two", 3);
	is(pooler_tls_common_name(subject, name), POOLER_TLS_NAME_OK, "two names");
	is_str(name, "one", "the first one");
	is(pooler_tls_distinguished_name(subject, name), POOLER_TLS_NAME_OK, "the whole name");
	is_str(name, "CN=two,CN=one,O=o", "has all");
	free(name);
	X509_NAME_free(subject);
}

int
main(void)
{
	test_common_name();
	test_length();
	test_several();
	return done_testing();
}

#else

int
main(void)
{
	ok(true, "a server without OpenSSL");
	return done_testing();
}

#endif
