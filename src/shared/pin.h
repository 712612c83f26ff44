/*-------------------------------------------------------------------------
 *
 * pin.h
 *	  Why a client can't leave its backend between two transactions.
 *
 * Runs in: any process.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_PIN_H
#define POOLER_PIN_H

typedef enum PoolerPin
{
	POOLER_PIN_NONE = 0,
	POOLER_PIN_TEMP,			/* temporary objects */
	POOLER_PIN_LOCKS,			/* session locks: advisory ones, in general */
	POOLER_PIN_LISTEN,			/* LISTEN */
	POOLER_PIN_CURSORS,			/* cursors WITH HOLD */
	POOLER_PIN_BACKUP,			/* a base backup */
	POOLER_PIN_ORIGIN,			/* a replication origin */
	POOLER_PIN_SLOTS,			/* temporary replication slots */
	POOLER_PIN_MODE,			/* pooler.pool_mode = session */
	POOLER_PIN_STATEMENTS,		/* pooler.prepared_statements_memory is used
								 * up */
	POOLER_PIN_PIPELINE			/* has sent more before the result */
} PoolerPin;

#define POOLER_NPINS	(POOLER_PIN_PIPELINE + 1)

/* As views show it; NULL for NONE, and for a number that is none of them. */
extern const char *pooler_pin_name(int pin);

/* As part of a sentence, behind "because of". */
extern const char *pooler_pin_words(int pin);

#endif							/* POOLER_PIN_H */
