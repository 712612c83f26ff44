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
 * length of a call, by the hook that core has around calls of functions.  Of
 * errors that they raise the hook hears before they are sent.  What is sent in
 * the middle of a call (warnings, why the process ends: converting a name may
 * look into catalogs) passes through methods of our own, which end the loan:
 * core asserts, and would crash, where a Port with TLS has no connection.
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
static const PQcommMethods *methods_before; /* the loan */

typedef enum Function
{
	NOT_SSLINFO,
	SSLINFO_VERSION,
	SSLINFO_CIPHER,
	SSLINFO_OTHER
} Function;

static bool
attribute_is(HeapTuple tuple, AttrNumber attribute, const char *wanted)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(PROCOID, tuple, attribute, &isnull);
	char	   *string;
	bool		same;

	if (isnull)
		return false;
	string = TextDatumGetCString(value);
	same = strcmp(string, wanted) == 0;
	pfree(string);
	return same;
}

static Function
function_of(HeapTuple tuple)
{
	if (((Form_pg_proc) GETSTRUCT(tuple))->prolang != ClanguageId ||
		!attribute_is(tuple, Anum_pg_proc_probin, "$libdir/sslinfo"))
		return NOT_SSLINFO;
	if (attribute_is(tuple, Anum_pg_proc_prosrc, "ssl_version"))
		return SSLINFO_VERSION;
	if (attribute_is(tuple, Anum_pg_proc_prosrc, "ssl_cipher"))
		return SSLINFO_CIPHER;
	return SSLINFO_OTHER;
}

static Function
sslinfo_function(Oid funcid)
{
	HeapTuple	tuple;
	Function	result;

	if (!pooler_attach_has_shown() || funcid < FirstNormalObjectId)
		return NOT_SSLINFO;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	if (!HeapTupleIsValid(tuple))
		return NOT_SSLINFO;
	result = function_of(tuple);
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

/* The function has seen what it looks at first; the certificate stays. */
static void
end_loan(void)
{
	if (PqCommMethods == methods_before)
		return;
	PqCommMethods = methods_before;
	MyProcPort->ssl_in_use = false;
}

static void
lent_comm_reset(void)
{
	end_loan();
	PqCommMethods->comm_reset();
}

static int
lent_flush(void)
{
	end_loan();
	return PqCommMethods->flush();
}

static int
lent_flush_if_writable(void)
{
	end_loan();
	return PqCommMethods->flush_if_writable();
}

static bool
lent_is_send_pending(void)
{
	return methods_before->is_send_pending();
}

static int
lent_putmessage(char type, const char *s, size_t len)
{
	end_loan();
	return PqCommMethods->putmessage(type, s, len);
}

static void
lent_putmessage_noblock(char type, const char *s, size_t len)
{
	end_loan();
	PqCommMethods->putmessage_noblock(type, s, len);
}

static const PQcommMethods lent_methods = {
	.comm_reset = lent_comm_reset,
	.flush = lent_flush,
	.flush_if_writable = lent_flush_if_writable,
	.is_send_pending = lent_is_send_pending,
	.putmessage = lent_putmessage,
	.putmessage_noblock = lent_putmessage_noblock
};

static void
lend(const FmgrInfo *flinfo)
{
	X509	   *peer;

	if (pooler_attach_fact(POOLER_TLS_FACT_VERSION) == NULL || MyProcPort->ssl_in_use)
		return;
	peer = certificate();
	lent_to = flinfo;
	methods_before = PqCommMethods;
	PqCommMethods = &lent_methods;
	MyProcPort->ssl_in_use = true;
	MyProcPort->peer = peer;
	MyProcPort->peer_cert_valid = peer != NULL;
}

static void
take_back(void)
{
	lent_to = NULL;
	end_loan();
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
	switch (sslinfo_function(flinfo->fn_oid))
	{
		case NOT_SSLINFO:
			break;
		case SSLINFO_VERSION:
			flinfo->fn_addr = show_version;
			break;
		case SSLINFO_CIPHER:
			flinfo->fn_addr = show_cipher;
			break;
		case SSLINFO_OTHER:
			lend(flinfo);
			break;
	}
}

static bool
needs_hook(Oid funcid)
{
	return (chained_needs_hook && chained_needs_hook(funcid)) ||
		sslinfo_function(funcid) != NOT_SSLINFO;
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
