/*-------------------------------------------------------------------------
 *
 * names.c
 *	  Names in a client's certificate, as rules and maps compare them.
 *
 * Runs in: relays.  What core's be_tls_open_server() does with them.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#ifdef USE_OPENSSL

#include "tls/names.h"

#include <openssl/bio.h>
#include <openssl/buffer.h>
#include <string.h>

static PoolerTlsName
copy_name(char *name, const char *bytes, size_t len)
{
	if (len > POOLER_TLS_MAX_NAME)
		return POOLER_TLS_NAME_TOO_LONG;
	if (len > 0 && memchr(bytes, 0, len) != NULL)
		return POOLER_TLS_NAME_HAS_NULL;
	if (len > 0)
		memcpy(name, bytes, len);
	name[len] = '\0';
	return POOLER_TLS_NAME_OK;
}

PoolerTlsName
pooler_tls_common_name(const X509_NAME *subject, char *name)
{
	int			i = X509_NAME_get_index_by_NID(unconstify(X509_NAME *, subject),
											   NID_commonName, -1);
	const X509_NAME_ENTRY *entry;
	const ASN1_STRING *value;

	name[0] = '\0';
	if (i < 0)
		return POOLER_TLS_NAME_NONE;
	entry = X509_NAME_get_entry(subject, i);
	value = X509_NAME_ENTRY_get_data(entry);
	if (value == NULL)
		return POOLER_TLS_NAME_NONE;
	return copy_name(name, (const char *) ASN1_STRING_get0_data(value),
					 ASN1_STRING_length(value));
}

PoolerTlsName
pooler_tls_distinguished_name(const X509_NAME *subject, char *name)
{
	BIO		   *bio = BIO_new(BIO_s_mem());
	BUF_MEM    *mem = NULL;
	PoolerTlsName result = POOLER_TLS_NAME_NONE;

	name[0] = '\0';
	if (bio != NULL &&
		X509_NAME_print_ex(bio, unconstify(X509_NAME *, subject), 0,
						   XN_FLAG_RFC2253) != -1 &&
		BIO_get_mem_ptr(bio, &mem) > 0)
		result = copy_name(name, mem->data, mem->length);
	BIO_free(bio);
	return result;
}

#endif							/* USE_OPENSSL */
