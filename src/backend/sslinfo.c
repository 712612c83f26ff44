/*-------------------------------------------------------------------------
 *
 * sslinfo.c
 *	  The extension sslinfo, for clients whose TLS is a relay's.
 *
 * Runs in: pool backends, and walsenders that were born as one; in others the
 * hooks do nothing.
 *
 * sslinfo's functions look into MyProcPort, where there is no TLS: what it has
 * there makes libpq encrypt.  So a Port that says so is lent to them for the
 * length of a call, by the hook that core has around calls of functions.
 * Nothing is sent to the client meanwhile: of what they raise, the hook hears
 * first.
 *
 * Version and cipher stand in an SSL of OpenSSL's that nobody can make up, so
 * for those two the address of the function is replaced, which the hook can do,
 * too.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"

#ifdef USE_OPENSSL

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_language_d.h"
#include "catalog/pg_proc.h"
#include "libpq/libpq-be.h"
#include "shared/tls.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

static needs_fmgr_hook_type chained_needs_hook;
static fmgr_hook_type chained_hook;
static const FmgrInfo *lent_to; /* NULL: the Port is as it was */

/*
 * The name of the C function in sslinfo's library; NULL if it is not one.  The
 * result is the caller's.
 */
static char *
sslinfo_function(Oid funcid)
{
	HeapTuple	tuple;
	char	   *result = NULL;

	if (!pooler_attach_has_shown() || funcid < FirstNormalObjectId)
		return NULL;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	if (!HeapTupleIsValid(tuple))
		return NULL;
	if (((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId)
	{
		bool		isnull;
		Datum		library = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_probin, &isnull);

		if (!isnull && strcmp(TextDatumGetCString(library), "$libdir/sslinfo") == 0)
			result = TextDatumGetCString(SysCacheGetAttr(PROCOID, tuple,
														 Anum_pg_proc_prosrc, &isnull));
	}
	ReleaseSysCache(tuple);
	return result;
}

/*---------------------------------------------------------------------------
 * in the place of two of them
 *---------------------------------------------------------------------------
 */

static Datum
text_or_null(FunctionCallInfo fcinfo, const char *value)
{
	if (value == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(value));
}

static Datum
show_version(PG_FUNCTION_ARGS)
{
	return text_or_null(fcinfo, pooler_attach_fact(POOLER_TLS_FACT_VERSION));
}

static Datum
show_cipher(PG_FUNCTION_ARGS)
{
	return text_or_null(fcinfo, pooler_attach_fact(POOLER_TLS_FACT_CIPHER));
}

/*---------------------------------------------------------------------------
 * for all others
 *---------------------------------------------------------------------------
 */

/* The client's certificate; NULL if it has shown none. */
static X509 *
certificate(void)
{
	const char *text = pooler_attach_fact(POOLER_TLS_FACT_CERTIFICATE);
	int			len = text ? strlen(text) : 0;
	unsigned char *der;
	const unsigned char *p;
	X509	   *result = NULL;

	if (len == 0)
		return NULL;
	p = der = palloc(len);
	len = EVP_DecodeBlock(der, (const unsigned char *) text, len);
	if (len > 0)
		result = d2i_X509(NULL, &p, len);	/* knows where it ends */
	pfree(der);
	return result;
}

static void
lend(const FmgrInfo *flinfo)
{
	X509	   *peer;

	if (pooler_attach_fact(POOLER_TLS_FACT_VERSION) == NULL || MyProcPort->ssl_in_use)
		return;
	peer = certificate();
	lent_to = flinfo;
	MyProcPort->ssl_in_use = true;
	MyProcPort->peer = peer;
	MyProcPort->peer_cert_valid = peer != NULL;
}

static void
take_back(void)
{
	lent_to = NULL;
	MyProcPort->ssl_in_use = false;
	MyProcPort->peer_cert_valid = false;
	X509_free(MyProcPort->peer);
	MyProcPort->peer = NULL;
}

/*---------------------------------------------------------------------------
 * hooks
 *---------------------------------------------------------------------------
 */

static void
begin_call(FmgrInfo *flinfo)
{
	char	   *name = sslinfo_function(flinfo->fn_oid);

	if (name == NULL)
		return;
	if (strcmp(name, "ssl_version") == 0)
		flinfo->fn_addr = show_version;
	else if (strcmp(name, "ssl_cipher") == 0)
		flinfo->fn_addr = show_cipher;
	else
		lend(flinfo);
	pfree(name);
}

static bool
needs_hook(Oid funcid)
{
	char	   *name;

	if (chained_needs_hook && chained_needs_hook(funcid))
		return true;
	name = sslinfo_function(funcid);
	if (name != NULL)
		pfree(name);
	return name != NULL;
}

/* The Datum is of the one that is chained: this one needs none. */
static void
around_call(FmgrHookEventType event, FmgrInfo *flinfo, Datum *private)
{
	if (event != FHET_START && flinfo == lent_to)
		take_back();
	if (chained_hook)
		chained_hook(event, flinfo, private);
	if (event == FHET_START)
		begin_call(flinfo);
}

void
pooler_sslinfo_init(void)
{
	chained_needs_hook = needs_fmgr_hook;
	needs_fmgr_hook = needs_hook;
	chained_hook = fmgr_hook;
	fmgr_hook = around_call;
}

#else

void
pooler_sslinfo_init(void)
{
}

#endif							/* USE_OPENSSL */
