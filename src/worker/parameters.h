/*-------------------------------------------------------------------------
 *
 * parameters.h
 *	  What clients have to be told at login: the ParameterStatus messages that
 *	  backends reported, remembered by (database, role, startup settings).
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_WORKER_PARAMETERS_H
#define POOLER_WORKER_PARAMETERS_H

#include "worker/internal.h"

/*
 * The key of a client's parameters, in the given context.  application_name
 * is left out: it is told to each client as the client gave it.
 */
extern char *pooler_parameters_key(MemoryContext cxt,
								   const PoolerIdentity *who,
								   const char *settings, size_t settings_len,
								   size_t *key_len);

/* The startup settings in a key: those of the client, without application_name. */
extern const char *pooler_parameters_key_settings(const char *key, size_t key_len,
												  size_t *settings_len);

/* Valid until the next call that stores or forgets. */
extern bool pooler_parameters_find(const char *key, size_t key_len,
								   const char **parameters, size_t *len);
extern void pooler_parameters_store(const char *key, size_t key_len,
									const char *parameters, size_t len);
extern void pooler_parameters_forget(void);

/*
 * Keys made from now on match nothing that was stored, or is being asked,
 * under those made before.  Unlike forgetting, this may be done at any moment.
 */
extern void pooler_parameters_outdate(void);

/*
 * Appends the messages to out, and what they tell to told, as pairs of
 * strings; with the client's own application_name unless that is NULL.
 */
extern void pooler_parameters_write(StringInfo out, StringInfo told,
									const char *parameters, size_t len,
									const char *application_name);

/*
 * The startup settings that were reported together with these messages, as
 * core understood them, without application_name.
 */
extern const char *pooler_parameters_settings(const char *parameters, size_t len,
											  size_t *settings_len);

#endif							/* POOLER_WORKER_PARAMETERS_H */
